/* SPDX-License-Identifier: Apache-2.0
 *
 * CEL: the tree is evaluated. An answer is a value, an error, or that we can't tell; the
 * logical operators carry all three as CEL's commutative ones do. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cel_int.h"

enum { PATH = 160, ARGS = 3 };

void cel_drop(struct cel_val *v)
{
    json_decref(v->v);
    v->v = NULL;
}

void cel_set(struct cel_val *out, enum kw_cel_is is, uint32_t node, const char *fmt, ...)
{
    va_list ap;
    *out = (struct cel_val){.is = is, .node = node};
    va_start(ap, fmt);
    (void)vsnprintf(out->why, sizeof out->why, fmt, ap);
    va_end(ap);
}

void cel_put(struct cel_val *out, json_t *v, bool claimed)
{
    *out = (struct cel_val){.is = KW_CEL_VALUE, .v = v};
    out->claimed = claimed && (json_is_number(v) || json_is_array(v) || json_is_object(v));
    if (v == NULL)
        cel_set(out, KW_CEL_UNKNOWN, 0, "there is no memory left");
}

static const struct cel_node *get(const struct cel_run *run, uint32_t at)
{
    return &run->c->nodes[at];
}

/* The source of a node, for messages. */
static const char *path_of(const struct cel_run *run, uint32_t at, char out[PATH])
{
    const struct cel_node *n = get(run, at);
    int len = (int)(n->end - n->start);
    (void)snprintf(out, PATH, "%.*s", len < PATH ? len : PATH - 1, run->c->text + n->start);
    return out;
}

/* Is a member of a variable one that can't be told? */
static bool member_unknown(const struct cel_run *run, uint32_t of, const json_t *name,
                           uint32_t node, struct cel_val *out)
{
    char key[256];
    const struct cel_node *n = get(run, of);
    if (n->is != CEL_N_VARIABLE || run->env->unknown == NULL || !json_is_string(name))
        return false;
    (void)snprintf(key, sizeof key, "%s.%s", run->c->names[n->variable], json_string_value(name));
    const json_t *why = json_object_get(run->env->unknown, key);
    if (why == NULL)
        return false;
    cel_set(out, KW_CEL_UNKNOWN, node, "%s %s", key, json_string_value(why));
    return true;
}

/* The value that a member is taken of: of a variable also where some are unknown. */
static void eval_base(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    const struct cel_node *n = get(run, at);
    if (n->is == CEL_N_VARIABLE)
        cel_put(out, json_incref(run->env->values[n->variable]), true);
    else
        cel_eval(run, at, out);
}

static void eval_variable(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    const char *key, *name = run->c->names[get(run, at)->variable];
    json_t *v;
    size_t n = strlen(name);
    eval_base(run, at, out);
    if (run->env->unknown == NULL)
        return;
    json_object_foreach(run->env->unknown, key, v)
    {
        if (strncmp(key, name, n) == 0 && key[n] == '.') {
            cel_drop(out);
            cel_set(out, KW_CEL_UNKNOWN, at, "%s %s", key, json_string_value(v));
            return;
        }
    }
}

static void eval_select(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    const struct cel_node *n = get(run, at);
    struct cel_val of, by = {.v = n->value};
    char path[PATH];
    if (member_unknown(run, n->first, n->value, at, out))
        return;
    eval_base(run, n->first, &of);
    if (of.is != KW_CEL_VALUE) {
        *out = of;
        return;
    }
    if (json_is_array(of.v))
        cel_set(out, KW_CEL_ERROR, at, "%s: a list has no members", path_of(run, at, path));
    else
        cel_index(&of, &by, at, path_of(run, at, path), out);
    cel_drop(&of);
}

/* Of two that aren't both values: an error wins, for it is one whatever the other is. */
static void worst(struct cel_val *a, struct cel_val *b, struct cel_val *out)
{
    struct cel_val *w = a->is == KW_CEL_ERROR   ? a
                        : b->is == KW_CEL_ERROR ? b
                        : a->is != KW_CEL_VALUE ? a
                                                : b;
    struct cel_val *other = w == a ? b : a;
    *out = *w;
    cel_drop(other);
    if (out->is == KW_CEL_NOT_TRUE) /* as an operand it is false or an error */
        out->is = KW_CEL_UNKNOWN;
}

static void eval_index(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    const struct cel_node *n = get(run, at);
    struct cel_val of, by;
    char path[PATH];
    cel_eval(run, get(run, n->first)->next, &by);
    if (by.is == KW_CEL_VALUE && member_unknown(run, n->first, by.v, at, out)) {
        cel_drop(&by);
        return;
    }
    eval_base(run, n->first, &of);
    if (of.is != KW_CEL_VALUE || by.is != KW_CEL_VALUE) {
        worst(&of, &by, out);
        return;
    }
    cel_index(&of, &by, at, path_of(run, at, path), out);
    cel_drop(&of);
    cel_drop(&by);
}

