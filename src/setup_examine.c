/* SPDX-License-Identifier: Apache-2.0
 *
 * `doctor` with an administrator's rights: what is at the cloud, looked at as a set-up does. */
#include <string.h>

#include "setup.h"

int kw_setup_examine(const struct kw_cli *cli, const struct kw_args *args, struct kw_config *c,
                     const json_t *claims, kw_setup_tell *tell, void *arg, struct kw_err *err)
{
    static struct kw_setup s; /* large */
    s = (struct kw_setup){.cli = cli, .args = args, .config = c};
    s.cloud = c->cloud == KW_CLOUD_GOOGLE ? &kw_setup_google : &kw_setup_oci;
    s.wait_s = c->timeout_s;
    int r = s.cloud->prepare(&s, err);
    if (r == 0)
        r = s.cloud->open(&s, err);
    if (r == 0)
        r = s.cloud->examine(&s, claims, tell, arg, err);
    r = kw_setup_close(&s, r, err);
    s.cloud->free(&s);
    json_decref(s.warnings);
    return r;
}
