#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup oci where others are there: another set-up of the same domain and issuer, a secret
# that is in use, a trust that can't be switched off, an administrator application that something
# goes wrong with, a name that is taken.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/setupoci_lib.sh
. "$(dirname "$0")/setupoci_lib.sh"
may_change=audit.jsonl
start_admin
printf '[oci other]\ndomain_url = %s\n' "$LAB_DOMAIN_URL" >"$work/other.ini"
both() { base_config && cat "$work/other.ini" >>"$config"; }
other() { # ARGUMENT...: the set-up of another profile, for another repository of the same issuer
    "$KW_BIN/keyward" --config "$config" --profile other setup oci --issuer github --issuer-url "$LAB_ISSUER" \
        --repository keyward/second --branch main --client-secret "file:$work/other-secret" --group Deployers "$@" \
        >"$out" 2>"$err" </dev/null
    rc=$?
    [ ! -e "$work/other-secret" ] || { cat "$work/other-secret" && echo; } >>"$work/secrets"
}
# shellcheck disable=SC2317 # is_off is called by ok
app_id() { raw GET "Apps?filter=displayName%20eq%20%22$1%22&attributes=id,name,active" && raw_id; }

# --- two set-ups, one issuer ---------------------------------------------------------------------
both
setup --apply
expect_exit first 0
lab DELETE log
other --apply
expect_exit 'second: not unasked' 6
ok 'second: whose the trust is' says 'it belongs to the set-up keyward-lab, and OCI has one trust for an issuer'
ok 'second: what to do' says "all as --rule 'CLAIM eq VALUE -> USER'"
ok 'second: the group, too' says 'it belongs to the set-up keyward-lab: used as it is'
ok 'second: nothing done' is "$(writes)" 0
other --destroy
ok 'second: its --destroy removes nothing of the first' is "$(writes)" 0
setup
ok 'first: as it was' has 'all is as wanted'
other --apply --adopt
expect_exit 'second: adopts' 0
ok 'second: adopts: from whom' says "the set-up that it belongs to: \"keyward-lab\" -> \"keyward-other\""
ok 'second: adopts: what that means' says 'is taken away from the set-up keyward-lab: its rules are replaced'
setup
expect_exit 'first: has lost it' 6
ok 'first: to whom' has 'it belongs to the set-up keyward-other'
setup --destroy
ok 'first: --destroy leaves it' is "$(total IdentityPropagationTrusts) $(total Groups)" '1 1'
other --destroy
expect_exit 'second: destroyed' 0
ok 'second: all gone' is "$(counts)" "$none"
# The way that does it: both rules in the one set-up.
rules=(--rule 'sub eq repo:keyward/demo:ref:refs/heads/main' --rule 'sub eq repo:keyward/second:ref:refs/heads/main -> second')
setup --apply "${rules[@]}"
expect_exit 'both rules' 0
ok 'both rules: two users' is "$(total Users)" 2
setup "${rules[@]}"
ok 'both rules: again, nothing' has 'all is as wanted'
# A rule that is not given any more is somebody's repository.
setup
ok 'a rule less: told' has 'the trust loses the rule sub eq repo:keyward/second:ref:refs/heads/main: whom it lets in is let in no more'
# Two issuers of one profile share the rest of it.
two() { kw setup oci --issuer https://second.test --jwks-url https://second.test/jwks --subject job --client-secret "file:$secret" \
    --service-user ci --group Deployers --statement "$statement" "$@"; }
