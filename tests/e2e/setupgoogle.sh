#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup google, from nothing to an exchange and away again; changed, foreign, deleted and
# half-made things; missing rights. Interruptions are setupgooglecut.sh's.
# shellcheck source=tests/e2e/setuplib.sh
. "$(dirname "$0")/setuplib.sh"

# --- usage -------------------------------------------------------------------------------------------
fails 'no cloud' 2 'setup needs' setup
fails 'another cloud' 2 "no set-up of 'aws'" setup aws
fails 'no issuer' 2 'Give --issuer' setup google --project lab-project
fails 'no project' 2 'which project' setup google --issuer github --repository-id 1
fails 'no token' 2 '--admin-token-file|CLOUDSDK_AUTH_ACCESS_TOKEN_FILE' setup google "${named[@]}" "${whose[@]}"
fails 'everybody of GitHub' 2 'to everybody|--repository-id' setup google --project lab-project --issuer github
fails 'a condition that says nothing' 2 'to everybody' setup google --project lab-project --issuer gitlab --condition true
fails 'a condition that is none' 2 'condition' setup google --project lab-project --issuer github --condition 'assertion.sub =='
fails 'a mapping that is none' 2 'google.subject' setup google "${named[@]}" "${whose[@]}" --mapping 'google.subject=assertion.'
fails 'a wildcard for a repository' 2 'one exact value' setup google --project lab-project --issuer github --repository 'keyward/*'
fails 'a pool of a bad name' 2 '--pool is 4 to 32' setup google --project lab-project --pool gcp-x --issuer github --repository-id 1
fails 'a provider like an option' 2 '--provider is 4 to 32' setup google --project lab-project --provider -ab- --issuer github --repository-id 1
for option in service-account issuer pool provider project repository repository-id branch subject condition grant audience; do
    fails "--$option of a variable that is not set" 2 "--$option is empty" setup google "${named[@]}" "${whose[@]}" "--$option" ''
done
fails 'revoke: a variable that is not set' 2 '--pool is empty' revoke google --project lab-project --pool ''
fails 'a grant of nothing' 2 'ROLE=RESOURCE' setup google --project lab-project --issuer github --repository-id 1 --grant roles/viewer
fails 'apply and destroy' 2 'one of --apply and --destroy' setup google "${named[@]}" --apply --destroy
fails 'a token that is none' 2 'no single word' setup google "${named[@]}" "${whose[@]}" --admin-token-command 'echo two words'
fails 'a token of nobody' 7 'UNAUTHENTICATED|get a fresh one' setup google "${named[@]}" "${whose[@]}" --admin-token-command 'echo ya29.no'
fails 'an issuer URL over http' 2 'https://' setup google "${named[@]}" "${whose[@]}" --issuer-url http://a.test

# --- the commands, without a network -----------------------------------------------------------------
before=$(requests googleapis.com)
kw setup google "${named[@]}" "${whose[@]}" --print-commands
ok 'commands: done' is "$rc" 0
ok 'commands: the number is asked for' has 'NUMBER=$(gcloud projects describe lab-project'
ok 'commands: the provider' has "--attribute-condition='assertion.repository_id =="
ok 'commands: for a shell' bash -n "$out"
ok 'commands: the binding' has "--member=principalSet://iam.googleapis.com/projects/\"\$NUMBER\"/$W/ci-pool/attribute.repository_id/592302719"
ok 'commands: nothing was asked' is "$(requests googleapis.com)" "$before"

