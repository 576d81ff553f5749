#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup oci, interrupted at each of its requests: the request lost, its answer lost, an
# error for an answer though it was done, keyward killed meanwhile. Each time the same command
# ends where an undisturbed one ends, and nothing is there twice.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/setupoci_lib.sh
. "$(dirname "$0")/setupoci_lib.sh"
start_admin
all='1 apps 0 grants 1 users 1 groups 1 trusts 1 policies'
none='0 apps 0 grants 0 users 0 groups 0 trusts 0 policies'

again() { lab POST reset && lab DELETE log && rm -f "$secret"; }
usable() { # by what it printed
    cp "$out" "$config"
    kw exchange
    base_config
    [ "$rc" -eq 0 ]
}
converges() { # NAME: the same command, until there is no more to do: three times at most
    local i
    for i in 1 2 3; do
        [ "$rc" -eq 0 ] && break
        setup --apply
    done
    ok "$1: done at last" is "$rc" 0
    ok "$1: nothing twice" is "$(counts)" "$all"
    ok "$1: in use" usable
}

# How many requests there are of each kind, undisturbed.
again
setup --apply
writes=$(writes)
reads=$(($(requests '"path":"/admin/v1\|"target":"/admin/v1\|/20160918/policies') - writes))
ok 'an apply has requests' test "$writes" -ge 7 -a "$reads" -ge 12
ok 'undisturbed' is "$(counts)" "$all"

for kind in cut drop late-status=503; do
    for ((n = 0; n < writes; n++)); do
        again
        fault "$kind,count=1,skip=$((n)),method=[PD]*,path=/[a2]*"
        setup --apply --wait 20
        ok "$kind, write $n: by itself" is "$rc" 0
        converges "$kind, write $n"
    done
done
for n in 0 3 7 11; do
    again
    fault "cut,count=1,skip=$n,method=GET,path=/[a2]*"
    setup --apply --wait 20
    ok "cut, read $n: tried again" is "$rc" 0
    again
    fault "cut,count=9,skip=$n,method=GET,path=/[a2]*"
    setup --apply --wait 1
    ok "cut for long, read $n: temporary" test "$rc" -eq 8 -o "$rc" -eq 0
    fault
    converges "cut for long, read $n"
done
for ((n = 0; n < writes; n++)); do # killed between the request and its answer
    again
    fault "latency=30000,count=1,skip=$n,method=[PD]*,path=/[a2]*"
    kw_start setup oci --issuer github --issuer-url "$LAB_ISSUER" --repository keyward/demo --branch main \
        --client-secret "file:$secret" --service-user ci --group Deployers --statement "$statement" --apply
    for _ in $(seq 200); do
        [ "$(requests '"method":"[PD]')" -gt "$n" ] && break
        sleep 0.05
    done
    kill -9 "$(pgrep -s "$session" -x keyward)" 2>/dev/null
    kw_wait
    fault
    converges "killed, write $n"
done

# Destroyed the same way.
for kind in cut drop late-status=503; do
    for n in 0 2 4 6; do
        again
        setup --apply
        fault "$kind,count=1,skip=$n,method=[PD]*,path=/[a2]*"
        setup --destroy --wait 20
        [ "$rc" -eq 0 ] || setup --destroy
        ok "$kind, destroy $n" is "$rc" 0
        ok "$kind, destroy $n: all gone" is "$(counts)" "$none"
    done
done

# With an administrator application, whose secret and grant must not stay.
for ((n = 0; n < 14; n += 2)); do
    again
    fault "drop,count=1,skip=$n,method=[PD]*,path=/[ao]*"
    setup --apply --admin-app Admin --wait 20
    [ "$rc" -eq 0 ] || { fault && setup --apply --admin-app Admin; }
    ok "administrator, $n: done" is "$rc" 0
    ok "administrator, $n: nothing twice, and none stays" is "$(counts)" "$all"
done
finish
