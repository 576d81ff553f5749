/* SPDX-License-Identifier: Apache-2.0
 *
 * `doctor` with an administrator's rights: what is at the cloud, looked at as a set-up does. */
#include <stdarg.h>
#include <stdio.h>

#include "setup.h"

void kw_setup_say(const struct kw_setup_ear *ear, const char *name, int r, const char *fmt, ...)
{
    char text[KW_ERR_TEXT];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    kw_printable(text);
    ear->tell(ear->arg, name, r, text);
}

int kw_setup_examine(const struct kw_cli *cli, const struct kw_args *args, struct kw_config *c,
                     const json_t *claims, const struct kw_setup_ear *ear, struct kw_err *err)
{
    static struct kw_setup s; /* large */
    s = (struct kw_setup){.cli = cli, .args = args, .config = c};
    s.cloud = c->cloud == KW_CLOUD_GOOGLE ? &kw_setup_google : &kw_setup_oci;
    s.wait_s = c->timeout_s;
    int r = s.cloud->prepare(&s, err);
    if (r == 0)
        r = s.cloud->open(&s, err);
    if (r == 0)
        r = s.cloud->examine(&s, claims, ear, err);
    r = kw_setup_close(&s, r, err);
    s.cloud->free(&s);
    json_decref(s.warnings);
    return r;
}
