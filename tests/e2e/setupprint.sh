#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup google --print-commands, run by a stand-in for gcloud: what it makes is what --apply
# wants, what it removes is what --destroy would, and nothing in it that somebody chose is more than
# a text. (setupoci.sh and setuptexts.sh do the same for OCI.)
# shellcheck source=tests/e2e/setuplib.sh
. "$(dirname "$0")/setuplib.sh"
mkdir "$work/bin" "$work/elsewhere"
ln -s "$(cd "$(dirname "$0")" && pwd)/gcloudcli" "$work/bin/gcloud"
export GCLOUDCLI_LOG=$work/gcloud.log
commands() { # ARGUMENT...: printed, and looked at
    kw setup google "$@" --print-commands
    cp "$out" "$work/commands"
    ok "commands: ${*: -1}: a shell reads them" bash -n "$work/commands"
}
run() { # they run; what was said in $work/commands.out
    : >"$GCLOUDCLI_LOG"
    (cd "$work/elsewhere" && PATH=$work/bin:$PATH bash "$work/commands") >"$work/commands.out" 2>&1
}
there() { echo "$(many "$iam/$N/$W" state) $(many "$iam/$N/$W/ci-pool/providers" state) $(many "$iam/$N/serviceAccounts" email)"; }
fault lro-polls=0

# --- warned ----------------------------------------------------------------------------------------------
kw setup google "${named[@]}" "${whose[@]}" --grant roles/owner=project --print-commands
ok 'warned: as by the plan' says 'warning: roles/owner is the right to nearly everything'
ok 'warned: not in the commands' not has 'warning:'

# --- made ------------------------------------------------------------------------------------------------
commands "${named[@]}" "${whose[@]}"
run
ok 'made: all' is "$(everything)" '1 1 1 1'
plan_is 'made: just what apply wants' 0
kw setup google "${named[@]}" "${whose[@]}" --print-commands
sed -i 's/pools create/pools fail/' "$out"
cp "$out" "$work/commands"
run
ok 'made: what fails is the end of it' test $? -ne 0
ok 'made: nothing after it' not grep -qE '^create' "$GCLOUDCLI_LOG"
commands "${named[@]}" "${whose[@]}"
ok 'made: the number was looked up' file_has "$work/commands" ": \"\${NUMBER:?"
ok 'made: nothing but texts' not grep -qE '\$\(|`' <(grep -v '^NUMBER=' "$work/commands")

# --- removed ----------------------------------------------------------------------------------------------
fails 'removed: whom it was granted to has to be said' 2 '--issuer' setup google "${named[@]}" --destroy --print-commands
fails 'removed: asked to whom' 2 'to whom was it granted' setup google --project lab-project --service-account ci-deploy --destroy --print-commands
commands "${named[@]}" "${whose[@]}" --destroy
run
ok 'removed: to the end' is $? 0
ok 'removed: all' is "$(there)" '0 0 0'
ok 'removed: no API' not grep -q services "$GCLOUDCLI_LOG"
ok 'removed: the bucket is nobody'"'"'s' not grep -q serviceAccount:ci <<<"$(goog GET "$LAB_STORAGE_URL/storage/v1/b/lab-bucket/iam")"
run
ok 'removed again: nothing' not grep -qE '^(delete|remove-)' "$GCLOUDCLI_LOG"
ok 'removed again: told' file_has "$work/commands.out" 'is not there, or was not made by keyward'

