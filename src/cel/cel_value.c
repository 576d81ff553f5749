/* SPDX-License-Identifier: Apache-2.0
 *
 * CEL: operators on two values. Where versions of the language differ it is said so. */
#include <stdio.h>
#include <string.h>

#include "cel_int.h"

/* What one comparison of two values comes to. */
enum same { SAME, OTHER, MIXED, UNSURE };

enum { EXACT_BITS = 53 };

static bool exact(json_int_t i)
{
    const json_int_t most = (json_int_t)1 << EXACT_BITS;
    return i >= -most && i <= most;
}

static double number(const json_t *v)
{
    return json_number_value(v);
}

const char *cel_type(const struct cel_val *v)
{
    switch (json_typeof(v->v)) {
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return v->claimed ? "a number" : "an int";
    case JSON_REAL:
        return v->claimed ? "a number" : "a double";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a bool";
    case JSON_NULL:
        return "null";
    case JSON_ARRAY:
        return "a list";
    case JSON_OBJECT:
        return "a map";
    }
    return "nothing";
}

/* -1, 0, 1; false: the two can't be told apart without knowing what a claimed number is.
 * An int and a double that are no claims: only newer versions compare those. */
static bool compare_numbers(const json_t *a, bool a_claimed, const json_t *b, bool b_claimed,
                            int *ret)
{
    bool ints = json_is_integer(a) && json_is_integer(b);
    if (ints && ((!a_claimed && !b_claimed) ||
                 (exact(json_integer_value(a)) && exact(json_integer_value(b))))) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        *ret = (x > y) - (x < y);
        return true;
    }
    bool mixed = json_is_integer(a) != json_is_integer(b);
    if (ints || (mixed && !a_claimed && !b_claimed) ||
        (json_is_integer(a) && !exact(json_integer_value(a))) ||
        (json_is_integer(b) && !exact(json_integer_value(b))))
        return false;
    double x = number(a), y = number(b);
    *ret = (x > y) - (x < y);
    return true;
}

static enum same worse(enum same a, enum same b)
{
    return a == OTHER || b == OTHER     ? OTHER
           : a == UNSURE || b == UNSURE ? UNSURE
           : a == MIXED                 ? a
                                        : b;
}

static enum same equal(json_t *a, bool a_claimed, json_t *b, bool b_claimed);

static enum same equal_lists(const json_t *a, bool a_claimed, const json_t *b, bool b_claimed)
{
    if (json_array_size(a) != json_array_size(b))
        return OTHER;
    enum same r = SAME;
    for (size_t i = 0; i < json_array_size(a) && r != OTHER; i++)
        r = worse(r, equal(json_array_get(a, i), a_claimed, json_array_get(b, i), b_claimed));
    return r;
}

static enum same equal_maps(json_t *a, bool a_claimed, const json_t *b, bool b_claimed)
{
    const char *key;
    size_t n;
    json_t *v;
    if (json_object_size(a) != json_object_size(b))
        return OTHER;
    enum same r = SAME;
    json_object_keylen_foreach(a, key, n, v)
    {
        json_t *other = json_object_getn(b, key, n);
        r = other == NULL ? OTHER : worse(r, equal(v, a_claimed, other, b_claimed));
        if (r == OTHER)
            break;
    }
    return r;
}

static enum same equal(json_t *a, bool a_claimed, json_t *b, bool b_claimed)
{
    int order;
    if (json_is_number(a) && json_is_number(b)) {
        if (!compare_numbers(a, a_claimed, b, b_claimed, &order))
            return UNSURE;
        return order == 0 ? SAME : OTHER;
    }
    if (json_is_boolean(a) && json_is_boolean(b))
        return json_is_true(a) == json_is_true(b) ? SAME : OTHER;
    if (json_typeof(a) != json_typeof(b))
        return MIXED;
    if (json_is_string(a))
        return json_equal(a, b) ? SAME : OTHER;
    if (json_is_array(a))
        return equal_lists(a, a_claimed, b, b_claimed);
    if (json_is_object(a))
        return equal_maps(a, a_claimed, b, b_claimed);
    return SAME; /* null */
}

static void tell_mixed(const struct cel_val *a, const struct cel_val *b, bool negated,
                       uint32_t node, struct cel_val *out)
{
    bool quotes = json_is_string(a->v) != json_is_string(b->v);
    bool bare = json_is_boolean(a->v) || json_is_boolean(b->v) || json_is_number(a->v) ||
                json_is_number(b->v);
    cel_set(out, negated ? KW_CEL_UNKNOWN : KW_CEL_NOT_TRUE, node,
            "%s is compared with %s: %s, depending on the version of CEL%s", cel_type(a),
            cel_type(b), negated ? "true or an error" : "false or an error",
            quotes && bare ? "; in quotes the other would be a string, too" : "");
}

