#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The main job: subject token to session, and signed calls that a verifying server takes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
printf '[audit]\nfile = %s\n' "$work/files/audit" >>"$config"
before=$(cd "$work/tokens" && find . -type f ! -name '*.lock' | sort)

succeeds 'claims' claims
ok 'claims: verdict' has 'verdict: accepted'
ok 'claims: the rule' has 'pass    claim.repository_id'
succeeds 'policy' policy
ok 'policy: issuer' has "$LAB_ISSUER"
succeeds 'policy --sandbox' policy --sandbox
ok 'policy --sandbox: a table' has keyctl

succeeds 'exchange' exchange
ok 'exchange: whose session' has "in $LAB_TENANCY"
ok 'exchange: key' has 'EXTRACTABLE=0'
ok 'exchange: rehearsal is said' says 'rehearsal'
ok 'exchange: no secret' no_secrets
succeeds 'exchange --json' --json exchange
ok 'exchange --json: JSON' json
ok 'exchange --json: rung' is "$(field rung)" 1
succeeds 'exchange --print-token' exchange --print-token
ok 'exchange --print-token: a JWT alone' grep -qxE '[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+' "$out"

succeeds 'namespace' request GET "$LAB_OBJECTS_URL/n/"
ok 'namespace: value' has "\"$LAB_NAMESPACE\""
succeeds 'compartments' request GET "$compartments_url"
ok 'compartments: one of them' has "$LAB_COMPARTMENT"
succeeds 'vcns' request GET "$LAB_CORE_URL/20160918/vcns?compartmentId=$LAB_COMPARTMENT"
ok 'vcns: a list' has '['

head -c 3000 /dev/urandom >"$work/body"
succeeds 'PUT an object' request PUT -d "@$work/body" "$objects_url/a.bin"
succeeds 'GET it, -o' request GET -o "$work/files/a.bin" "$objects_url/a.bin"
ok 'GET it: the same bytes' cmp -s "$work/body" "$work/files/a.bin"
ok 'GET it: nothing on standard output' test ! -s "$out"
ok 'GET it: mode 0600' is "$(stat -c %a "$work/files/a.bin")" 600
succeeds 'GET it to standard output' request GET "$objects_url/a.bin"
ok 'GET it: the same bytes again' cmp -s "$work/body" "$out"
succeeds 'list objects' request GET "$objects_url"
ok 'list objects: there' has a.bin
succeeds 'HEAD -i' request HEAD -i "$objects_url/a.bin"
ok 'HEAD -i: length' has 'content-length: 3000'
succeeds 'GET -i' request -i GET "$LAB_OBJECTS_URL/n/"
ok 'GET -i: status' has 'HTTP/1.1 200'
ok 'GET -i: request id' has 'opc-request-id: '
succeeds 'GET --json' --json request GET "$LAB_OBJECTS_URL/n/"
ok 'GET --json: JSON' json
ok 'GET --json: status' is "$(field status)" 200
succeeds 'a header of our own' request GET -H 'opc-client-request-id: e2e-test' "$LAB_OBJECTS_URL/n/"

# -o replaces whole files only.
echo old >"$work/files/old"
kw request GET -o "$work/files/old" "$objects_url/none"
expect_exit 'GET what is not there' 7
ok 'GET what is not there: the vendor says so' says 'ObjectNotFound'
ok 'GET what is not there: the old file stays' is "$(cat "$work/files/old")" old
ok 'GET what is not there: no temporary file' is "$(find "$work/files" -name 'old?*' | wc -l)" 0
rename='{"sourceName":"a.bin","newName":"b.bin"}'
succeeds 'POST' request POST -d "$rename" -H 'content-type: application/json' "${objects_url%/o}/actions/renameObject"
succeeds 'HEAD of the new name' request HEAD "$objects_url/b.bin"
kw request POST -d "$rename" "${objects_url%/o}/actions/renameObject"
ok 'POST again: there is no such object' is "$rc:$(grep -c ObjectNotFound "$err")" 7:1
succeeds 'DELETE' request DELETE "$objects_url/b.bin"
kw request GET "$objects_url/b.bin"
expect_exit 'GET after DELETE' 7

# The headers by sign, sent by curl.
signed_get() { # ARGUMENT...
    grep -E '^[a-z0-9-]+: ' "$out" >"$work/headers"
    curl -sS --cacert "$LAB_CA_FILE" --noproxy '*' --connect-to "$LAB_CONNECT_TO" --path-as-is \
        -H "@$work/headers" -o "$work/answer" -w '%{http_code}' "$@"
}
succeeds 'sign GET' sign GET "$LAB_OBJECTS_URL/n/"
ok 'sign GET: taken by the service' is "$(signed_get "$LAB_OBJECTS_URL/n/")" 200
ok 'sign GET: not for another path' is "$(signed_get "$objects_url")" 401
succeeds 'PUT what curl shall rename' request PUT -d "@$work/body" "$objects_url/c.bin"
rename='{"sourceName":"c.bin","newName":"d.bin"}'
renaming=${objects_url%/o}/actions/renameObject
succeeds 'sign POST' sign POST -d "$rename" "$renaming"
ok 'sign POST: not with another body' is "$(signed_get -d "${rename/d.bin/e.bin}" "$renaming")" 401
ok 'sign POST: taken' is "$(signed_get -d "$rename" "$renaming")" 200
succeeds 'sign --json' --json sign GET "$LAB_OBJECTS_URL/n/"
ok 'sign --json: JSON' json

succeeds 'doctor' doctor
ok 'doctor: verdict' has 'all is well'
ok 'doctor: nothing failed' not has FAIL
succeeds 'doctor --json' --json doctor
ok 'doctor --json: JSON' json
succeeds 'keys' keys
ok 'keys: none' says 'no key of keyward'
succeeds 'keys --json' --json keys
ok 'keys --json: empty' is "$(tr -d ' \n' <"$out")" '{"keys":[]}'
succeeds 'audit verify' audit verify "$work/files/audit"
succeeds 'audit verify --json' --json audit verify "$work/files/audit"
ok 'audit verify --json: JSON' json
sed '3s/"event"/"evens"/' "$work/files/audit" >"$work/files/forged"
kw audit verify "$work/files/forged"
ok 'audit verify: an edited line is found' is "$rc:$(grep -c 'forged:3: ' "$err")" 1:1
ok 'audit: no secret' not grep -qFf "$work/secrets" "$work/files/audit"

for command in exchange request sign claims doctor selftest policy keys audit; do
    kw $command --help
    ok "$command --help" is "$rc:$(head -n 1 "$out" | cut -c1-14)" '0:usage: keyward'
done
succeeds '--help config' --help config
succeeds '--version' --version

ok 'the token holds what it held' is "$(cd "$work/tokens" && find . -type f ! -name '*.lock' | sort)" "$before"
finish
