/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of a set-up: added, held against what is wanted; and what is warned of. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "setup.h"

struct kw_setup_step *kw_setup_add(struct kw_setup *s, struct kw_err *err, const char *kind,
                                   const char *name, ...)
{
    struct kw_setup_step *t = &s->steps[s->n];
    va_list ap;
    if (s->n == KW_SETUP_STEPS) {
        (void)kw_fail(err, KW_USAGE, "this set-up has more than %d steps", KW_SETUP_STEPS);
        return NULL;
    }
    *t = (struct kw_setup_step){.kind = kind};
    va_start(ap, name);
    int len = vsnprintf(t->name, sizeof t->name, name, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= sizeof t->name) {
        (void)kw_fail(err, KW_USAGE, "the name of the %s is too long", kind);
        return NULL;
    }
    s->n++;
    return t;
}

static bool nothing(const json_t *v)
{
    return v == NULL || json_is_null(v) || json_is_false(v) ||
           (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0);
}

bool kw_setup_differs(struct kw_setup_step *t, const char *field, const json_t *have,
                      const json_t *want)
{
    if ((nothing(have) && nothing(want)) || json_equal(have, want))
        return false;
    if (t->diff == NULL)
        t->diff = json_array();
    json_t *one = json_object();
    (void)json_object_set_new(one, "field", json_string(field));
    (void)json_object_set_new(one, "from", nothing(have) ? json_null() : json_deep_copy(have));
    (void)json_object_set_new(
        one, "to", nothing(want) && !json_is_false(want) ? json_null() : json_deep_copy(want));
    (void)json_array_append_new(t->diff, one);
    return true;
}

bool kw_setup_differs_text(struct kw_setup_step *t, const char *field, const char *have,
                           const char *want)
{
    json_t *a = have != NULL ? json_string(have) : NULL;
    json_t *b = want != NULL ? json_string(want) : NULL;
    bool differs = kw_setup_differs(t, field, a, b);
    json_decref(a);
    json_decref(b);
    return differs;
}

bool kw_setup_marked(const char *description)
{
    return description != NULL &&
           strncmp(description, KW_SETUP_MARK, sizeof KW_SETUP_MARK - 1) == 0;
}

void kw_setup_warn(struct kw_setup *s, const char *text, ...)
{
    char line[1024];
    const json_t *one;
    size_t i;
    va_list ap;
    va_start(ap, text);
    (void)vsnprintf(line, sizeof line, text, ap);
    va_end(ap);
    kw_printable(line);
    if (s->destroy) /* what is to go can be as wide as it likes */
        return;
    if (s->warnings == NULL)
        s->warnings = json_array();
    json_array_foreach(s->warnings, i, one) if (strcmp(json_string_value(one), line) == 0) return;
    (void)json_array_append_new(s->warnings, json_string(line));
}
