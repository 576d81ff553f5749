#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup oci and revoke oci, from nothing in a bare lab: plan, apply, use, repair,
# destroy; what isn't keyward's, who has no rights, and the scripts' setupConfig.ini. "feature N"
# are the WorkloadIdFederation scripts' own, by the table that setup is measured by; of those the
# rest is elsewhere: 13 (runtimeConfig.ini) in sources.sh, 16 and 17 (key and session are kept, the
# key in the token) in stored.sh, 22 (Terraform) in tests/interop/run, 23 (the walk-through) in claim 43.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/setupoci_lib.sh
. "$(dirname "$0")/setupoci_lib.sh"
may_change=audit.jsonl
start_admin

# --- plan and commands -----------------------------------------------------------------------
lab DELETE log
setup
expect_exit plan 0
ok 'plan: to be made' has '+ trust https://token.actions.lab.test: to be made'
ok 'plan: the rule' has '"sub eq repo:keyward/demo:ref:refs/heads/main"'
ok 'plan: says how' has 'nothing was done: --apply does it'
ok 'plan: the name can change hands' has 'is named, not numbered'
ok 'plan: nothing done' is "$(writes)" 0
ok 'plan: no secret place touched' test ! -e "$secret"
setup --json
ok 'plan: one JSON object' json
ok 'plan: JSON says it' has '"pending": 6'
lab DELETE log
setup --print-commands
expect_exit commands 0
ok 'commands: nobody asked' is "$(requests admin)" 0
cp "$out" "$work/commands"
ok 'commands: a shell reads them' bash -n "$work/commands"
mkdir "$work/elsewhere" "$work/bin"
ln -s "$ocicli" "$work/bin/oci"
(cd "$work/elsewhere" && PATH=$work/bin:$PATH bash -eu "$work/commands") >"$work/commands.out" 2>&1
ok 'commands: a tenancy is wanted' file_has "$work/commands.out" 'TENANCY: is to be set'
lab POST reset
export TENANCY=$tenancy
(cd "$work/elsewhere" && PATH=$work/bin:$PATH bash -eu "$work/commands") >"$work/commands.out" 2>&1
ok 'commands: they run' is $? 0
ok 'commands: all of it' is "$(counts)" '1 apps 0 grants 1 users 1 groups 1 trusts 1 policies'
mv "$work/elsewhere/client-secret" "$secret"
setup
ok 'commands: just what apply wants' has 'all is as wanted'
setup --destroy --print-commands
expect_exit 'commands of destroy' 0
(PATH=$work/bin:$PATH bash -eu "$out") >"$work/commands.out" 2>&1
ok 'commands of destroy: they run' is $? 0
ok 'commands of destroy: all gone' is "$(counts)" '0 apps 0 grants 0 users 0 groups 0 trusts 0 policies'
rm "$secret"

# --- apply -------------------------------------------------------------------------------------
setup --apply
expect_exit apply 0
cp "$out" "$work/made.ini"
ok 'apply: all of it' is "$(counts)" '1 apps 0 grants 1 users 1 groups 1 trusts 1 policies' # features 3 4 5 9 11 12
ok 'apply: told' says 'made trust'
ok 'apply: the secret is where it was wanted' is "$(stat -c %a "$secret")" 600
ok 'apply: and nowhere else' no_secrets
ok 'apply: the client is named' grep -qE '^client_id = [0-9a-f]{32}$' "$work/made.ini" # feature 10
ok 'apply: each call is logged' grep -q '"principal":"profile DEFAULT of ' "$work/audit.jsonl"
lab DELETE log
setup --apply
expect_exit 'apply again' 0
ok 'apply again: nothing to be done' says 'all is as wanted'
ok 'apply again: nothing done' is "$(writes)" 0
ok 'apply again: the same configuration' cmp -s "$out" "$work/made.ini"
cp "$work/made.ini" "$work/own.ini"
setup --apply -o "$work/own.ini"
ok 'apply -o: written over what it wrote' is "$rc" 0
printf '; of mine\n' >"$work/own.ini"
setup --apply -o "$work/own.ini"
ok 'apply -o: not over what is mine' is "$rc $(cat "$work/own.ini")" '2 ; of mine'
rm "$work/own.ini"