void cel_equal(const struct cel_val *a, const struct cel_val *b, bool negated, uint32_t node,
               struct cel_val *out)
{
    enum same r = equal(a->v, a->claimed, b->v, b->claimed);
    if (r == UNSURE)
        cel_set(out, KW_CEL_UNKNOWN, node, "numbers of different or unsure types are compared");
    else if (r == MIXED)
        tell_mixed(a, b, negated, node, out);
    else
        cel_put(out, json_boolean((r == SAME) != negated), false);
}

static int compare_strings(const json_t *a, const json_t *b)
{
    size_t n = json_string_length(a), m = json_string_length(b);
    /* UTF-8 sorts by bytes as its characters do */
    int r = memcmp(json_string_value(a), json_string_value(b), n < m ? n : m);
    return r != 0 ? r : (n > m) - (n < m);
}

void cel_order(const struct cel_val *a, const struct cel_val *b, unsigned op, uint32_t node,
               struct cel_val *out)
{
    int r;
    if (json_is_string(a->v) && json_is_string(b->v)) {
        r = compare_strings(a->v, b->v);
    } else if (json_is_number(a->v) && json_is_number(b->v)) {
        if (!compare_numbers(a->v, a->claimed, b->v, b->claimed, &r)) {
            cel_set(out, KW_CEL_UNKNOWN, node, "numbers of different or unsure types are compared");
            return;
        }
    } else if (json_is_boolean(a->v) && json_is_boolean(b->v)) {
        r = json_is_true(a->v) - json_is_true(b->v);
    } else {
        cel_set(out, KW_CEL_ERROR, node, "%s and %s have no order", cel_type(a), cel_type(b));
        return;
    }
    bool less = (op & 0xff) == '<', or_equal = op >> 8 == '=';
    cel_put(out, json_boolean(r == 0 ? or_equal : (r < 0) == less), false);
}

static void in_map(const struct cel_val *item, const struct cel_val *in, uint32_t node,
                   struct cel_val *out)
{
    if (json_is_string(item->v))
        cel_put(out,
                json_boolean(json_object_getn(in->v, json_string_value(item->v),
                                              json_string_length(item->v)) != NULL),
                false);
    else
        cel_set(out, KW_CEL_NOT_TRUE, node,
                "%s is looked for among a map's keys, which are strings: false or an error, "
                "depending on the version of CEL",
                cel_type(item));
}

void cel_in(const struct cel_val *item, const struct cel_val *in, uint32_t node,
            struct cel_val *out)
{
    if (json_is_object(in->v)) {
        in_map(item, in, node, out);
        return;
    }
    if (!json_is_array(in->v)) {
        cel_set(out, KW_CEL_ERROR, node, "'in' needs a list or a map, not %s", cel_type(in));
        return;
    }
    bool unsure = false;
    struct cel_val mixed = {.claimed = in->claimed};
    for (size_t i = 0; i < json_array_size(in->v); i++) {
        json_t *one = json_array_get(in->v, i);
        enum same r = equal(item->v, item->claimed, one, in->claimed);
        if (r == SAME) {
            cel_put(out, json_true(), false);
            return;
        }
        unsure = unsure || r == UNSURE;
        if (r == MIXED)
            mixed.v = one;
    }
    if (unsure)
        cel_set(out, KW_CEL_UNKNOWN, node, "numbers of different or unsure types are compared");
    else if (mixed.v != NULL)
        tell_mixed(item, &mixed, false, node, out);
    else
        cel_put(out, json_false(), false);
}

static void add_ints(const struct cel_val *a, const struct cel_val *b, uint32_t node,
                     struct cel_val *out)
{
    json_int_t sum, x = json_integer_value(a->v), y = json_integer_value(b->v);
    bool over = __builtin_add_overflow(x, y, &sum);
    if (a->claimed != b->claimed || (a->claimed && (over || !exact(sum) || !exact(x) || !exact(y))))
        cel_set(out, KW_CEL_UNKNOWN, node,
                "a claim's number is added to an int, for which it may have the wrong type; int() "
                "makes it one");
    else if (over)
        cel_set(out, KW_CEL_ERROR, node, "the sum is out of bounds");
    else
        cel_put(out, json_integer(sum), a->claimed);
}

