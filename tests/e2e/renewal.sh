#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward run longer than a session lives: renewals that nobody notices, renewals that fail,
# and a cloud that forgets a session before its time.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start --session-life 30
printf '[audit]\nfile = %s\n' "$work/files/audit" >>"$config"
client=$(cd "$(dirname "$0")" && pwd)/ociclient
cat >"$work/files/loop" <<LOOP
for i in \$(seq \$1); do
    "$client" GET "$LAB_OBJECTS_URL/n/" 2>&1 | tail -n 1
    sleep 0.3
done
LOOP
audit_has() { grep -c -- "$1" "$work/files/audit"; }

kw run -- bash "$work/files/loop" 85
expect_exit 'longer than a life' 0
ok 'longer than a life: every request answered 200' is "$(grep -cx 200 "$out")" 85
ok 'longer than a life: renewed' test "$(sed -nE 's/.* ([0-9]+) renewals.*/\1/p' "$err")" -ge 1
ok 'longer than a life: the former keys are gone' test "$(audit_has '"why":"renewed"')" -ge 1
ok 'longer than a life: no secret' no_secrets

# The domain is out of order when the first renewal comes, and then no more. (A renewal itself
# tries again for as long as [dial] timeout says.)
export KEYWARD_DIAL_TIMEOUT=3
kw_start run -- bash "$work/files/loop" 85
sleep 4
fault 'status=503,path=/oauth2/v1/token'
for _ in $(seq 200); do # until a renewal has failed: the session has 3 seconds more then, a tenth of its life
    says 'could not be renewed' && break
    sleep 0.1
done
fault
kw_wait
expect_exit 'a renewal that fails' 0
ok 'a renewal that fails: told' says 'could not be renewed'
ok 'a renewal that fails: every request answered 200' is "$(grep -cx 200 "$out")" 85
ok 'a renewal that fails: a later one does not' not says '0 renewals'

# Out of order for good: the session serves to its end, then requests are refused.
kw_start run -- bash "$work/files/loop" 85
sleep 4
fault 'status=503,path=/oauth2/v1/token'
kw_wait
fault
expect_exit 'no renewal at all: CMD goes on' 0
ok 'no renewal at all: served until the end' test "$(grep -cx 200 "$out")" -ge 20
ok 'no renewal at all: refused after it' test "$(grep -cxE '50[0-9]' "$out")" -ge 1
ok 'no renewal at all: never 401' is "$(grep -cx 401 "$out")" 0

# 401 once: renewed and repeated, and the client sees nothing of it.
kw_start run --explain -- bash "$work/files/loop" 12
sleep 2
fault 'status=401,count=1,host=objectstorage.*'
kw_wait
expect_exit '401: CMD' 0
ok '401: the client never sees it' is "$(grep -cx 200 "$out")" 12
ok '401: renewed' says '1 renewals'
# 401 whatever happens: not for ever.
fault 'status=401,host=objectstorage.*'
kw run -- bash "$work/files/loop" 6
fault
ok '401 always: the client is told' is "$(grep -cx 401 "$out")" 6
ok '401 always: one renewal' says '1 renewals'
kw audit verify "$work/files/audit"
expect_exit 'audit log: whole' 0
finish