# --- what it printed is ready: features 14 15 18 19 20 21 --------------------------------------------
cp "$work/made.ini" "$config"
succeeds 'exchange' exchange
ok 'exchange: the user' has 'ocid1.user.'
succeeds 'object storage' request GET "$LAB_OBJECTS_URL/n/"
succeeds 'what the policy allows' request GET "$objects_url"
fails 'what it does not allow' 7 'NotAuthorizedOrNotFound' request GET "$compartments_url"
kw run --isolation=auto -- "${ocicli%/*}/ociclient" GET "$objects_url"
expect_exit 'run' 0
ok 'run: served' is "$(tail -n 1 "$out")" 200
base_config

# --- changed by somebody: shown, and repaired ----------------------------------------------------------
op='"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]'
raw GET 'IdentityPropagationTrusts?attributes=id' && trust=$(raw_id)
raw GET 'Users?attributes=id' && user=$(raw_id)
raw GET 'Groups?attributes=id' && group=$(raw_id)
raw GET 'Apps?attributes=id' && app=$(raw_id)
raw PATCH "IdentityPropagationTrusts/$trust" "{$op,\"Operations\":[{\"op\":\"replace\",\"path\":\"impersonationServiceUsers\",\"value\":[{\"rule\":\"sub eq *\",\"value\":\"$user\"}]},{\"op\":\"replace\",\"path\":\"active\",\"value\":false}]}"
raw PATCH "Groups/$group" "{$op,\"Operations\":[{\"op\":\"remove\",\"path\":\"members\"}]}"
setup
ok 'changed: the trust' has '~ trust https://token.actions.lab.test: to be changed'
ok 'changed: what it was' has '[{"rule":"sub eq *","user":"ci"}] -> [{"rule":"sub eq repo:keyward/demo:ref:refs/heads/main","user":"ci"}]'
ok 'changed: too wide' has 'it matches every token of this issuer'
ok 'changed: the member' has '+ member ci in Deployers'
setup --apply
expect_exit 'changed: repaired' 0
raw GET "IdentityPropagationTrusts/$trust?attributes=impersonationServiceUsers,active"
ok 'changed: repaired rule' file_has "$work/raw" '"rule":"sub eq repo:keyward/demo:ref:refs/heads/main"'
ok 'changed: switched off stays off' file_has "$work/raw" '"active":false'
ok 'changed: told' says 'is switched off and stays so'
raw PATCH "IdentityPropagationTrusts/$trust" "{$op,\"Operations\":[{\"op\":\"replace\",\"path\":\"active\",\"value\":true}]}"
raw PUT "AppStatusChanger/$app" "{\"schemas\":[\"urn:ietf:params:scim:schemas:oracle:idcs:AppStatusChanger\"],\"active\":false,\"id\":\"$app\"}"
cp "$secret" "$work/kept"
setup --apply
expect_exit 'application switched off' 0
ok 'application switched off: stays so' says 'the application keyward-lab is switched off and stays so'
ok 'application switched off: how to switch it on' says 'keyward revoke oci --restore'
ok 'application switched off: no new secret' cmp -s "$secret" "$work/kept"
kw revoke oci --restore --issuer-url "$LAB_ISSUER"
expect_exit 'application switched off: on again, by its name' 0
ok 'application switched off: told' says 'changed application keyward-lab'
mv "$secret" "$secret.lost"
lab DELETE log
setup --apply
expect_exit 'lost secret: none is made unasked' 6
ok 'lost secret: how' says '--new-client-secret makes another, which voids the one in use'
ok 'lost secret: nothing done' is "$(writes)" 0
setup --new-client-secret
ok 'lost secret: the plan says that it voids' has 'client secret: "the one in use, which is void from then on" -> "file:'
setup --apply --new-client-secret
expect_exit 'lost secret: another' 0
ok 'lost secret: not the old one' not cmp -s "$secret" "$secret.lost"
cp "$secret.lost" "$secret"
setup
expect_exit 'a secret that is not in use any more' 6
ok 'a secret that is not in use any more: told' has "isn't its secret, or no longer"
setup --apply --new-client-secret
expect_exit 'another secret' 0
setup
ok 'another secret: as wanted' has 'all is as wanted'
cp "$work/made.ini" "$config"
succeeds 'lost secret: the new one counts' exchange
base_config
setup --apply --statement 'Allow group Deployers to inspect vcns in tenancy'
expect_exit 'another statement' 0
ok 'another statement: changed' says 'changed policy keyward-lab'
setup --apply --service-user second
expect_exit 'another user' 0
ok 'another user: of the trust, too' says 'changed trust'
ok 'another user: the first stays' is "$(total Users)" 2