setup --apply
two --apply
expect_exit 'two issuers' 0
ok 'two issuers: two trusts' is "$(total IdentityPropagationTrusts)" 2
two --destroy
expect_exit 'two issuers: one goes' 0
ok 'two issuers: one goes: why the rest stays' says "the trust in $LAB_ISSUER needs it: it stays"
ok 'two issuers: one goes: the rest' is "$(total Apps) $(total Groups) $(total IdentityPropagationTrusts) $(policies)" '1 1 1 1'
setup
ok 'two issuers: the other is as it was' has 'all is as wanted'
# A page of the trusts says nothing of what the others need.
two --apply
fault 'page=1,path=*/IdentityPropagationTrusts*'
lab DELETE log
two --destroy
expect_exit 'a page of the trusts' 7
ok 'a page of the trusts: told' says 'looking for trusts that need it: the cloud shows 1 of 2'
ok 'a page of the trusts: nothing done' is "$(writes)" 0
fault
two --destroy
expect_exit 'all the trusts' 0
# A service user that somebody switched off stays so.
raw GET 'Users?filter=userName%20eq%20%22ci%22&attributes=id' && user=$(raw_id)
switch_user() { raw PATCH "Users/$user" "{\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:PatchOp\"],\"Operations\":[{\"op\":\"replace\",\"path\":\"active\",\"value\":$1}]}"; }
switch_user false
setup --apply
expect_exit 'a service user that is off' 0
ok 'a service user that is off: told' says 'the service user ci is switched off and stays so'
switch_user true
# What somebody else tagged so is somebody else's.
raw GET 'IdentityPropagationTrusts?attributes=id' && trust=$(raw_id)
raw PATCH "IdentityPropagationTrusts/$trust" '{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"tags","value":[{"key":"keyward","value":"yes"}]}]}'
setup "${rules[@]}"
expect_exit 'a tag of that key' 6
ok 'a tag of that key: whose' has 'it belongs to the set-up yes'
setup --destroy
ok 'a tag of that key: stays' is "$(total IdentityPropagationTrusts)" 1
ok 'a tag of that key: with what it names' is "$(total Apps) $(total Groups)" '1 1'
ok 'a tag of that key: told' says "the trust in $LAB_ISSUER needs it: it stays"
again
# A policy's tags: ours is set, others' stay.
setup --apply
policy=$("$ocicli" iam policy list --compartment-id "$tenancy" --name keyward-lab)
ok 'policy: marked' grep -q '"freeformTags":{"keyward":"keyward-lab"}' <<<"${policy// /}"
id=$(sed -n 's/.*"id": *"\(ocid1.policy[^"]*\)".*/\1/p' <<<"$policy")
"$ocicli" raw-request --http-method PUT --target-uri "$LAB_IDENTITY_URL/20160918/policies/$id" \
    --request-body '{"freeformTags":{"keyward":"keyward-lab","team":"x"}}' >"$work/raw"
setup --apply --statement 'Allow group Deployers to inspect vcns in tenancy'
expect_exit 'policy: changed' 0
policy=$("$ocicli" iam policy list --compartment-id "$tenancy" --name keyward-lab)
ok "policy: others' tags stay" grep -q '"team":"x"' <<<"${policy// /}"
"$ocicli" raw-request --http-method PUT --target-uri "$LAB_IDENTITY_URL/20160918/policies/$id" \
    --request-body '{"freeformTags":{"keyward":"keyward-other"}}' >"$work/raw"
setup
expect_exit "another set-up's policy" 6
setup --destroy
ok "another set-up's policy stays" is "$(policies)" 1
"$ocicli" raw-request --http-method DELETE --target-uri "$LAB_IDENTITY_URL/20160918/policies/$id" >"$work/raw"

# --- without a profile, and with the keyward.ini of that ---------------------------------------------
again
plain() { # CONFIG ARGUMENT...
    "$KW_BIN/keyward" --config "$1" setup oci --domain-url "$LAB_DOMAIN_URL" --issuer github --issuer-url "$LAB_ISSUER" \
        --repository keyward/demo --client-secret "file:$secret" "${@:2}" >"$out" 2>"$err" </dev/null
    rc=$?
}
sed -i '/^\[oci /,/^domain_url/d' "$config"
plain "$config" --apply
expect_exit 'no profile' 0
cp "$out" "$work/default.ini" && chmod 600 "$work/default.ini"
plain "$work/default.ini"
ok 'no profile: its keyward.ini is the same set-up' has 'all is as wanted'
base_config

