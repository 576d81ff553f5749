#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup google, interrupted at every one of its requests: a request that is lost, one that
# is done but not heard of, the network gone from there on, and keyward killed. What it can get
# over it does; what it can't, the next run does; nothing is ever made twice.
# shellcheck source=tests/e2e/setuplib.sh
. "$(dirname "$0")/setuplib.sh"

fresh() { # FAULT...: a bare project
    lab POST reset
    fault lro-polls="${polls-0}" "$@"
}
whole() { is "$rc $(everything)" '0 1 1 1 1'; }
converges() { # NAME: what the next run makes of it
    local before
    fault lro-polls="${polls-0}"
    apply
    ok "$1: the next run goes on" whole
    before=$(changes)
    apply
    ok "$1: the one after it changes nothing" is "$rc $(changes)" "0 $before"
}
google='host=*.googleapis.com'

fresh
lab DELETE log
apply
all=$(requests '"method"')
ok "there are requests: $all" test "$all" -gt 20
# Those that change something: for others it is all the same whether they were heard of.
mapfile -t writes < <(sed 's/{"time"/\n&/g' "$work/lab.out" | grep '"method"' |
    awk '/"method":"(POST|PUT)"/ && !/getIamPolicy/ { print NR - 1 }')
ok "there are changes: ${#writes[@]}" is "${#writes[@]}" 10
for ((i = 0; i < all; i++)); do
    fresh "cut,count=1,skip=$i,$google"
    apply
    ok "request $i lost: got over" whole
done
for i in "${writes[@]}"; do
    fresh "drop,count=1,skip=$i,$google"
    apply
    ok "request $i done but not heard of: got over" whole
done
for ((i = 0; i < all; i += 4)); do
    fresh "cut,skip=$i,$google"
    patience=1 apply
    ok "all from request $i on lost: a network's exit code" is "$rc" 8
    ok "all from request $i on lost: no secret told" no_secrets
    converges "all from request $i on lost"
done

# The operations that are followed.
polls=1
for i in 0 1 3 5; do
    fresh "cut,count=1,skip=$i,path=*operations*"
    apply
    ok "poll $i lost: got over" whole
    fresh "cut,skip=$i,path=*operations*"
    patience=1 apply
    ok "all polls from $i on lost: got over by looking, or told" test "$rc" -eq 0 -o "$rc" -eq 8
    converges "all polls from $i on lost"
done
polls=0

# Killed while the cloud is at it: each change once.
killed() { # METHOD SKIP PATH
    local n
    fresh "latency=700,count=1,method=$1,skip=$2,path=$3,$google"
    lab DELETE log
    kw_start setup google "${named[@]}" "${whose[@]}" "${as_admin[@]}" --apply
    sleep 0.45
    n=$session
    kill -KILL "$n" && kw_wait
    ok "killed at $1 $2 $3: it was" is "$rc" 137
    ok "killed at $1 $2 $3: no process left" no_strays
    sleep 0.6
    converges "killed at $1 $2 $3"
}
for i in 0 1 2 3; do killed POST $i '*:enable'; done
killed POST 0 '*/workloadIdentityPools'
killed POST 0 '*/providers'
killed POST 0 '*/serviceAccounts'
killed POST 0 '*:setIamPolicy'
killed PUT 0 '*/iam'

# The same on the way back.
fresh
apply
lab DELETE log
destroy
all=$(requests '"method"')
ok "destroy: there are requests: $all" test "$all" -gt 15
for ((i = 0; i < all; i += 3)); do
    fresh
    apply
    fault lro-polls=0 "drop,count=1,skip=$i,$google"
    destroy
    ok "destroy: request $i unheard: got over" is "$rc $(many "$iam/$N/$W" state) $(many "$iam/$N/serviceAccounts" email)" '0 0 0'
done
finish