# --- doctor, who looks at the trust as well ------------------------------------------------------------
setup --apply
cp "$out" "$config"
client=$(sed -n 's/^client_id = //p' "$config")
succeeds doctor doctor --admin-profile DEFAULT
for line in 'ok   OCI: clock' 'ok   OCI: trust' 'ok   OCI: client: application keyward-lab' 'ok   OCI: audience' \
    'ok   OCI: rules: sub eq repo:keyward/demo:ref:refs/heads/main' 'ok   OCI: service user: ci' 'all is well'; do
    ok "doctor: $line" has "$line"
done
patch() { # ATTRIBUTE VALUE: of the trust
    raw PATCH "IdentityPropagationTrusts/$trust" "{$op,\"Operations\":[{\"op\":\"replace\",\"path\":\"$1\",\"value\":$2}]}"
}
ill() { # NAME TEXT ATTRIBUTE VALUE
    patch "$3" "$4"
    kw doctor --admin-profile DEFAULT
    ok "doctor: $1" has "FAIL OCI: $2"
    ok "doctor: $1: code" is "$rc" 7
}
raw GET "IdentityPropagationTrusts/$trust?attributes=impersonationServiceUsers"
rule=$(grep -o '"rule":"[^"]*","value":"[^"]*"' "$work/raw")
person() { echo '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"person","name":{"familyName":"C"},"emails":[{"value":"c@lab.test","type":"work"}]}'; }
ill 'switched off' 'trust: it is switched off: keyward revoke oci --restore' active false
patch active true
ill 'another client' "client: the trust's oauthClients don't have $client" oauthClients '["x"]'
patch oauthClients "[\"$client\"]"
ill 'another audience' 'audience and claims: the token'"'"'s aud is none of' clientClaimValues '["https://x"]'
patch clientClaimValues "[\"$LAB_AUDIENCE\"]"
ill 'another claim' 'audience and claims: the trust wants ref = y' claimValidations '[{"name":"ref","value":"y"}]'
patch claimValidations '[]'
ill 'a quoted rule' 'rule: sub eq '"'x'"': its value is quoted' impersonationServiceUsers "[{\"rule\":\"sub eq 'x'\",\"value\":\"$user\"}]"
ill 'no rule fits' 'rules: none fits the token' impersonationServiceUsers "[{\"rule\":\"sub eq x\",\"value\":\"$user\"}]"
ill 'too wide a rule' 'rule: sub eq *: it matches every token' impersonationServiceUsers "[{\"rule\":\"sub eq *\",\"value\":\"$user\"}]"
raw POST Users "$(person)"
person=$(raw_id)
ill 'a person' 'service user: person is no service user' impersonationServiceUsers "[{${rule%,*},\"value\":\"$person\"}]"
patch impersonationServiceUsers "[{$rule}]"
succeeds 'doctor: well again' doctor --admin-profile DEFAULT
kw doctor --admin-profile NONE
ok 'doctor: no such profile' has 'FAIL cloud: '
lab DELETE log
kw doctor --admin-key pkcs11:object=api --admin-key-id "$admin_id"
ok 'doctor: asks what it may change nothing of' is "$(requests '"method":"P[AU]')" 0
raw DELETE "Users/$person"
base_config

# --- revoke --------------------------------------------------------------------------------------------
cp "$work/made.ini" "$config"
kw revoke oci
expect_exit revoke 0
ok 'revoke: what stays valid' has 'STILL VALID'
fails 'revoke: no exchange' 7 'invalid_client|' exchange
kw revoke oci
ok 'revoke again' says 'all is as wanted'
kw revoke oci --print-commands
ok 'revoke: commands' bash -n "$out"
kw revoke oci --restore
expect_exit restore 0
succeeds 'restore: exchanges again' exchange
base_config

