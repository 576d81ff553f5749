#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup oci as setupcuts.sh, where it is not one write that is cut off: what is read,
# keyward itself, destroying, an administrator application.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/setupoci_lib.sh
. "$(dirname "$0")/setupoci_lib.sh"
start_admin
writes=7

for n in 0 8; do
    again
    fault "cut,count=1,skip=$n,method=GET"
    setup --apply --wait 20
    ok "cut, read $n: tried again" is "$rc" 0
    met "cut, read $n"
    again
    fault "cut,count=9,skip=$n,method=GET"
    setup --apply --wait 1
    ok "cut for long, read $n: temporary" test "$rc" -eq 8 -o "$rc" -eq 0
    fault
    converges "cut for long, read $n"
done
for ((n = 0; n < writes; n++)); do # killed between the request and its answer
    again
    fault "latency=1500,count=1,skip=$n,method=$by"
    kw_start setup oci --issuer github --issuer-url "$LAB_ISSUER" --repository keyward/demo --branch main \
        --client-secret "file:$secret" --service-user ci --group Deployers --statement "$statement" --apply
    for _ in $(seq 400); do
        lab GET faults
        grep -q '"fault"' "$work/lab.out" || break
        sleep 0.05
    done
    met "killed, write $n"
    kill -9 "$session"
    kw_wait
    sleep 2 # what was sent is done
    converges "killed, write $n"
done

# Destroyed the same way.
for kind in cut drop late-status=503; do
    for n in 0 1 2 5; do
        [ "$kind" = cut ] || [ "$n" -ge 2 ] || continue
        again
        setup --apply
        by='D*'
        [ "$n" -lt 5 ] || by='P*' n=2 # after whose secret is asked, and the member taken out: the application
        fault "$kind,count=1,skip=$n,method=$by"
        setup --destroy --wait 20
        met "$kind, destroy by $by, $n"
        by='P*'
        [ "$rc" -eq 0 ] || setup --destroy
        ok "$kind, destroy $n" is "$rc" 0
        ok "$kind, destroy $n: all gone" is "$(counts)" "$none"
    done
done

# With an administrator application, whose secret and grant must not stay.
for n in 1 5 9 12; do
    again
    fault "drop,count=1,skip=$n,method=P*"
    setup --apply --admin-app Admin --wait 20
    met "administrator, $n"
    [ "$rc" -eq 0 ] || setup --apply --admin-app Admin
    ok "administrator, $n: done" is "$rc" 0
    ok "administrator, $n: nothing twice, and none stays" is "$(counts)" "$all"
done
for n in 1 2 3 4 5 6; do # made, granted, switched on, its secret, its token, as it: the member
    again
    setup --apply
    fault "drop,count=1,skip=$n,method=P*"
    setup --destroy --admin-app Admin --wait 20
    met "administrator, destroy, $n"
    [ "$rc" -eq 0 ] || setup --destroy --admin-app Admin
    ok "administrator, destroy, $n: done" is "$rc" 0
    ok "administrator, destroy, $n: all gone" is "$(counts)" "$none"
done
finish
