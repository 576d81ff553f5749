#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the keeper refuses to sign, and what the audit log says of it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
export KEYWARD_AUDIT_FILE=$work/files/audit KEYWARD_KEY_STORAGE=token
may_change=files/audit
namespace=$LAB_OBJECTS_URL/n/
succeeds 'exchange' exchange
lab DELETE log

refused() { # NAME "TEXT" ARGUMENT...: by request, and by sign
    local name=$1 text=$2
    shift 2
    fails "request: $name" 6 "$text" request "$@"
    fails "sign: $name" 6 "$text" sign "$@"
    ok "$name: in the audit log" test "$(tail -n 4 "$work/files/audit" | grep -c refus)" -ge 1
}
KEYWARD_POLICY_SIGN_HOST='identity.*' fails 'a pattern that is none' 2 'KEYWARD_POLICY_SIGN_HOST' exchange
KEYWARD_POLICY_SIGN_HOST='*.us-lab-1.oci.oraclecloud.com' refused 'host' 'sign.host|objectstorage' GET "$namespace"
refused 'a host of somebody else' 'sign.host|evil.test' GET https://evil.test/n/
refused 'a host that ends alike' 'sign.host' GET https://evil-oraclecloud.com/n/
KEYWARD_POLICY_SIGN_METHOD='GET HEAD' refused 'method' 'sign.method|DELETE' DELETE "$objects_url/x"
export KEYWARD_POLICY_SIGN_PATH='/n/ /n/*/o/public*'
refused 'path' 'sign.path|does not allow this path' GET "$objects_url/private"
dots() { # NAME URL: no URL for us, whatever the policy
    fails "request: $1" 2 "'.' or '..' segment" request GET "$2"
    fails "sign: $1" 2 "'.' or '..' segment" sign GET "$2"
}
dots 'dot segments'  "$objects_url/public/../private"
dots 'dot segments, encoded' "$objects_url/public/%2e%2E/private"
refused 'a query does not make a path' 'sign.path' GET "$LAB_OBJECTS_URL/other?x=/n/"
succeeds 'path: what is allowed' request GET "$namespace"
succeeds 'path: what is allowed by a pattern' request PUT -d x "$objects_url/public-1"
unset KEYWARD_POLICY_SIGN_PATH
lab GET log
ok 'nothing that was refused was sent' is "$(grep -o '"target":"/n/[^"]*"' "$work/lab.out" | sort -u | wc -l)" 2
for date in 'Sun, 06 Nov 1994 08:49:37 GMT' 'yesterday'; do
    refused "date: $date" 'x-date' GET -H "x-date: $date" "$namespace"
done
succeeds 'budgets that suffice' request GET "$namespace"
succeeds 'audit verify' audit verify "$work/files/audit"
ok 'audit: no query in it' not grep -q 'x=/n/' "$work/files/audit"
ok 'audit: no secret' not grep -qFf "$work/secrets" "$work/files/audit"
ok 'audit: mode 0600' is "$(stat -c %a "$work/files/audit")" 600
finish
