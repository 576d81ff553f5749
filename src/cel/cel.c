/* SPDX-License-Identifier: Apache-2.0
 *
 * CEL: results for callers, and what lets them explain an expression: its terms, what
 * those look at, and which names it uses. */
#include "cel.h"

#include <string.h>

#include "cel_int.h"

enum { PATHS = 16 };

static void hand_over(const struct kw_cel *c, struct cel_val *v, struct kw_cel_result *ret)
{
    *ret = (struct kw_cel_result){.is = v->is, .value = v->v};
    if (v->is == KW_CEL_VALUE)
        return;
    const struct cel_node *n = &c->nodes[v->node];
    ret->at = v->node != 0 ? cel_position(c->text, n->op_at) : 0;
    (void)snprintf(ret->text, sizeof ret->text, "%s", v->why);
}

static void eval(const struct kw_cel *c, uint32_t at, const struct kw_cel_env *env,
                 struct kw_cel_result *ret)
{
    uint64_t own = KW_CEL_WORK;
    struct cel_run run = {c, env, env->work != NULL ? env->work : &own};
    struct cel_val v;
    cel_eval(&run, at, &v);
    hand_over(c, &v, ret);
}

void kw_cel_eval(const struct kw_cel *c, const struct kw_cel_env *env, struct kw_cel_result *ret)
{
    eval(c, c->top, env, ret);
}

void kw_cel_result_free(struct kw_cel_result *r)
{
    json_decref(r->value);
    r->value = NULL;
}

/* Term i of those that && joins, also through brackets; counts down *i. 0: none. */
static uint32_t term(const struct kw_cel *c, uint32_t at, size_t *i)
{
    if (c->nodes[at].is != CEL_N_AND)
        return (*i)-- == 0 ? at : 0;
    uint32_t found = 0;
    for (uint32_t k = c->nodes[at].first; k != 0 && found == 0; k = c->nodes[k].next)
        found = term(c, k, i);
    return found;
}

size_t kw_cel_terms(const struct kw_cel *c)
{
    size_t most = SIZE_MAX;
    (void)term(c, c->top, &most);
    return SIZE_MAX - most;
}

const char *kw_cel_term_text(const struct kw_cel *c, size_t i, size_t *n)
{
    const struct cel_node *t = &c->nodes[term(c, c->top, &i)];
    *n = t->end - t->start;
    return c->text + t->start;
}

void kw_cel_eval_term(const struct kw_cel *c, size_t i, const struct kw_cel_env *env,
                      struct kw_cel_result *ret)
{
    eval(c, term(c, c->top, &i), env, ret);
}

/* a.b['c'].d, down to a variable */
static bool is_path(const struct kw_cel *c, uint32_t at)
{
    while (c->nodes[at].is == CEL_N_SELECT || c->nodes[at].is == CEL_N_INDEX)
        at = c->nodes[at].first;
    return c->nodes[at].is == CEL_N_VARIABLE;
}

static void add_path(const struct kw_cel *c, uint32_t at, const struct kw_cel_env *env,
                     json_t *list)
{
    const struct cel_node *n = &c->nodes[at];
    struct kw_cel_result r;
    size_t i;
    json_t *one, *path = json_stringn(c->text + n->start, n->end - n->start);
    bool known = json_array_size(list) == PATHS;
    json_array_foreach(list, i, one)
    {
        known = known || json_equal(json_object_get(one, "path"), path);
    }
    if (known || path == NULL) {
        json_decref(path);
        return;
    }
    eval(c, at, env, &r);
    one = json_object();
    (void)json_object_set_new(one, "path", path);
    if (r.is == KW_CEL_VALUE)
        (void)json_object_set(one, "value", r.value);
    kw_cel_result_free(&r);
    (void)json_array_append_new(list, one);
}

static void collect(const struct kw_cel *c, uint32_t at, const struct kw_cel_env *env, json_t *list)
{
    const struct cel_node *n = &c->nodes[at];
    if ((n->is == CEL_N_SELECT || n->is == CEL_N_INDEX) && is_path(c, at)) {
        add_path(c, at, env, list);
        return;
    }
    for (uint32_t k = n->first; k != 0; k = c->nodes[k].next)
        collect(c, k, env, list);
}

json_t *kw_cel_term_values(const struct kw_cel *c, size_t i, const struct kw_cel_env *env)
{
    json_t *list = json_array();
    if (list != NULL)
        collect(c, term(c, c->top, &i), env, list);
    return list;
}

/* The name that at takes of a variable, NULL if it isn't that. */
static const char *member(const struct kw_cel *c, uint32_t at)
{
    const struct cel_node *n = &c->nodes[at], *of = &c->nodes[n->first];
    if (n->first == 0 || of->is != CEL_N_VARIABLE)
        return NULL;
    if (n->is == CEL_N_SELECT)
        return json_string_value(n->value);
    if (n->is == CEL_N_INDEX && c->nodes[of->next].is == CEL_N_LITERAL)
        return json_string_value(c->nodes[of->next].value);
    return NULL;
}

static void walk(const struct kw_cel *c, uint32_t at, kw_cel_seen *fn, void *arg)
{
    const struct cel_node *n = &c->nodes[at];
    const char *name = member(c, at);
    if (name != NULL) {
        fn(arg, c->names[c->nodes[n->first].variable], name);
        return;
    }
    if (n->is == CEL_N_VARIABLE)
        fn(arg, c->names[n->variable], NULL);
    if (n->is == CEL_N_LITERAL && json_is_string(n->value))
        fn(arg, NULL, json_string_value(n->value));
    for (uint32_t k = n->first; k != 0; k = c->nodes[k].next)
        walk(c, k, fn, arg);
}

void kw_cel_walk(const struct kw_cel *c, kw_cel_seen *fn, void *arg)
{
    walk(c, c->top, fn, arg);
}

static void member_part(const struct kw_cel *c, uint32_t at, struct kw_cel_part *p)
{
    uint32_t of = at;
    while (member(c, of) == NULL) {
        const struct cel_node *n = &c->nodes[of];
        bool named =
            n->is == CEL_N_SELECT ||
            (n->is == CEL_N_INDEX && json_is_string(c->nodes[c->nodes[n->first].next].value));
        if (!named)
            return;
        of = n->first;
    }
    p->kind = KW_CEL_MEMBER;
    p->variable = c->names[c->nodes[c->nodes[of].first].variable];
    p->name = member(c, of);
    p->inner = of != at;
}

struct kw_cel_part kw_cel_part(const struct kw_cel *c, uint32_t at)
{
    static const enum kw_cel_kind kinds[] = {
        [CEL_N_LITERAL] = KW_CEL_LITERAL, [CEL_N_LIST] = KW_CEL_LIST,
        [CEL_N_AND] = KW_CEL_AND,         [CEL_N_OR] = KW_CEL_OR,
        [CEL_N_IN] = KW_CEL_IN,           [CEL_N_FOREIGN] = KW_CEL_OTHER};
    at = at == 0 ? c->top : at;
    const struct cel_node *n = &c->nodes[at];
    struct kw_cel_part p = {.kind = kinds[n->is], .first = n->first, .next = n->next};
    if (n->is == CEL_N_LITERAL)
        p.literal = n->value;
    else if (n->is == CEL_N_RELATION && n->op == CEL_OP('=', '='))
        p.kind = KW_CEL_EQUAL;
    else if (n->is == CEL_N_CALL && n->method) {
        p.kind = KW_CEL_METHOD;
        p.name = json_string_value(n->value);
    } else if (n->is == CEL_N_SELECT || n->is == CEL_N_INDEX)
        member_part(c, at, &p);
    return p;
}