static void eval_has(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    const struct cel_node *select = get(run, get(run, at)->first);
    struct cel_val of;
    char path[PATH];
    if (member_unknown(run, select->first, select->value, at, out))
        return;
    eval_base(run, select->first, &of);
    if (of.is != KW_CEL_VALUE) {
        *out = of;
        return;
    }
    if (json_is_object(of.v))
        cel_put(out, json_boolean(json_object_get(of.v, json_string_value(select->value)) != NULL),
                false);
    else
        cel_set(out, KW_CEL_NOT_TRUE, at, "%s: %s has no members",
                path_of(run, get(run, at)->first, path), cel_type(&of));
    cel_drop(&of);
}

/* A value that is no bool is an error where one is needed. */
static void need_bool(const struct cel_run *run, uint32_t at, struct cel_val *v)
{
    char path[PATH];
    cel_eval(run, at, v);
    if (v->is != KW_CEL_VALUE || json_is_boolean(v->v))
        return;
    struct cel_val bad;
    cel_set(&bad, KW_CEL_ERROR, at, "%s is %s where a bool is needed", path_of(run, at, path),
            cel_type(v));
    cel_drop(v);
    *v = bad;
}

/* && and ||: one operand that decides decides, whatever the others come to. */
static void eval_logic(const struct cel_run *run, uint32_t at, bool decides, struct cel_val *out)
{
    struct cel_val first = {.is = KW_CEL_VALUE}, one;
    bool errors = false, unknown = false, maybe = false;
    for (uint32_t k = get(run, at)->first; k != 0; k = get(run, k)->next) {
        need_bool(run, k, &one);
        if (one.is == KW_CEL_VALUE && json_is_true(one.v) == decides) {
            *out = one;
            return;
        }
        errors = errors || one.is == KW_CEL_ERROR;
        unknown = unknown || one.is == KW_CEL_UNKNOWN;
        maybe = maybe || one.is == KW_CEL_NOT_TRUE;
        /* what is told: a sure obstacle rather than what we can't tell */
        if (one.is != KW_CEL_VALUE &&
            (first.is == KW_CEL_VALUE || (first.is == KW_CEL_UNKNOWN && !decides)))
            first = one;
        cel_drop(&one);
    }
    if (!errors && !unknown && !maybe) {
        cel_put(out, json_boolean(!decides), false);
        return;
    }
    *out = first;
    if (decides) /* ||: what is unknown may be true */
        out->is = unknown ? KW_CEL_UNKNOWN : maybe ? KW_CEL_NOT_TRUE : KW_CEL_ERROR;
    else /* &&: an obstacle stays one, false or an error */
        out->is = !errors && !maybe  ? KW_CEL_UNKNOWN
                  : unknown || maybe ? KW_CEL_NOT_TRUE
                                     : KW_CEL_ERROR;
}

static void eval_not(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    struct cel_val v;
    need_bool(run, get(run, at)->first, &v);
    if (v.is == KW_CEL_VALUE)
        cel_put(out, json_boolean(!json_is_true(v.v)), false);
    else
        *out = v;
    if (v.is == KW_CEL_VALUE)
        cel_drop(&v);
    else if (v.is == KW_CEL_NOT_TRUE)
        out->is = KW_CEL_UNKNOWN;
}

static void eval_negate(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    struct cel_val v;
    cel_eval(run, get(run, at)->first, &v);
    if (v.is != KW_CEL_VALUE) {
        *out = v;
        out->is = v.is == KW_CEL_NOT_TRUE ? KW_CEL_UNKNOWN : v.is;
        return;
    }
    json_int_t i = json_integer_value(v.v);
    if (json_is_real(v.v))
        cel_put(out, json_real(-json_real_value(v.v)), v.claimed);
    else if (!json_is_integer(v.v) || i == INT64_MIN)
        cel_set(out, KW_CEL_ERROR, at, "%s can't be negated", cel_type(&v));
    else
        cel_put(out, json_integer(-i), v.claimed);
    cel_drop(&v);
}

static void eval_condition(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    struct cel_val v;
    uint32_t test = get(run, at)->first, yes = get(run, test)->next;
    need_bool(run, test, &v);
    if (v.is == KW_CEL_VALUE) {
        bool taken = json_is_true(v.v);
        cel_drop(&v);
        cel_eval(run, taken ? yes : get(run, yes)->next, out);
        return;
    }
    *out = v;
    if (v.is == KW_CEL_NOT_TRUE)
        out->is = KW_CEL_UNKNOWN;
}

static void operate(const struct cel_node *n, const struct cel_val *a, const struct cel_val *b,
                    uint32_t at, struct cel_val *out)
{
    if (n->is == CEL_N_IN)
        cel_in(a, b, at, out);
    else if (n->is == CEL_N_ADD)
        cel_add(a, b, at, out);
    else if (n->op == CEL_OP('=', '=') || n->op == CEL_OP('!', '='))
        cel_equal(a, b, n->op == CEL_OP('!', '='), at, out);
    else
        cel_order(a, b, n->op, at, out);
}

