/* SPDX-License-Identifier: Apache-2.0
 *
 * Many signed calls over one session, by the very functions that `keyward request` uses.
 *
 *   calls CONFIG PROFILE <LIST
 *
 * A line of LIST is METHOD<tab>URL<tab>BODY<tab>HEADERS: BODY is `-` for none or @FILE or
 * text, HEADERS "Name: value" separated by |. Prints the status of each call, a line.
 * It must lie beside the role programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/secret.h"
#include "src/session/call.h"

/* The parser of arguments comes along with the configuration; it has nothing to do here. */
const struct kw_command *const kw_commands[] = {NULL};

static int on_head(void *arg, const struct kw_m_head *head, struct kw_err *err)
{
    (void)arg;
    (void)err;
    printf("%u\n", head->status);
    return 0;
}

static int on_data(void *arg, const void *bytes, size_t n, struct kw_err *err)
{
    (void)arg;
    (void)bytes;
    (void)n;
    (void)err;
    return 0;
}

static int call(struct kw_session *s, char *line, struct kw_err *err)
{
    const struct kw_sink sink = {on_head, on_data, NULL};
    char *save = NULL, headers[KW_LINES] = "";
    const char *method = strtok_r(line, "\t", &save), *url = strtok_r(NULL, "\t", &save);
    const char *data = strtok_r(NULL, "\t", &save);
    char *rest = strtok_r(NULL, "\t", &save), *more = NULL;
    struct kw_body body = {.fd = -1};
    if (data == NULL)
        return kw_fail(err, KW_USAGE, "bad line");
    for (char *h = rest != NULL ? strtok_r(rest, "|", &more) : NULL; h != NULL;
         h = strtok_r(NULL, "|", &more)) {
        size_t at = strlen(headers);
        (void)snprintf(headers + at, sizeof headers - at, "%s\n", h);
    }
    int r = kw_body_open(strcmp(data, "-") == 0 ? NULL : data, &body, err);
    if (r == 0)
        r = kw_call(s, method, url, headers, &body, &sink, err);
    kw_body_close(&body);
    return r;
}

int main(int argc, char **argv)
{
    static struct kw_config c;
    static struct kw_session s;
    struct kw_err err = {0};
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    if (argc != 3)
        return KW_USAGE;
    const struct kw_cli cli = {.config_path = argv[1], .profile = argv[2]};
    int r = kw_secret_init(true, &err);
    if (r == 0)
        r = kw_cli_config(&cli, &c, &err);
    if (r == 0)
        r = kw_session_open(&s, &c, "request", 0, &err);
    if (r == 0) {
        while (r == 0 && (n = getline(&line, &size, stdin)) > 0) {
            line[strcspn(line, "\n")] = '\0';
            r = call(&s, line, &err);
        }
        struct kw_err at_end;
        int ended = kw_session_close(&s, NULL, &at_end);
        if (r == 0 && ended != 0) {
            err = at_end;
            r = ended;
        }
    }
    free(line);
    kw_config_free(&c);
    if (r != 0)
        (void)fprintf(stderr, "calls: %s\n", err.text);
    return r;
}