# --- from nothing ------------------------------------------------------------------------------------
export CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=$LAB_GOOGLE_ADMIN_TOKEN_FILE
setup
ok 'plan: done' is "$rc" 0
ok 'plan: an API' has '+ API iam.googleapis.com: to be made'
ok 'plan: what it would be' has "attributeCondition: \"assertion.repository_id == '592302719' && assertion.ref == 'refs/heads/main'\""
ok 'plan: says that nothing was done' has 'nothing was done'
ok 'plan: no colours in a file' not grep -q "$(printf '\033')" "$out"
ok 'plan: nothing was made' is "$(requests '"method":"P[AU]')" 0
unset CLOUDSDK_AUTH_ACCESS_TOKEN_FILE
plan_is 'from nothing' 10
ok 'JSON: one object' json
apply -o "$work/files/ini"
ok 'apply: done' is "$rc" 0
ok 'apply: told step by step' says 'made provider github'
ok 'apply: no secret told' no_secrets
ok 'apply: all is there' is "$(everything)" '1 1 1 1'
ok 'apply: the configuration is its own' is "$(stat -c %a "$work/files/ini")" 600
ok 'audit: each call' grep -q '"method":"POST","host":"iam.googleapis.com".*"caller":"uid [0-9]* pid [0-9]* setup google"' "$work/audit.jsonl"
ok 'audit: no token' not grep -q ya29 "$work/audit.jsonl"
ok 'audit: the chain holds' "$KW_BIN/keyward" audit verify "$work/audit.jsonl" >"$out" 2>"$err"
before=$(changes)
apply -o "$work/files/ini"
ok 'again: written over what it wrote' is "$rc" 0
printf '[token]\n; my own notes\n' >"$work/files/mine"
chmod 644 "$work/files/mine"
cp "$work/files/mine" "$work/mine"
lab DELETE log
fails 'a configuration of mine: not written over' 2 'would be lost' setup google "${named[@]}" "${whose[@]}" --pool mine-pool "${as_admin[@]}" --apply -o "$work/files/mine"
ok 'a configuration of mine: is as it was' cmp -s "$work/files/mine" "$work/mine"
ok 'a configuration of mine: so is its mode' is "$(stat -c %a "$work/files/mine")" 644
ok 'a configuration of mine: nothing was made' is "$(requests googleapis.com)" 0
: >"$work/files/mine"
apply -o "$work/files/mine"
ok 'an empty file: taken' cmp -s "$work/files/mine" "$work/files/ini"
rm "$work/files/mine"
before=$(changes)
apply
ok 'again: done' is "$rc" 0
ok 'again: says so' says 'nothing to be done'
ok 'again: nothing was changed' is "$(changes)" "$before"
ok 'again: the same configuration' cmp -s "$out" "$work/files/ini"