static void eval_two(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    const struct cel_node *n = get(run, at);
    struct cel_val a, b;
    cel_eval(run, n->first, &a);
    cel_eval(run, get(run, n->first)->next, &b);
    if (a.is != KW_CEL_VALUE || b.is != KW_CEL_VALUE) {
        worst(&a, &b, out);
        return;
    }
    if (cel_spend_on(run->work, &a, 1, at, out) && cel_spend_on(run->work, &b, 1, at, out))
        operate(n, &a, &b, at, out);
    cel_drop(&a);
    cel_drop(&b);
}

static void eval_call(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    struct cel_val args[ARGS] = {{.is = KW_CEL_VALUE}}, bad = {.is = KW_CEL_VALUE}, merged;
    size_t n = 0;
    for (uint32_t k = get(run, at)->first; k != 0; k = get(run, k)->next, n++) {
        struct cel_val v;
        cel_eval(run, k, &v);
        if (v.is != KW_CEL_VALUE) {
            worst(&bad, &v, &merged);
            bad = merged;
        }
        if (n < ARGS)
            args[n] = v;
        else
            cel_drop(&v);
    }
    if (bad.is != KW_CEL_VALUE)
        *out = bad;
    else if (cel_spend_on(run->work, args, n < ARGS ? n : ARGS, at, out))
        cel_call(get(run, at), at, args, n, run->work, out);
    for (size_t i = 0; i < n && i < ARGS; i++)
        cel_drop(&args[i]);
}

/* Lists, and maps by key and value. */
static void eval_items(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    bool map = get(run, at)->is == CEL_N_MAP, claimed = false;
    struct cel_val v, key = {0}, bad = {.is = KW_CEL_VALUE}, merged;
    json_t *all = map ? json_object() : json_array();
    unsigned i = 0;
    for (uint32_t k = get(run, at)->first; k != 0; k = get(run, k)->next, i++) {
        cel_eval(run, k, &v);
        claimed = claimed || v.claimed;
        if (v.is != KW_CEL_VALUE) {
            worst(&bad, &v, &merged);
            bad = merged;
            if (map && i % 2 == 0)
                cel_drop(&key);
        } else if (!map) {
            (void)json_array_append_new(all, v.v);
        } else if (i % 2 == 0) {
            cel_drop(&key);
            key = v;
        } else if (!json_is_string(key.v)) {
            cel_drop(&v);
            if (bad.is == KW_CEL_VALUE)
                cel_set(&bad, KW_CEL_UNKNOWN, k, "a map whose keys are no strings");
        } else {
            if (json_object_getn(all, json_string_value(key.v), json_string_length(key.v)) != NULL)
                cel_set(&bad, bad.is == KW_CEL_VALUE ? KW_CEL_UNKNOWN : bad.is, k,
                        "a map that has a key twice");
            (void)json_object_setn_new(all, json_string_value(key.v), json_string_length(key.v),
                                       v.v);
        }
    }
    cel_drop(&key);
    if (bad.is == KW_CEL_VALUE) {
        cel_put(out, all, claimed);
        return;
    }
    json_decref(all);
    *out = bad;
}

void cel_eval(const struct cel_run *run, uint32_t at, struct cel_val *out)
{
    const struct cel_node *n = get(run, at);
    if (!cel_spend(run->work, 1, at, out))
        return;
    switch (n->is) {
    case CEL_N_LITERAL:
        cel_put(out, json_incref(n->value), false);
        return;
    case CEL_N_VARIABLE:
        eval_variable(run, at, out);
        return;
    case CEL_N_SELECT:
        eval_select(run, at, out);
        return;
    case CEL_N_INDEX:
        eval_index(run, at, out);
        return;
    case CEL_N_CALL:
        eval_call(run, at, out);
        return;
    case CEL_N_HAS:
        eval_has(run, at, out);
        return;
    case CEL_N_LIST:
    case CEL_N_MAP:
        eval_items(run, at, out);
        return;
    case CEL_N_AND:
    case CEL_N_OR:
        eval_logic(run, at, n->is == CEL_N_OR, out);
        return;
    case CEL_N_NOT:
        eval_not(run, at, out);
        return;
    case CEL_N_NEGATE:
        eval_negate(run, at, out);
        return;
    case CEL_N_CONDITION:
        eval_condition(run, at, out);
        return;
    case CEL_N_RELATION:
    case CEL_N_IN:
    case CEL_N_ADD:
        eval_two(run, at, out);
        return;
    case CEL_N_FOREIGN:
        cel_set(out, KW_CEL_UNKNOWN, at, "%s", n->reason);
        return;
    }
}
