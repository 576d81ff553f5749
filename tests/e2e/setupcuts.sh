#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup oci, interrupted at each of its requests: the request lost, its answer lost, an
# error for an answer though it was done. Each time the same command ends where an undisturbed
# one ends, and nothing is there twice.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/setupoci_lib.sh
. "$(dirname "$0")/setupoci_lib.sh"
start_admin

# How many requests there are of each kind, undisturbed.
again
setup --apply
writes=$(writes)
reads=$(($(requests '"path":"/admin/v1\|"target":"/admin/v1\|/20160918/policies') - writes))
ok 'an apply has requests' test "$writes" -eq 7 -a "$reads" -ge 12
ok 'undisturbed' is "$(counts)" "$all"

for kind in cut drop late-status=503; do
    for ((n = 0; n < writes; n++)); do
        again
        fault "$kind,count=1,skip=$n,method=$by"
        setup --apply --wait 20
        ok "$kind, write $n: by itself" is "$rc" 0
        met "$kind, write $n"
        converges "$kind, write $n"
    done
done
finish