# --- destroy -------------------------------------------------------------------------------------------
raw POST Users '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"theirs","urn:ietf:params:scim:schemas:oracle:idcs:extension:user:User":{"serviceUser":true}}'
theirs=$(raw_id)
raw PATCH "Groups/$group" "{$op,\"Operations\":[{\"op\":\"add\",\"path\":\"members\",\"value\":[{\"value\":\"$theirs\",\"type\":\"User\"}]}]}"
setup --destroy
expect_exit destroy 0
ok 'destroy: the group has others in it' says 'it has 2 other members'
ok 'destroy: what it left' is "$(counts)" '0 apps 0 grants 2 users 1 groups 0 trusts 0 policies'
ok 'destroy: the secret is worth nothing, and gone' test ! -e "$secret"
raw GET 'Groups?attributes=members'
ok 'destroy: their member stays' file_has "$work/raw" "$theirs"
lab DELETE log
setup --destroy
ok 'destroy again: nothing' is "$(writes)" 0

# --- what isn't keyward's -------------------------------------------------------------------------------
I=urn:ietf:params:scim:schemas:oracle:idcs
lab POST reset
raw POST Apps "{\"schemas\":[\"$I:App\"],\"displayName\":\"keyward-lab\",\"basedOnTemplate\":{\"value\":\"CustomWebAppTemplateId\"}}"
raw POST IdentityPropagationTrusts "{\"schemas\":[\"$I:IdentityPropagationTrust\"],\"name\":\"Token Trust\",\"type\":\"JWT\",\"issuer\":\"$LAB_ISSUER\",\"active\":true,\"publicKeyEndpoint\":\"$LAB_ISSUER/jwks\"}"
raw POST Users '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ci","name":{"familyName":"C"},"emails":[{"value":"c@lab.test","type":"work"}]}'
lab DELETE log
setup
expect_exit 'theirs: plan' 6
ok 'theirs: the application' has "! application keyward-lab: not keyward's to change"
ok 'theirs: the trust' has "! trust https://token.actions.lab.test: not keyward's to change"
ok 'theirs: a person' has 'it is no service user, and can'"'"'t become one'
setup --apply
expect_exit 'theirs: apply' 6
kw setup oci --issuer github --issuer-url "$LAB_ISSUER/" --repository a/b --client-auth signature
ok 'theirs: another slash' has "there is one for $LAB_ISSUER, which is another issuer"
setup --destroy
expect_exit 'theirs: destroy' 0
ok 'theirs: nothing touched' is "$(writes)" 0
setup --apply --adopt
expect_exit 'a person can not be adopted' 6
setup --apply --adopt --service-user robot
expect_exit 'adopted' 0
ok 'adopted: told' says "keyward's mark: the set-up that it belongs to: \"keyward-lab\""
ok 'adopted: its name stays' says 'its name is Token Trust, which can'"'"'t be changed'
setup --service-user robot
ok 'adopted: as wanted' has 'all is as wanted'
setup --destroy --service-user robot
ok 'adopted: keyward removes it' is "$(counts)" '0 apps 0 grants 1 users 0 groups 0 trusts 0 policies'
lab POST reset
raw POST Users '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ci","urn:ietf:params:scim:schemas:oracle:idcs:extension:user:User":{"serviceUser":true}}'
raw POST Groups '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Deployers"}'
setup --apply
expect_exit 'their service user is used' 0
ok 'their service user is used: told' says 'not made by keyward: used as it is'
setup --destroy
ok 'their service user stays' is "$(counts)" '0 apps 0 grants 1 users 1 groups 0 trusts 0 policies'
echo mine >"$secret"
setup --apply
expect_exit 'a file in the way of the secret' 6
ok 'a file in the way: untouched' is "$(cat "$secret")" mine
rm "$secret"

# --- rights ----------------------------------------------------------------------------------------------
lab POST reset
for right in Apps.create Users.create Groups.create Groups.update policies.create IdentityPropagationTrusts.create; do
    fault "denied=$right"
    setup --apply
    expect_exit "no right $right" 7
    ok "no right $right: told" says "$(case $right in policies.*) echo NotAuthorizedOrNotFound ;; *) echo "$right" ;; esac)"