# --- the secret in use ---------------------------------------------------------------------------------
again
setup --apply --client-secret "file:$work/no/such/folder/secret"
expect_exit 'no place for the secret' 1
ok 'no place for the secret: told' says 'there is no place for a client secret, so none was made'
ok 'no place for the secret: nothing made' is "$(total Apps)" 0
lab DELETE log
setup --apply --client-secret fd:9
expect_exit 'a descriptor that is not open' 2
setup --apply --client-secret fd:9 9</dev/null
expect_exit 'a descriptor to read from' 2
ok 'descriptors: before anything is asked' is "$(requests admin)" 0
setup --apply
cp "$out" "$work/made.ini"
setup --apply --client-secret "file:$work/elsewhere"
expect_exit 'from elsewhere' 6
ok 'from elsewhere: told' says "its secret isn't where --client-secret says"
setup --apply --client-secret fd:9 9>"$work/by-fd"
expect_exit 'to a descriptor, but it is in use' 0
ok 'to a descriptor, but it is in use: told' says 'its secret was handed out before'
ok 'to a descriptor, but it is in use: none is made' test ! -s "$work/by-fd"
cp "$work/made.ini" "$config"
succeeds 'the secret is still good' exchange
both
echo "a file of the user's" >"$work/mine" && chmod 600 "$work/mine"
setup --apply --client-secret "file:$work/mine" --new-client-secret
expect_exit 'a file that is no secret' 6
ok 'a file that is no secret: as it was' is "$(cat "$work/mine")" "a file of the user's"
fault 'drop,count=1,method=POST,path=/admin/v1/AppClientSecretRegenerator'
setup --apply --new-client-secret --wait 20
expect_exit 'another secret, its answer lost' 0
met 'another secret, its answer lost'
setup
ok 'another secret, its answer lost: as wanted' has 'all is as wanted'
echo another-word >"$work/mine"
setup --destroy --client-secret "file:$work/mine"
expect_exit "destroy: a file that isn't its secret" 0
ok "destroy: a file that isn't its secret: told" says "$work/mine stays: it doesn't hold this application's secret"
ok "destroy: a file that isn't its secret: stays" is "$(cat "$work/mine")" another-word
ok 'destroy: the application is gone' is "$(total Apps)" 0
again
setup --apply
fault 'denied=Apps.delete'
setup --destroy
expect_exit 'destroy: stopped in between' 7
ok 'destroy: the file was named' says "with it goes $secret, which holds its secret"
ok 'destroy: the file went first' test ! -e "$secret"
fault
setup --destroy
expect_exit 'destroy: goes on' 0
setup --apply
expect_exit 'destroyed, and made anew' 0

# Switched off, destroyed, made anew: nothing in the way.
cp "$out" "$config"
kw revoke oci
base_config
setup --destroy
expect_exit 'revoked, and destroyed' 0
ok 'revoked, and destroyed: the file was named' says "it is switched off; with it goes $secret, if that holds its secret"
ok 'revoked, and destroyed: the file, too' test ! -e "$secret"
ok 'revoked, and destroyed: all gone' is "$(counts)" "$none"
setup --apply
cp "$out" "$config"
kw revoke oci
base_config
setup --destroy --client-secret "file:$work/mine"
ok "revoked, and destroyed: another's file" is "$rc $(cat "$work/mine")" '0 another-word'
ok "revoked, and destroyed: another's file: told" says "$work/mine stays: it doesn't hold the secret of keyward-lab"
rm -f "$secret"
setup --apply

