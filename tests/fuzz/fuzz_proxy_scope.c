/* SPDX-License-Identifier: Apache-2.0
 *
 * What the proxy of `run` makes of a request by CMD, for OCI, for Google and for the metadata
 * service: nothing that is not the run's stand-in is ever taken for it. The first byte chooses
 * the cloud. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "src/config/config.h"
#include "src/proxy/proxy_scope.h"

static const char decoy[] = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJrZXl3YXJkLXJ1biJ9."
                            "c3RhbmQtaW4tc3RhbmQtaW4tc3RhbmQtaW4tc3RhbmQtaW4";

static void metadata(const struct kw_scope *s, const struct kw_head *h)
{
    char audience[512];
    struct kw_buf out;
    kw_buf_init(&out, 65536);
    must(kw_scope_metadata(s, h, 1700000000, audience, sizeof audience, &out) == 0);
    must((out.len > 0) != (audience[0] != '\0'));
    must(audience[0] == '\0' || kw_head_count(h, "metadata-flavor") > 0);
    must(out.len == 0 || memcmp(out.p, "HTTP/1.1 ", 9) == 0);
    kw_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_scope s;
    static struct kw_head h;
    static struct kw_m_sign m;
    struct kw_m_allow allow;
    struct kw_err err = {0};
    unsigned status = 0;
    bool bare = false;
    fault_seed(data, &size);
    if (size == 0)
        return 0;
    char *text = malloc(size);
    must(text != NULL);
    memcpy(text, data + 1, size - 1);
    s.say.cloud = data[0] == 'G' ? KW_CLOUD_GOOGLE : KW_CLOUD_OCI;
    (void)snprintf(s.say.decoy_token, sizeof s.say.decoy_token, "%s", decoy);
    (void)snprintf(s.say.email, sizeof s.say.email, "ci@p.iam.gserviceaccount.com");
    (void)snprintf(s.say.scope, sizeof s.say.scope, "a b");
    (void)snprintf(s.say.project, sizeof s.say.project, "p");
    (void)snprintf(s.say.project_number, sizeof s.say.project_number, "1");
    s.not_after = 1700000300;
    if (kw_head_request(text, size - 1, &h, &status, &err) > 0) {
        bool leaks = kw_scope_leaks(&s, &h);
        must(!leaks || size > 8);
        /* There is no stand-in key here: no signature is good. */
        must(kw_scope_oci(&s, &h, "host", &m, &err) != 0 && err.text[0] != '\0');
        int r = kw_scope_google(&s, &h, "host", &allow, &bare, &err);
        must(r != 0 || bare || kw_head_count(&h, "authorization") == 1);
        must(r != 0 || bare || memmem(text, size - 1, decoy, sizeof decoy - 1) != NULL);
        metadata(&s, &h);
        (void)kw_scope_same_host(h.host, "objectstorage.example", 443);
    }
    free(text);
    return 0;
}