done
fault
setup --apply
expect_exit 'with all rights it goes on' 0
ok 'nothing twice' is "$(counts)" '1 apps 0 grants 1 users 1 groups 1 trusts 1 policies'
fault 'denied=*.read'
setup
expect_exit 'nothing may be seen' 7
ok 'nothing may be seen: of all told' is "$(grep -c "can't be looked at" "$out")" 6
fault
setup --admin-profile NOBODY
expect_exit "another key with DEFAULT's user" 7
setup --admin-profile NONE
expect_exit 'no such profile' 2
printf '[DEFAULT]\nkey_file=%s\ntenancy=t\nregion=r\n' "$HOME/api.pem" >"$work/cli.ini"
OCI_CLI_CONFIG_FILE=$work/cli.ini setup
expect_exit 'a profile without a user' 2
ok 'a profile without a user: told' says 'lacks user'
chmod 644 "$HOME/api.pem"
setup
expect_exit 'a key that others can read' 2
cp "$work/other.pem" "$HOME/api.pem" && chmod 600 "$HOME/api.pem"
setup
expect_exit 'another key' 7
ok 'another key: told' has "who asks is not known there"
cp "$work/api.pem" "$HOME/api.pem"

# --- keys and tokens of administrators ----------------------------------------------------------------------
lab POST reset
rm -f "$secret"
softhsm2-util --import "$work/api.pem" --token "$label" --label api --id a1 --pin "$pin" >"$work/softhsm.log" 2>&1
setup --apply --admin-key pkcs11:object=api --admin-key-id "$admin_id" --region "$LAB_REGION"
expect_exit 'an API key in the token' 0
ok 'an API key in the token: it signed' grep -q '"event":"sign".*"key":"client"' "$work/audit.jsonl"
setup --admin-key pkcs11:object=none --admin-key-id "$admin_id" --region "$LAB_REGION"
expect_exit 'no such key' 3
kw setup oci --issuer github --issuer-url "$LAB_ISSUER" --repository keyward/demo --client-auth signature --apply \
    --admin-key pkcs11:object=api --admin-key-id "$admin_id" --trust other --service-user ci
expect_exit 'signature: no application' 0
ok 'signature: no client in the trust' grep -qE 'oauthClients: \["[0-9a-f]{32}"\] -> nothing' "$err"
cp "$out" "$config"
sed -i "s|^; client_key = .*|client_key = pkcs11:object=api|; s|^; client_key_id = .*|client_key_id = $admin_id|" "$config"
succeeds 'signature: exchanges without a secret' exchange
base_config
openssl req -x509 -key "$work/other.pem" -subj /CN=keyward -days 2 -out "$work/client.crt" 2>"$work/openssl.log"
softhsm2-util --import "$work/other.pem" --token "$label" --label client --id a2 --pin "$pin" >"$work/softhsm.log" 2>&1
certificate() {
    kw setup oci --issuer github --issuer-url "$LAB_ISSUER" --repository keyward/demo --client-auth assertion \
        --certificate "$work/client.crt" --service-user ci "$@"
}
certificate --apply
expect_exit 'assertion' 0
ok 'assertion: certificate' says 'made certificate keyward-lab-'
ok 'assertion: no secret' says 'changed application keyward-lab'
cp "$out" "$config"
sed -i 's|^; client_key = .*|client_key = pkcs11:object=client|' "$config"
succeeds 'assertion: exchanges without a secret' exchange
base_config
certificate
ok 'assertion: done' has 'all is as wanted'
openssl req -x509 -key "$work/other.pem" -subj /CN=next -days 2 -out "$work/client.crt" 2>"$work/openssl.log"
certificate --apply
expect_exit 'assertion: another certificate' 0
ok 'assertion: another certificate: the older one goes' says 'changed older certificates of keyward-lab'
ok 'assertion: another certificate: one is there' is "$(total OAuthClientCertificates)" 1
certificate
ok 'assertion: another certificate: done' has 'all is as wanted'
kw setup oci --issuer github --issuer-url "$LAB_ISSUER" --repository keyward/demo --service-user ci --destroy
ok 'assertion: destroyed, without it at hand' says 'removed older certificates'
ok 'assertion: destroyed' is "$(total OAuthClientCertificates) $(total Apps)" '0 0'
token=$(printf '%s' '{"alg":"RS256"}' | base64 -w0 | tr -d =).$(printf '{"exp":%d}' 1000 | base64 -w0 | tr '/+' '_-' | tr -d =).c2ln
printf '%s\n' "$token" >"$work/session" && chmod 600 "$work/session"
printf '[OLD]\ntenancy=t\nkey_file=%s\nsecurity_token_file=%s\n' "$HOME/api.pem" "$work/session" >>"$HOME/.oci/config"
setup --admin-profile OLD
expect_exit 'an old session' 2
ok 'an old session: the cure' says 'oci session authenticate --profile-name OLD'

