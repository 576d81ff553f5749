/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd.h"

int kw_cli_config(const struct kw_cli *cli, struct kw_config *c, struct kw_err *err)
{
    int r = kw_config_load(c, cli->config_path, cli->profile, err);
    c->verbosity = cli->verbosity;
    return r;
}