# --- destroyed with fewer options ----------------------------------------------------------------------
again
setup --apply
fewer() { kw setup oci --issuer github --issuer-url "$LAB_ISSUER" --repository keyward/demo --client-secret "file:$secret" --service-user ci --destroy; }
left() { sed -n '/anything else of keyward-lab/{n;p}' "$err"; }
fewer
expect_exit 'fewer options' 0
ok 'fewer options: the rest is told' is "$(left)" "      left, unless the same command names it: group Deployers (--group), policy keyward-lab (--statement, --policy)"
ok 'fewer options: and is there' is "$(counts)" '0 apps 0 grants 0 users 1 groups 0 trusts 1 policies'
fault 'status=400,count=1,path=/admin/v1/Groups*'
fewer
met 'fewer options: where tags are no filter'
ok 'fewer options: where tags are no filter' is "$(left)" "      left, unless the same command names it: group Deployers (--group), policy keyward-lab (--statement, --policy)"
fault 'denied=Groups.read' 'denied=policies.read'
fewer
expect_exit 'fewer options: what may not be seen' 0
ok 'fewer options: what may not be seen: told' is "$(left | grep -o 'Groups: refused: 403\|policies: refused: 404' | tr '\n' ' ')" 'Groups: refused: 403 policies: refused: 404 '
fault
setup --destroy
expect_exit 'fewer options, and all of them' 0
ok 'fewer options, and all of them: none left' says 'anything else of keyward-lab: is not there'
ok 'fewer options, and all of them: all gone' is "$(counts)" "$none"
# Another issuer's trust, a user, an application, of this set-up; and nothing of another one's.
setup --apply
other --apply --adopt
kw setup oci --issuer https://second.test --jwks-url https://second.test/jwks --subject job --client-secret "file:$work/second-secret" \
    --app second --service-user robot --apply
cat "$work/second-secret" >>"$work/secrets" && echo >>"$work/secrets"
setup --destroy
ok 'another app of it' is "$(left)" "      left, unless the same command names it: application second (--app), service user robot (--service-user), trust https://second.test (--issuer-url)"
again
setup --apply

# --- switched off ------------------------------------------------------------------------------------
cp "$out" "$work/made.ini" && cp "$out" "$config"
kw revoke oci
expect_exit revoke 0
setup --apply
expect_exit 'apply after revoke' 0
ok 'apply after revoke: the trust stays off' says "the trust in $LAB_ISSUER is switched off and stays so"
ok 'apply after revoke: the application, too' says 'the application keyward-lab is switched off and stays so'
fails 'apply after revoke: no exchange' 7 'invalid_client|' exchange
kw revoke oci --restore
expect_exit restore 0
succeeds 'restored' exchange
# shellcheck disable=SC2317
is_off() { app_id "$1" >"$work/id" && file_has "$work/raw" '"active":false'; }
fault 'denied=IdentityPropagationTrusts.read'
kw revoke oci
expect_exit 'revoke: a trust that may not be seen' 7
ok 'revoke: a trust that may not be seen: told' says 'IdentityPropagationTrusts.read'
ok 'revoke: a trust that may not be seen: the application is off' is_off keyward-lab
ok 'revoke: a trust that may not be seen: said' has 'is NOT off, but the application is'
fault
kw revoke oci --restore
fault 'denied=IdentityPropagationTrusts.update'
kw revoke oci
expect_exit 'revoke: a trust that may not be changed' 7
ok 'revoke: a trust that may not be changed: the application is off' is_off keyward-lab
fault
kw revoke oci --restore
fault 'denied=IdentityPropagationTrusts.update' 'denied=AppStatusChanger.update'
kw revoke oci
expect_exit 'revoke: neither' 7
ok 'revoke: neither: both told' is "$(grep -c ': switching it off: refused: 403' "$err")" 2
fault
raw GET 'IdentityPropagationTrusts?attributes=id' && raw DELETE "IdentityPropagationTrusts/$(raw_id)"
kw revoke oci
expect_exit 'revoke: no trust' 7
ok 'revoke: no trust: the application is off' is_off keyward-lab
both
kw revoke oci --restore --issuer-url "$LAB_ISSUER" --app keyward-lab --print-commands
ok 'revoke: commands by name' has 'displayName%20eq%20%22keyward-lab%22'