# --- where the secret goes if nobody says ----------------------------------------------------------------
lab POST reset
rm -f "$secret"
plain() { kw setup oci --issuer github --issuer-url "$LAB_ISSUER" --repository keyward/demo --branch main "$@"; }
plain --apply
expect_exit 'secret without a place' 0
ok 'secret without a place: in the home' is "$(stat -c %a "$HOME/.config/keyward/keyward-lab.secret")" 600
ok 'secret without a place: named' has "client_secret_source = file:$HOME/.config/keyward/keyward-lab.secret"
cp "$out" "$config"
succeeds 'secret without a place: exchange' exchange
plain --json
ok 'the configured place counts' has '"pending": 0'
base_config
plain --destroy
ok 'secret without a place: gone with the application' test ! -e "$HOME/.config/keyward/keyward-lab.secret"

# --- the token itself as issuer -------------------------------------------------------------------------
lab POST reset
softhsm2-util --import "$work/other.pem" --token "$label" --label issuer --id a3 --pin "$pin" >"$work/softhsm.log" 2>&1
printf '[issuer]\nkey = pkcs11:object=issuer\niss = https://hsm.example\nsub = runner-7\n' >>"$config"
own() { kw setup oci --issuer token --client-secret "file:$secret" "$@"; }
rm -f "$secret"
own --apply
expect_exit 'issuer token' 0
ok 'issuer token: its key is in the trust' says 'publicCertificate: "-----BEGIN PUBLIC KEY'
{ cat "$out" && printf '[issuer]\nkey = pkcs11:object=issuer\niss = https://hsm.example\nsub = runner-7\n'; } >"$work/own.ini"
cp "$work/own.ini" "$config"
succeeds 'issuer token: exchange' exchange
own
ok 'issuer token: again, nothing' has 'all is as wanted'
base_config

# --- the scripts' file, as it is: features 1 2 6 7 8 and the trust by their names ---------------------------
lab POST reset
cat >"$work/setupConfig.ini" <<END
[IdentityDomain]
iam_guid = $LAB_DOMAIN_URL ; the domain's URL
[OCIConfig]
cli_profile = DEFAULT
[WIFConfig]
admin_app_name = AdminClient
token_Exchange_app_name = TokenExchangeClient
[ServiceUserConfig]
user_name = ServiceUser
[TrustConfiguration]
issuer = $LAB_ISSUER
jwk_uri = $LAB_ISSUER/.well-known/jwks ; its keys
impersonationrule = sub eq repo:keyward/demo:*
END
cp "$work/setupConfig.ini" "$work/before.ini"
scripts() { kw setup oci --from "$work/setupConfig.ini" --client-secret "file:$secret" "$@"; }
rm -f "$secret"
scripts
expect_exit 'scripts: plan' 0
ok 'scripts: an administrator for the while' has '+ administrator application AdminClient: to be made'
scripts --apply
expect_exit 'scripts: apply' 0
cp "$out" "$work/made.ini"
ok 'scripts: no administrator stays' is "$(counts)" '1 apps 0 grants 1 users 0 groups 1 trusts 0 policies'
ok 'scripts: it was one' grep -q '"principal":"app [0-9a-f]* (admin)"' <(lab GET log && cat "$work/lab.out")
ok 'scripts: their file is as it was' cmp -s "$work/setupConfig.ini" "$work/before.ini"
ok 'scripts: nothing secret told' no_secrets
lab DELETE log
scripts --apply
ok 'scripts: again, nothing' says 'all is as wanted'
ok 'scripts: again, nothing done' is "$(writes)" 0
cp "$work/made.ini" "$config"
succeeds 'scripts: exchange' exchange
base_config
scripts --destroy
ok 'scripts: destroyed' is "$(counts)" '0 apps 0 grants 0 users 0 groups 0 trusts 0 policies'
sed 's/admin_app_name.*/admin_app_name =/' "$work/setupConfig.ini" >"$work/without.ini"
kw setup oci --from "$work/without.ini" --client-secret "file:$secret" --rule 'sub eq x -> Second' --rule 'groups co y' \
    --claim ref=refs/heads/main --clock-skew 30 --rpst ciworkload --propagate ref --audience '' --apply
