# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What ci/claims-table says of a test's last run: one line in a file named after the test, in
# the folder KW_CLAIM_RESULTS. Nothing where that isn't set (by hand, or as somebody who may
# not write there). A test says that it did not finish before it does anything: one that was
# killed leaves that, and not what the run before it said.
claim_begins() { claim_result 'did not finish' 'was begun'; }
claim_result() { # VERDICT FIGURES
    [ -n "${KW_CLAIM_RESULTS:-}" ] && [ -w "$KW_CLAIM_RESULTS" ] || return 0
    echo "$1, $(date -u +%Y-%m-%d), $2" >"$KW_CLAIM_RESULTS/$(basename "$0")"
}
