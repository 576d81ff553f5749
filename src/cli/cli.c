/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd.h"

static json_t *result;

int kw_cli_config(const struct kw_cli *cli, struct kw_config *c, struct kw_err *err)
{
    int r = kw_config_load(c, cli->config_path, cli->profile, err);
    c->verbosity = cli->verbosity;
    return r;
}

int kw_cli_result(json_t *o, struct kw_err *err)
{
    if (!json_is_object(o)) {
        json_decref(o);
        return kw_fail(err, KW_FAILED,
                       "the result can't be written as JSON: no memory, or not UTF-8");
    }
    json_decref(result);
    result = o;
    return 0;
}

json_t *kw_cli_take_result(void)
{
    json_t *o = result;
    result = NULL;
    return o;
}