expect_exit 'all fields of a trust' 0
raw GET 'IdentityPropagationTrusts?attributes=impersonationServiceUsers,claimValidations,claimPropagations,clockSkewSeconds,subjectType,impersonatingResource,clientClaimName'
for text in '"rule":"sub eq x"' '"rule":"groups co y"' '"name":"ref"' '"claimPropagations":["ref"]' '"clockSkewSeconds":30' '"subjectType":"Resource"' '"impersonatingResource":"ciworkload"'; do
    ok "all fields: $text" file_has "$work/raw" "$text"
done
ok 'all fields: no audience' not file_has "$work/raw" clientClaimName
ok 'all fields: two users' is "$(total Users)" 2
ok 'all fields: co is wide' says 'use eq'
ok 'all fields: rpst' has 'res_type = ciworkload'

# --- a bearer, and what can't be meant -----------------------------------------------------------------------
echo not.a.token >"$work/bearer" && chmod 600 "$work/bearer"
setup --admin-token-file "$work/bearer"
expect_exit 'bearer: IAM takes none' 2
kw setup oci --issuer github --repository a/b --admin-token-file "$work/bearer"
expect_exit 'bearer: not known' 7
for wrong in '--client-secret=hunter2' '--rule=sub' '--rule=sub co a*' '--clock-skew=x' '--claim=x' '--propagate=x' '--client-auth=none' \
    '--domain-url=http://x' '--domain-url=https://x/y' '--admin-key=pkcs11:object=x' '--from=/none' "--from=$config" '--project=x' "--service-user=$(printf 'a\tb')"; do
    lab DELETE log
    setup "$wrong"
    ok "$wrong: refused" is "$rc" 2
    ok "$wrong: before anything is asked" is "$(requests admin)" 0
done
ok 'no secret told, ever' no_secrets
setup --client-secret fd:9 --apply 9>"$work/by-fd"
ok 'a secret to a descriptor' grep -qE '^[0-9a-f]{64}$' "$work/by-fd"

# --- no place for a secret: where keyward prints, where its keyward.ini goes, what is no file ------------------
refused() { # NAME TEXT ARGUMENT...
    local name=$1 text=$2
    shift 2
    lab DELETE log
    setup "$@"
    expect_exit "$name" 2
    ok "$name: told" says "$text"
    ok "$name: before anything is asked" is "$(requests admin)" 0
}
lab POST reset
for fd in 0 1 2; do
    refused "secret to fd:$fd" 'where the secret would stand among what keyward prints' --apply --client-secret "fd:$fd"
done
rm -f "$secret"
ln -s "$work" "$work/linked"
for output in "$secret" ../secret "$work/linked/secret"; do
    refused "-o $output" 'is where the client secret goes' --apply -o "$output"
    ok "-o $output: nothing there" test ! -e "$secret"
done
echo kept >"$secret"
ln -s "$secret" "$work/link"
ln "$secret" "$work/hard"
for output in "$secret" "$work/link" "$work/hard"; do
    refused "-o $output, which is there" 'is where the client secret goes' --apply -o "$output"
    ok "-o $output, which is there: as it was" is "$(cat "$secret")" kept
done
rm "$secret" "$work/link" "$work/hard"
exec 9>"$work/by-fd"
refused '-o to the descriptor'"'"'s file' 'is where the client secret goes' --apply --client-secret fd:9 -o "$work/by-fd"
exec 9>&-
mkfifo "$work/pipe"
for place in "$work/bin" /dev/null "$work/pipe"; do
    refused "secret in $place" 'no regular file' --apply --client-secret "file:$place"
done