static void add_strings(const json_t *a, const json_t *b, uint32_t node, struct cel_val *out)
{
    struct kw_buf sum;
    kw_buf_init(&sum, KW_CEL_BYTES);
    kw_put(&sum, json_string_value(a), json_string_length(a));
    kw_put(&sum, json_string_value(b), json_string_length(b));
    if (sum.bad)
        cel_set(out, KW_CEL_UNKNOWN, node, "a string of more than %d bytes", KW_CEL_BYTES);
    else
        cel_put(out, json_stringn(kw_buf_str(&sum), sum.len), false);
    kw_buf_free(&sum);
}

static void add_lists(const struct cel_val *a, const struct cel_val *b, uint32_t node,
                      struct cel_val *out)
{
    json_t *sum = json_copy(a->v);
    if (json_array_size(a->v) + json_array_size(b->v) > KW_CEL_ITEMS)
        cel_set(out, KW_CEL_UNKNOWN, node, "a list of more than %d items", KW_CEL_ITEMS);
    else if (sum == NULL || json_array_extend(sum, b->v) != 0)
        cel_put(out, NULL, false);
    else
        cel_put(out, json_incref(sum), a->claimed || b->claimed);
    json_decref(sum);
}

void cel_add(const struct cel_val *a, const struct cel_val *b, uint32_t node, struct cel_val *out)
{
    if (json_is_string(a->v) && json_is_string(b->v))
        add_strings(a->v, b->v, node, out);
    else if (json_is_array(a->v) && json_is_array(b->v))
        add_lists(a, b, node, out);
    else if (json_is_integer(a->v) && json_is_integer(b->v))
        add_ints(a, b, node, out);
    else if (json_is_number(a->v) && json_is_number(b->v))
        cel_set(out, KW_CEL_UNKNOWN, node, "sums of doubles");
    else
        cel_set(out, KW_CEL_ERROR, node, "%s and %s can't be added", cel_type(a), cel_type(b));
}

static void index_list(const struct cel_val *of, const struct cel_val *by, uint32_t node,
                       struct cel_val *out)
{
    size_t n = json_array_size(of->v);
    json_int_t i = json_integer_value(by->v);
    if (json_is_number(by->v) && (by->claimed || json_is_real(by->v)))
        cel_set(out, KW_CEL_UNKNOWN, node, "an index that may be a double");
    else if (!json_is_integer(by->v))
        cel_set(out, KW_CEL_ERROR, node, "a list's index is %s", cel_type(by));
    else if (i < 0 || (size_t)i >= n)
        cel_set(out, KW_CEL_ERROR, node, "index %lld of a list that has %zu", (long long)i, n);
    else
        cel_put(out, json_incref(json_array_get(of->v, (size_t)i)), of->claimed);
}

void cel_index(const struct cel_val *of, const struct cel_val *by, uint32_t node, const char *path,
               struct cel_val *out)
{
    if (json_is_array(of->v)) {
        index_list(of, by, node, out);
        return;
    }
    if (!json_is_object(of->v)) {
        cel_set(out, KW_CEL_ERROR, node, "%s: %s has no members", path, cel_type(of));
        return;
    }
    json_t *v = json_is_string(by->v)
                    ? json_object_getn(of->v, json_string_value(by->v), json_string_length(by->v))
                    : NULL;
    if (v == NULL)
        cel_set(out, KW_CEL_ERROR, node, "%s is absent", path);
    else
        cel_put(out, json_incref(v), of->claimed);
}

/* --- work -------------------------------------------------------------------------- */

bool cel_spend(uint64_t *work, uint64_t steps, uint32_t node, struct cel_val *out)
{
    if (*work >= steps) {
        *work -= steps;
        return true;
    }
    *work = 0;
    cel_set(out, KW_CEL_UNKNOWN, node, "evaluating it would be too much work");
    return false;
}

/* How many steps looking at all of a value takes, `most` at most. */
static uint64_t weight(json_t *v, uint64_t most)
{
    enum { BYTES = 16 }; /* of a string that are looked at in one step */
    const char *key;
    size_t i;
    json_t *one;
    uint64_t n = 1 + json_string_length(v) / BYTES;
    json_array_foreach(v, i, one)
    {
        if (n >= most)
            break;
        n += weight(one, most - n);
    }
    json_object_foreach(v, key, one)
    {
        if (n >= most)
            break;
        n += strlen(key) / BYTES + weight(one, most - n);
    }
    return n < most ? n : most;
}

bool cel_spend_on(uint64_t *work, const struct cel_val *v, size_t n, uint32_t node,
                  struct cel_val *out)
{
    uint64_t steps = 0, most = *work + 1;
    for (size_t i = 0; i < n && steps < most; i++)
        steps += weight(v[i].v, most - steps);
    return cel_spend(work, steps, node, out);
}
