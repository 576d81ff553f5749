#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup oci --print-commands, run by a stand-in for the OCI command line: what somebody chose
# is a text there, though it looks like the script's own variables; what has not this set-up's mark
# stays; what could not be looked up is not gone on with. (setupoci.sh has the usual run.)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/setupoci_lib.sh
. "$(dirname "$0")/setupoci_lib.sh"
start_admin
export TENANCY=$tenancy
mkdir "$work/elsewhere" "$work/bin"
ln -s "$ocicli" "$work/bin/oci"
run() { # what was printed last
    cp "$out" "$work/commands"
    ok 'a shell reads it' bash -n "$work/commands"
    (cd "$work/elsewhere" && PATH=$work/bin:$PATH bash -eu "$work/commands") >"$work/commands.out" 2>&1
}

# --- texts ---------------------------------------------------------------------------------------------
# shellcheck disable=SC2016 # as they are
odd=(--app '$APP and $ID' --trust "it's \$CLIENT_ID" --claim 'team=$GROUP' --rule 'sub eq repo:$USER_1/x:*')
setup "${odd[@]}" --print-commands
run
ok 'texts: they run' is $? 0
mv "$work/elsewhere/client-secret" "$secret"
setup "${odd[@]}"
ok 'texts: just what apply wants' has 'all is as wanted'
setup "${odd[@]}" --destroy --print-commands
run
ok 'texts: all gone' is "$(counts)" "$none"
rm -f "$secret"

# --- what others have to do with ---------------------------------------------------------------------------
setup --apply
id_of() { # KIND
    raw GET "$1?attributes=id"
    raw_id
}
tags='{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"tags","value":[{"key":"keyward","value":"another-set-up"}]}]}'
for kind in Apps Users Groups IdentityPropagationTrusts; do
    raw PATCH "$kind/$(id_of $kind)" "$tags"
    ok "$kind: of another set-up by now" grep -q another-set-up "$work/raw"
done
lab DELETE log
setup --destroy --print-commands
run
ok 'of others: they run' is $? 0
ok 'of others: all but the policy stays' is "$(counts)" '1 apps 0 grants 1 users 1 groups 1 trusts 0 policies'
ok 'of others: told' file_has "$work/commands.out" 'Apps keyward-lab: is not there, or not of the set-up keyward-lab: stays'
ok 'of others: nothing else was tried' is "$(requests '"method":"P[AU]')" 0
kw revoke oci --issuer-url "$LAB_ISSUER" --print-commands
run
ok 'revoke: they run' is $? 0
raw GET 'IdentityPropagationTrusts?attributes=active'
ok 'revoke: the trust is off' file_has "$work/raw" '"active":false'

# --- the token as issuer: its key is given to the script as it is, in PEM -------------------------------------
lab POST reset
rm -f "$secret"
softhsm2-util --import "$work/other.pem" --token "$label" --label issuer --id a3 --pin "$pin" >"$work/softhsm.log" 2>&1
printf '[issuer]\nkey = pkcs11:object=issuer\niss = https://hsm.example\nsub = runner-7\n' >>"$config"
own() { kw setup oci --issuer token --client-secret "file:$secret" "$@"; }
own --print-commands
run
ok 'issuer token: its key is wanted' file_has "$work/commands.out" 'ISSUER_KEY_PEM: is to be set'
lab POST reset
ISSUER_KEY_PEM=$(openssl pkey -in "$work/other.pem" -pubout)
export ISSUER_KEY_PEM
cp "$work/commands" "$out"
run
ok 'issuer token: they run' is $? 0
mv "$work/elsewhere/client-secret" "$secret"
own
ok 'issuer token: just what apply wants' has 'all is as wanted'
rm -f "$secret"
base_config

# --- what can't be looked up ------------------------------------------------------------------------------
lab POST reset
setup --print-commands
sed -i 's/--query data.name /--query data.nothing /' "$out"
run
ok 'no id: it ends there' test $? -ne 0
ok 'no id: told' file_has "$work/commands.out" 'CLIENT_ID: there is none'
ok 'no id: nothing after it' is "$(total IdentityPropagationTrusts)" 0
finish