# Whoever adopts what is switched off leaves it so, and voids no secret unasked.
again
both
setup --apply
cp "$out" "$config"
kw revoke oci
both
raw GET 'Users?filter=userName%20eq%20%22ci%22&attributes=id' && user=$(raw_id)
switch_user false
lab DELETE log
other --apply --adopt --app keyward-lab --service-user ci
expect_exit 'adopted while off: no new secret unasked' 6
ok 'adopted while off: what voids one' says 'another, which voids the one in use'
ok 'adopted while off: nothing done' is "$(writes)" 0
other --apply --adopt --app keyward-lab --service-user ci --new-client-secret
expect_exit 'adopted while off, a new secret' 0
ok 'adopted while off: that is told' says 'the one in use, which is void from then on'
ok 'adopted while off: the application' says 'the application keyward-lab is switched off and stays so'
ok 'adopted while off: the user' says 'the service user ci is switched off and stays so'
ok 'adopted while off: the trust' says "the trust in $LAB_ISSUER is switched off and stays so"
ok 'adopted while off: the application is off' is_off keyward-lab
for kind in Users IdentityPropagationTrusts; do
    raw GET "$kind?attributes=active"
    ok "adopted while off: of $kind" is "$(grep -o '"active":[a-z]*' "$work/raw")" '"active":false'
done
cp "$out" "$work/other-made.ini" && chmod 600 "$work/other-made.ini"
other --adopt --app keyward-lab --service-user ci
ok 'adopted while off: again, nothing' has 'all is as wanted'
"$KW_BIN/keyward" --config "$work/other-made.ini" revoke oci --restore >"$out" 2>"$err" </dev/null
ok 'adopted while off: --restore' not is_off keyward-lab
switch_user true
other --destroy --app keyward-lab --service-user ci
# One that nobody uses and nobody finished: whose it is can't be told, so its secret is not ours to void.
again
raw POST Apps '{"schemas":["urn:ietf:params:scim:schemas:oracle:idcs:App"],"displayName":"Theirs","basedOnTemplate":{"value":"CustomWebAppTemplateId"},"isOAuthClient":true,"clientType":"confidential","allowedGrants":["client_credentials"]}'
setup --apply --adopt --app Theirs
expect_exit 'adopted, never used: no new secret unasked' 6
ok 'adopted, never used: it is off' is_off Theirs
setup --adopt --app Theirs --new-client-secret
ok 'adopted, never used: what it voids is told' has 'the one in use, which is void from then on'
setup --apply --adopt --app Theirs --new-client-secret
expect_exit 'adopted, never used, a new secret' 0
ok 'adopted, never used, a new secret: it is on' not is_off Theirs

# --- an administrator application ----------------------------------------------------------------------
again
fault 'denied=Users.create'
setup --apply --admin-app Admin
expect_exit 'administrator: something fails' 7
ok 'administrator: something fails: said once what' says 'service user ci: making it: refused: 403'
ok 'administrator: something fails: it goes' says 'the administrator application Admin is removed, with its grant'
ok 'administrator: something fails: it is gone' is "$(total Apps) $(total Grants)" '1 0'
fault 'denied=Users.create' 'denied=Grants.delete'
setup --apply --admin-app Admin
expect_exit 'administrator: can not go' 7
ok 'administrator: can not go: named' says "LEFT BEHIND at $LAB_DOMAIN_URL: the administrator application Admin, with its grant"
ok 'administrator: can not go: it is there' is "$(total Apps) $(total Grants)" '2 1'
fault
setup --destroy
ok 'administrator: can not go: told by --destroy' says 'left, unless the same command names it: administrator application Admin (--admin-app)'
setup --apply
lab DELETE log
raw GET 'Users?filter=userName%20eq%20%22ci%22&attributes=id' && raw DELETE "Users/$(raw_id)"
setup --apply --admin-app Admin
expect_exit 'administrator: left behind' 0
ok 'administrator: left behind: used' is "$(requests '"method":"POST".*/admin/v1/Users".*"principal":"app [0-9a-f]* (admin)"')" 1
ok 'administrator: left behind: none made' not says 'made administrator application'
ok 'administrator: left behind: removed' is "$(counts)" "$all"
begin_slowly() { # MS: until the user is being made, which takes that long
    fault "latency=$1,count=1,method=POST,path=/admin/v1/Users"
    kw_start setup oci --issuer github --issuer-url "$LAB_ISSUER" --repository keyward/demo --branch main \
        --client-secret "file:$secret" --service-user ci --group Deployers --statement "$statement" --apply --admin-app Admin
    for _ in $(seq 200); do
        lab GET faults
        grep -q '"fault"' "$work/lab.out" || break
        sleep 0.05
    done
    kill -INT "$session"
}
again
fault 'page=0,path=*/Grants*'
setup --apply --admin-app Admin --wait 2
ok 'administrator: a page of the grants' says 'looking for its grants: the cloud shows 0 of 1'
ok 'administrator: a page of the grants: not used' is "$(total Users)" 0
fault
setup --apply --admin-app Admin
expect_exit 'administrator: all the grants' 0
ok 'administrator: all the grants: all' is "$(counts)" "$all"
again
begin_slowly 2000
kw_wait
ok 'administrator: interrupted' test "$rc" -ne 0
ok 'administrator: interrupted: told' says 'interrupted; the administrator application Admin is removed first'
ok 'administrator: interrupted: it goes' says 'the administrator application Admin is removed, with its grant'
ok 'administrator: interrupted: it is gone' is "$(total Apps) $(total Grants)" '1 0'
again
begin_slowly 2000
for _ in $(seq 40); do
    says 'is removed first' && break
    sleep 0.05