# --- what others have to do with -----------------------------------------------------------------------------
theirs() { # DESCRIPTION: pool, provider and account, marked or not
    lab POST reset
    for api in iam sts iamcredentials cloudresourcemanager storage; do
        goog POST "https://serviceusage.googleapis.com/v1/$N/services/$api.googleapis.com:enable" '{}' >"$work/answer"
    done
    fault lro-polls=0
    goog POST "$iam/$N/$W?workloadIdentityPoolId=ci-pool" "{\"description\":\"$1\"}" >"$work/answer"
    goog POST "$iam/$N/serviceAccounts" "{\"accountId\":\"ci-deploy\",\"serviceAccount\":{\"description\":\"$1\"}}" >"$work/answer"
    goog POST "$pool/providers?workloadIdentityPoolProviderId=github" \
        "{\"description\":\"$1\",\"attributeMapping\":{\"google.subject\":\"assertion.sub\"},\"oidc\":{\"issuerUri\":\"https://theirs.test\"}}" >"$work/answer"
}
theirs 'of the other team'
run
ok 'of others: nothing is removed' not grep -qE '^(delete|remove-)' "$GCLOUDCLI_LOG"
ok 'of others: all is there' is "$(there)" '1 1 1'
ok 'of others: told' file_has "$work/commands.out" "provider github: is not there, or was not made by keyward: stays"
theirs 'Made by keyward setup'
goog POST "$pool/providers?workloadIdentityPoolProviderId=other" \
    '{"attributeMapping":{"google.subject":"assertion.sub"},"oidc":{"issuerUri":"https://theirs.test"}}' >"$work/answer"
run
ok 'another provider: only ours goes' is "$(there)" '1 1 1'
ok 'another provider: told' file_has "$work/commands.out" 'pool ci-pool: others use it'
theirs 'Made by keyward setup'
goog PATCH "$pool/providers/github?updateMask=description" '{"description":"of the other team"}' >"$work/answer"
run
ok 'their provider of our name: all stays' is "$(there)" '1 1 1'
ok 'their provider of our name: nothing is removed' not grep -qE '^(delete|remove-)' "$GCLOUDCLI_LOG"
theirs 'Made by keyward setup'
goog POST "$iam/projects/-/serviceAccounts/$account:setIamPolicy" \
    '{"policy":{"version":3,"bindings":[{"role":"roles/iam.serviceAccountUser","members":["user:somebody@lab.test"]}]}}' >"$work/answer"
run
ok 'another user of the account: it stays' is "$(there)" '0 0 1'
ok 'another user of the account: told' file_has "$work/commands.out" "service account $account: others use it"

# --- texts ---------------------------------------------------------------------------------------------------
lab POST reset
fault lro-polls=0
odd=(--audience 'https://a.test/x,y;z' --audience "it's \$HOME \`id\`" --mapping "attribute.x=assertion.sub.split(',')[0]"
    --condition "assertion.sub != '\$(touch $work/elsewhere/no),;~#@'")
commands "${named[@]}" "${whose[@]}" "${odd[@]}"
run
ok 'texts: made' is "$(everything)" '1 1 1 1'
kw setup google "${named[@]}" "${whose[@]}" "${odd[@]}" "${as_admin[@]}" --json
ok 'texts: as apply wants them' is "$rc $(field pending)" '0 0'
ok 'texts: nothing was run' not test -e "$work/elsewhere/no"
ok 'texts: an argument each' grep -qxF -- "--allowed-audiences=^~^https://a.test/x,y;z~it's \$HOME \`id\`" "$GCLOUDCLI_LOG"

# --- an uploaded key set, certificates ---------------------------------------------------------------------------
printf '{"keys":[{"kty":"EC","crv":"P-256","kid":"it'"'"'s","x":"%s","y":"%s"}]}' \
    f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 >"$work/jwks"
keys=(--project lab-project --pool own-pool --issuer kubernetes --issuer-url https://k8s.test --repository ci/deployer
    --jwks-file "$work/jwks" --grant "roles/storage.objectViewer=$bucket")
commands "${keys[@]}"
run
kw setup google "${keys[@]}" "${as_admin[@]}" --json
ok 'keys: as apply wants them' is "$rc $(field pending)" '0 0'
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/root.key" -subj /CN=root -days 2 -out "$work/root.pem" \
    -addext keyUsage=critical,keyCertSign 2>"$work/openssl.log"
certificates=(--project lab-project --pool x509-pool --issuer x509 --trust-anchor "$work/root.pem" --subject me
    --grant "roles/storage.objectViewer=$bucket")
commands "${certificates[@]}"
run
kw setup google "${certificates[@]}" "${as_admin[@]}" --json
ok 'certificates: as apply wants them' is "$rc $(field pending)" '0 0'
kw revoke google --project lab-project --pool x509-pool --print-commands
cp "$out" "$work/commands"
run
ok 'revoke: it is disabled' grep -q '"disabled":true' <<<"$(goog GET "$iam/$N/$W/x509-pool")"
finish