# --- what would be taken for something else ------------------------------------------------------------------
for rule in 'sub eq x -> a -> b' 'sub eq x ->y' 'sub eq x-> y' 'sub eq x->y'; do
    refused "rule $rule" 'with one arrow and a blank on each side' --rule "$rule"
done
for wrong in '--group= lead' '--group=lead ' '--app= a' '--service-user=ci ' '--trust= t' '--rule=sub eq x  -> ci' '--rule=sub eq x ->  ci'; do
    refused "$wrong" 'begins or ends with a blank' "$wrong"
done

# --- what no rule says --------------------------------------------------------------------------------------
plan_of() { kw setup oci --client-auth signature --service-user ci --print-commands "$@"; }
unsaid() { # OPTION CLAIM ARGUMENT...: refused, unless the trust is to look at it besides
    local option=$1 claim=$2
    shift 2
    plan_of "$@"
    expect_exit "unsaid: $*" 2
    ok "unsaid: $*: told" says "$option: no rule of OCI's"
    ok "unsaid: $*: how else" says "add --claim $claim"
    plan_of "$@" --claim "$claim"
    expect_exit "said by --claim: $*" 0
}
unsaid --branch ref=refs/heads/main --issuer github --repository a/b --environment prod --branch main
unsaid --repository-id repository_id=1 --issuer github --repository a/b --repository-id 1
unsaid --owner-id repository_owner_id=1 --issuer github --repository a/b --owner-id 1
unsaid --environment environment=prod --issuer gitlab --repository a/b --environment prod
unsaid --repository-id project_id=1 --issuer gitlab --repository a/b --repository-id 1 --branch main
unsaid --owner-id namespace_id=1 --issuer gitlab --repository a/b --owner-id 1
unsaid --branch oidc.circleci.com/vcs-ref=refs/heads/main --issuer circleci --owner-id 5b1c --repository-id aa11 --branch main
for said in '--issuer github --repository a/b --repository-id 1 --owner-id 2 --environment prod' '--issuer gitlab --repository a/b --branch main' \
    '--issuer circleci --owner-id 5b1c --repository-id aa11' '--issuer buildkite --repository a/b --branch main'; do
    # shellcheck disable=SC2086 # arguments
    plan_of $said
    expect_exit "said: $said" 0
done

# --- what could not be looked at, and what is not there --------------------------------------------------------
fault 'denied=*.read'
setup
expect_exit 'not looked at' 7
ok 'not looked at: not counted' has '0 to be made or changed, 6 could not be looked at; nothing was done'
setup --json
ok 'not looked at: nor in JSON' has '"pending": 0'
setup --destroy
ok 'not looked at: not said to be gone' says '0 to be removed, 7 could not be looked at; nothing was done'
fault
kw revoke oci --issuer-url "$LAB_ISSUER"
expect_exit 'revoke: nothing there' 7
ok 'revoke: nothing there: said' says 'application keyward-lab: not there'
ok 'revoke: nothing there: which is not as wanted' not says 'keyward-lab: as wanted'

# --- commands that somebody pastes, and pastes again -----------------------------------------------------------
setup --print-commands
cp "$out" "$work/commands"
mkdir "$work/pasted"
paste() { (cd "$work/pasted" && PATH=$work/bin:$PATH setsid -w bash --norc -i <"$work/commands") >"$work/commands.out" 2>&1; }
paste
ok 'pasted: all of it' is "$(counts)" '1 apps 0 grants 1 users 1 groups 1 trusts 1 policies'
ok 'pasted: the secret' grep -qE '^[0-9a-f]{64}$' "$work/pasted/client-secret"
ok 'pasted: nobody else reads it' is "$(stat -c %a "$work/pasted/client-secret")" 600
cp "$work/pasted/client-secret" "$work/kept"
lab DELETE log
paste
ok 'pasted again: the secret is as it was' cmp -s "$work/pasted/client-secret" "$work/kept"
ok 'pasted again: told' file_has "$work/commands.out" 'client-secret is there already: move it away'
ok 'pasted again: nobody asked' is "$(requests admin)" 0
rm "$work/pasted/client-secret"
paste
ok 'pasted over an application: no secret' test ! -e "$work/pasted/client-secret"
ok 'pasted over an application: the first that fails is the last' is "$(writes)" 1
finish