# --- it works -------------------------------------------------------------------------------------------
use() { cat "$1" >"$config"; } # CONFIGURATION, as it came
use "$work/files/ini"
succeeds 'exchange' exchange
ok 'exchange: as the account' has "$account"
object="$LAB_STORAGE_URL/storage/v1/b/lab-bucket/o/hello.txt?alt=media"
succeeds 'request' request GET "$object"
ok 'request: the object' is "$(cat "$out")" 'hello from lab-bucket'
succeeds 'claims' claims
ok 'claims: Google would take it' has 'accepted'
cat >"$work/use" <<'EOS'
token=$(curl -sS -H Metadata-Flavor:Google "http://$GCE_METADATA_HOST/computeMetadata/v1/instance/service-accounts/default/token" |
    cut -d\" -f4)
curl -sSf -H "authorization: Bearer $token" "$1"
EOS
kw run -- sh "$work/use" "$object"
ok 'run: the object, with a stand-in' is "$rc $(cat "$out")" '0 hello from lab-bucket'
succeeds 'the same names from the profile' setup google "${whose[@]}" "${as_admin[@]}"
ok 'the same names: the same trust' has '= provider github: as wanted'
kw setup google "${as_admin[@]}" --apply -o "$work/files/again"
ok 'the profile alone: nothing to be done' says 'nothing to be done'
ok 'the profile alone: the same configuration comes of it' cmp -s "$work/files/again" "$work/files/ini"
rm "$work/files/again"

# What the profile says of audiences is as wanted as the rest of it.
cp "$config" "$work/files/used"
admin_config
apply --audience https://a.test --audience https://b.test -o "$work/files/again"
use "$work/files/again"
kw setup google "${as_admin[@]}"
ok 'the profile alone: its audiences, too' has 'all is as wanted'
succeeds 'audiences: exchange' exchange
admin_config
apply --audience $'https://a.test\n[policy lab]\nclaim.x = y' --audience 'c d' -o "$work/files/again"
ok 'an audience of several lines: is no line of the file' not grep -qE '^claim.x|c d' "$work/files/again"
ok 'an audience of several lines: told' file_has "$work/files/again" "; allowed_audiences can't be written"
rm "$work/files/again"
apply
cp "$work/files/used" "$config"
rm "$work/files/used"

# --- doctor, who looks at the trust as well -----------------------------------------------------------------
succeeds doctor doctor "${as_admin[@]}"
for line in 'pool: ci-pool' 'provider: github' "service account: $account" 'token: issuer, audience' \
    'mapping and condition: principal://' "grant: principalSet://iam.googleapis.com/$N/$W/ci-pool/attribute.repository_id/592302719"; do
    ok "doctor: $line" has "ok   Google: $line"
done
change() { goog PATCH "$pool$1?updateMask=$2" "$3" >"$work/answer"; } # PATH MASK BODY
ill() { # NAME TEXT
    kw doctor "${as_admin[@]}"
    ok "doctor: $1" has "FAIL Google: $2"
    ok "doctor: $1: code" is "$rc" 7
}
fault lro-polls=0
lab DELETE log
kw doctor "${as_admin[@]}"
lab GET log
sed 's/{"time"/\n&/g' "$work/lab.out" | grep -E '"method":"(POST|PATCH|PUT|DELETE)"' >"$work/posts"
ok 'doctor: a session is tried' grep -q 'sts\.googleapis' "$work/posts"
ok 'doctor: nothing is changed' is "$(grep -vcE 'getIamPolicy|sts\.googleapis|iamcredentials' "$work/posts")" 0
change /providers/github attributeCondition "{\"attributeCondition\":\"assertion.ref == 'x'\"}"
ill 'another condition' 'mapping and condition: '
ok 'doctor: another condition: what to do' has 'keyward claims shows it term by term'
change /providers/github oidc.allowedAudiences '{"oidc":{"allowedAudiences":["https://x"]}}'
ill 'another audience' 'token: audience: '
change /providers/github oidc.allowedAudiences '{"oidc":{"allowedAudiences":[]}}'
change /providers/github disabled '{"disabled":true}'
ill 'provider disabled' 'provider: it is disabled'
change /providers/github disabled '{"disabled":false}'
change '' disabled '{"disabled":true}'
ill 'pool disabled' 'pool: it is disabled: keyward revoke google --restore'
change '' disabled '{"disabled":false}'
cp "$config" "$work/files/used"
admin_config
apply
ok 'doctor: set right again' is "$rc" 0
cp "$work/files/used" "$config"
rm "$work/files/used"
succeeds 'doctor: well again' doctor "${as_admin[@]}"
goog POST "$iam/projects/-/serviceAccounts/$account:setIamPolicy" '{"policy":{"version":3,"bindings":[]}}' >"$work/answer"
ill 'no grant' "grant: none of the 0 members who may act as $account"
goog DELETE "$iam/projects/-/serviceAccounts/$account" >"$work/answer"
ill 'no account' 'service account: it is not there'
kw doctor --admin-token-file "$work/pin"
ok 'doctor: somebody without rights' has 'FAIL cloud: '
cp "$config" "$work/files/used"
admin_config
apply
cp "$work/files/used" "$config"
rm "$work/files/used"

# --- the panic button -------------------------------------------------------------------------------------
kw revoke google "${as_admin[@]}"
ok 'revoke: done' is "$rc" 0
ok 'revoke: what stays valid' has 'STILL VALID'
ok 'revoke: how to stop that' has "disable $account"
fails 'revoked: no exchange' 7 'disabled' exchange
kw revoke google "${as_admin[@]}"
ok 'revoke again: nothing to be done' says 'nothing to be done'
kw setup google "${whose[@]}" "${as_admin[@]}" --apply
ok 'a set-up does not undo it' is "$rc" 6
ok 'a set-up says what does' says 'revoke --restore'
kw revoke google --restore "${as_admin[@]}"
ok 'restore: done' is "$rc" 0
ok 'restore: what it changes' says 'disabled: true -> false'
goog DELETE "$pool" >"$work/answer"
kw revoke google "${as_admin[@]}"
ok 'revoke, deleted: done' is "$rc" 0
ok 'revoke, deleted: what brings it back' has 'keyward setup google --apply brings it back'
ok 'revoke, deleted: not what does not' not has '--restore'
kw revoke google --restore "${as_admin[@]}"
ok 'restore, deleted: refused' is "$rc" 6
ok 'restore, deleted: what brings it back' says 'keyward setup google --apply brings it back'
kw setup google "${as_admin[@]}" --apply
ok 'restore, deleted: it does' is "$rc" 0
# The pool is the provider's project's, whatever project the account is of.
cp "$config" "$work/files/used"
sed -i "s#^provider = projects/$LAB_GOOGLE_NUMBER/#provider = projects/999999999999/#" "$config"
lab DELETE log
kw revoke google "${as_admin[@]}"
ok 'revoke, another project: refused' is "$rc" 7
ok 'revoke, another project: nothing is switched off' is "$(requests '"method":"PATCH"')" 0
cp "$work/files/used" "$config"
rm "$work/files/used"
succeeds 'restored: exchange' exchange
admin_config

# --- changed, foreign, deleted --------------------------------------------------------------------------------
goog PATCH "$pool/providers/github?updateMask=attributeCondition" "{\"attributeCondition\":\"assertion.ref == 'x'\"}" >"$work/answer"
sleep 0.1
plan_is 'changed by somebody' 1
setup "${as_admin[@]}"
ok 'changed: shown' has "attributeCondition: \"assertion.ref == 'x'\" -> \"assertion.repository_id"
apply
ok 'changed: repaired' is "$rc" 0
ok 'changed: that alone' is "$(grep -c 'keyward: ' "$err")" 1
plan_is 'repaired' 0
goog POST "$iam/projects/-/serviceAccounts/$account:setIamPolicy" \
    '{"policy":{"version":3,"bindings":[{"role":"roles/iam.serviceAccountUser","members":["user:somebody@lab.test"]},{"role":"roles/iam.workloadIdentityUser","members":["user:somebody@lab.test"],"condition":{"title":"t","expression":"true"}}]}}' >"$work/answer"
plan_is 'a policy of others' 1
apply
ok 'a policy of others: done' is "$rc" 0
policy=$(goog POST "$iam/projects/-/serviceAccounts/$account:getIamPolicy?options.requestedPolicyVersion=3" '{}')
ok 'a policy of others: theirs is kept' grep -q 'serviceAccountUser' <<<"$policy"
ok 'a policy of others: and its condition' grep -q '"condition"' <<<"$policy"
ok 'a policy of others: ours is in it' grep -q 'principalSet:' <<<"$policy"

goog POST "$iam/projects/-/serviceAccounts/$account:setIamPolicy" \
    '{"policy":{"version":3,"bindings":[{"role":"roles/iam.workloadIdentityUser","members":["deleted:serviceAccount:x@lab-project.iam.gserviceaccount.com?uid=1"]}]}}' >"$work/answer"
apply
destroy
ok 'destroy: done' is "$rc" 0
ok 'destroy: says what it leaves' says 'API iam.googleapis.com: stays'
ok 'destroy: and why' says 'it stays enabled'
ok 'destroy: all is gone' is "$(many "$iam/$N/$W" state) $(many "$iam/$N/serviceAccounts" email)" '0 0'
ok 'destroy: the bucket is nobody'"'"'s' not grep -q serviceAccount:ci <<<"$(goog GET "$LAB_STORAGE_URL/storage/v1/b/lab-bucket/iam")"
destroy
ok 'destroy again: nothing there' says "nothing of keyward's is there"
setup "${as_admin[@]}"
ok 'deleted: the plan brings it back' has 'deleted, to be brought back'
apply
ok 'deleted: done' is "$rc" 0
ok 'deleted: pool' says 'brought back pool ci-pool'
ok 'deleted: provider' says 'brought back provider github'
ok 'deleted: all is there again' is "$(everything)" '1 1 1 1'

lab POST reset
for api in iam sts iamcredentials cloudresourcemanager; do
    goog POST "https://serviceusage.googleapis.com/v1/$N/services/$api.googleapis.com:enable" '{}' >"$work/answer"
done
fault lro-polls=0
goog POST "$iam/$N/$W?workloadIdentityPoolId=ci-pool" '{"displayName":"theirs","description":"of the other team"}' >"$work/answer"
goog POST "$iam/$N/serviceAccounts" '{"accountId":"ci-deploy","serviceAccount":{"displayName":"theirs"}}' >"$work/answer"
goog POST "$pool/providers?workloadIdentityPoolProviderId=github" \
    '{"attributeMapping":{"google.subject":"assertion.sub"},"oidc":{"issuerUri":"https://theirs.test"}}' >"$work/answer"
before=$(changes)
apply
ok 'foreign provider: refused' is "$rc" 6
ok 'foreign provider: named' says 'provider github: it was not made by keyward'
ok 'foreign provider: nothing was done' is "$(changes)" "$before"
named=("${named[@]/github/mine}")
apply
ok 'foreign pool and account: used' is "$rc" 0
destroy
ok 'foreign pool: destroy' is "$rc" 0
ok 'foreign pool: only the provider goes' is "$(grep '^keyward: ' "$err")" 'keyward: removed provider mine'
ok 'foreign pool: stays' says 'pool ci-pool: not made by keyward: stays'
ok 'foreign pool: what is granted stays, and is told' says "roles/iam.workloadIdentityUser on $account: stays"
ok 'foreign pool: is there' is "$(many "$iam/$N/$W" state) $(many "$iam/$N/serviceAccounts" email)" '1 1'
goog DELETE "$pool" >"$work/answer"
setup "${as_admin[@]}"
ok 'foreign, deleted: refused' is "$rc" 6
ok 'foreign, deleted: why' has 'keeps its name for 30 days'
named=("${named[@]/mine/github}")

# --- asked, and interrupted ------------------------------------------------------------------------------------
lab POST reset
fault
asked() { # ANSWER: on a terminal
    printf '%s\n' "$1" | script -E never -qec "'$KW_BIN/keyward' --config '$config' setup google ${named[*]} ${whose[*]} ${as_admin[*]} --apply" /dev/null >"$out" 2>"$err"
    rc=$?
}
asked no
ok 'asked: no is no' is "$rc $(changes)" '1 0'
ok 'asked: what it is about' has 'Make or change 10 things at google? Type yes:'
ok 'asked: in colours' grep -q "$(printf '\033\[32m')" "$out"
asked yes
ok 'asked: yes' is "$rc $(everything)" '0 1 1 1 1'
lab POST reset
fault spread=1000
kw_start setup google "${named[@]}" "${whose[@]}" "${as_admin[@]}" --apply
sleep 1.5
kill -INT "$session"
kw_wait
ok 'interrupted while it waits: ends' is "$rc" 1
ok 'interrupted: says so' says 'interrupted'
ok 'interrupted: no process left' no_strays
lab POST reset
fault
apply
ok 'interrupted: the next run goes on' is "$rc $(everything)" '0 1 1 1 1'

# --- rights that are missing ---------------------------------------------------------------------------------
lab POST reset
fault 'denied=serviceusage.services.enable'
apply
ok 'no right to enable: refused' is "$rc" 7
ok 'no right to enable: named' says "Permission 'serviceusage.services.enable' denied"
ok 'no right to enable: whose' says 'API iam.googleapis.com'
fault
apply
fault 'denied=iam.workloadIdentityPools.get' 'denied=iam.serviceAccounts.get'
setup "${as_admin[@]}"
ok 'no right to look: refused' is "$rc" 7
ok 'no right to look: named' has "Permission 'iam.workloadIdentityPools.get' denied"
ok 'no right to look: all of them' has "Permission 'iam.serviceAccounts.get' denied"
ok 'no right to look: a cure' has 'roles/iam.workloadIdentityPoolAdmin'
destroy
ok 'no right to look: what is there is not denied' not says "nothing of keyward's is there"
fault

# What was just made may be hidden from its maker for a while; what is missing for good is told.
lab POST reset
fault 'denied=iam.serviceAccounts.getIamPolicy,count=2'
apply
ok 'an account that hides: waited for' is "$rc $(everything)" '0 1 1 1 1'
cat >"$work/gives" <<EOS
n=\$(cat "$work/n" 2>/dev/null || echo 0)
echo \$((n + 1)) >"$work/n"
[ \$((n % 2)) = 1 ] && cat "$LAB_GOOGLE_ADMIN_TOKEN_FILE" || echo ya29.expired
EOS
setup --admin-token-command "sh $work/gives"
ok 'a token that expired: another, by the command' is "$rc $(cat "$work/n")" '0 2'

# --- slow, late, failing ----------------------------------------------------------------------------------------
lab POST reset
fault 'lro-fails,count=1,method=POST,path=/v1/projects/*/workloadIdentityPools'
apply
ok 'an operation that fails once: done' is "$rc" 0
lab POST reset
fault spread=3
patience=20 apply
ok 'what shows late is waited for' is "$rc" 0
ok 'what shows late: once' is "$(sleep 3 && everything)" '1 1 1 1'
lab POST reset
fault spread=1000
patience=2 apply
ok 'what does not show: a time-out' is "$rc" 8
ok 'what does not show: named' says 'is not as wanted after 2 s'
lab POST reset
fault
apply
fault 'status=409,count=1,path=*setIamPolicy'
goog POST "$iam/projects/-/serviceAccounts/$account:setIamPolicy" '{"policy":{"bindings":[]}}' >"$work/answer"
fault 'status=409,count=2,path=*setIamPolicy'
apply
ok 'a policy that changes meanwhile: read again' is "$rc" 0
ok 'a policy that changes meanwhile: once' is "$(everything)" '1 1 1 1'
finish