done
kill -INT "$session"
kw_wait
ok 'administrator: interrupted twice' test "$rc" -ne 0
ok 'administrator: interrupted twice: named' says "LEFT BEHIND at $LAB_DOMAIN_URL: the administrator application Admin"
sleep 2
setup --apply --admin-app Admin
expect_exit 'administrator: interrupted, and gone on' 0
ok 'administrator: interrupted, and gone on: all' is "$(counts)" "$all"
setup --apply --admin-app Admin --statement 'Allow group Deployers to inspect vcns in tenancy'
expect_exit 'administrator: for a policy' 0
ok 'administrator: for a policy: none made' not says 'made administrator application'
other --apply --admin-app Admin --adopt
lab DELETE log
setup --destroy --admin-app Admin
expect_exit 'administrator: destroy' 0
ok 'administrator: destroy: as it' is "$(requests '"method":"DELETE".*/admin/v1/Users/.*"principal":"app [0-9a-f]* (admin)"')" 1
ok 'administrator: destroy: it goes' says 'removed administrator application Admin'
other --destroy --admin-app Admin
ok 'administrator: destroy: all gone' is "$(counts)" "$none"
lab DELETE log
setup --destroy --admin-app Admin
ok 'administrator: destroy again: nothing' is "$(writes)" 0

# --- names that are taken, and texts --------------------------------------------------------------------
again
fault 'status=409,count=1,method=POST,path=/admin/v1/Users'
setup --apply
expect_exit 'taken, and not seen: once' 0
met 'taken, and not seen: once'
again
fault 'status=409,method=POST,path=/20160918/policies'
setup --apply
expect_exit 'taken, and not seen: for good' 7
ok 'taken, and not seen: for good: once told' says 'policy keyward-lab: making it: refused: 409'
fault
for how in --destroy --print-commands --client-auth=signature; do
    lab DELETE log
    setup --new-client-secret "$how"
    expect_exit "another secret, $how" 2
    ok "another secret, $how: before anything is asked" is "$(requests admin)" 0
done
for audience in 'a b' "$(printf 'a\nb = c')" 'a"b' "a;b" 'a#b' "a'b"; do
    setup --audience "$audience"
    expect_exit "audience $audience" 2
done
for wrong in '--rpst=a b' '--certificate-alias=a b' "--client-secret=file:$work/$(printf 'a\nb')"; do
    setup --client-auth "$([ "${wrong#--cert}" = "$wrong" ] && echo basic || echo assertion)" "$wrong"
    expect_exit "$wrong" 2
done
# Who interrupts what hangs waits ten seconds for what is to be put in order, and is told.
again
begin_slowly 25000
from=$SECONDS
kw_wait
ok 'administrator: interrupted while it hangs' test "$rc" -ne 0
ok 'administrator: interrupted while it hangs: named' says "LEFT BEHIND at $LAB_DOMAIN_URL: the administrator application Admin"
ok 'administrator: interrupted while it hangs: not for long' at_most $((SECONDS - from)) 17
ok 'no secret told, ever' no_secrets
finish
