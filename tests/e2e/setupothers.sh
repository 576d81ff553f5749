#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup google where others have to do with what it made: they act as its account, their
# providers are in its pool, and come back with it; and what changes between plan and act.
# shellcheck source=tests/e2e/setuplib.sh
# shellcheck disable=SC2119 # apply and destroy take options, or none
. "$(dirname "$0")/setuplib.sh"
fault lro-polls=0
fresh() {
    lab POST reset
    fault lro-polls=0
    apply
    ok "$1: set up" is "$rc $(everything)" '0 1 1 1 1'
}
act_as() { # MEMBER...: who may act as the account besides, by another role
    local members
    members=$(printf ',"%s"' "$@")
    goog POST "$iam/projects/-/serviceAccounts/$account:getIamPolicy" '{}' |
        sed "s#\"bindings\":\\[#&{\"role\":\"roles/iam.serviceAccountUser\",\"members\":[${members#,}]},#" >"$work/policy"
    goog POST "$iam/projects/-/serviceAccounts/$account:setIamPolicy" "{\"policy\":$(cat "$work/policy")}" >"$work/answer"
    ok "may act as it: $1" grep -q serviceAccountUser "$work/answer"
}
provider() { # ID MAPPING: one of somebody else's
    goog POST "$pool/providers?workloadIdentityPoolProviderId=$1" \
        "{\"attributeMapping\":{\"google.subject\":\"assertion.sub\"$2},\"oidc\":{\"issuerUri\":\"https://$1.test\"}}" >"$work/answer"
    ok "provider $1: made" grep -q '"ACTIVE"' "$work/answer"
}
accounts() { many "$iam/$N/serviceAccounts" email; }
pools() { many "$iam/$N/$W" state; }

# --- the account is somebody else's as well -----------------------------------------------------------
fresh 'another person'
act_as user:somebody@lab.test
destroy
ok 'another person: done' is "$rc" 0
ok 'another person: the account stays' is "$(pools) $(accounts)" '0 1'
ok 'another person: told' says 'it has a use for others: user:somebody@lab.test is in its policy'
ok 'another person: what it may, too' says "roles/storage.objectViewer on $bucket: stays"
ok 'another person: but nobody of the pool' is "$(bound)" 0
fresh 'another pool'
act_as "principalSet://iam.googleapis.com/$N/$W/ci-pool/attribute.repository_id/1"
destroy
ok 'the same pool: goes with it' is "$(pools) $(accounts)" '0 0'
fresh 'who is gone'
act_as 'deleted:user:somebody@lab.test?uid=1'
destroy
ok 'who is gone: goes with it' is "$(pools) $(accounts)" '0 0'

# --- whom it was granted to before ---------------------------------------------------------------------
fresh 'another repository'
setup "${as_admin[@]}"
ok 'the same repository: no warning' not has 'may act as'
whose_now=("${whose[@]/592302719/592302720}")
kw setup google "${named[@]}" "${whose_now[@]}" "${as_admin[@]}" --apply
ok 'another repository: done' is "$rc $(bound)" '0 2'
ok 'another repository: the one before, warned of' says "warning: besides attribute.repository_id/592302720, another of pool ci-pool may act as $account, too"
former=principalSet://iam.googleapis.com/$N/$W/ci-pool/attribute.repository_id/592302719
ok 'another repository: how to remove it' says "remove-iam-policy-binding $account --condition=None --role=roles/iam.workloadIdentityUser --member=$former"
goog POST "$iam/$N/$W?workloadIdentityPoolId=ci-pool2" '{}' >"$work/answer"
act_as "principalSet://iam.googleapis.com/$N/$W/ci-pool2/attribute.repository_id/1"
kw setup google "${named[@]}" "${whose_now[@]}" "${as_admin[@]}"
ok 'another repository: no other pool' not has 'ci-pool2'

# --- their provider in our pool -----------------------------------------------------------------------
fresh 'another provider'
provider other ',"attribute.repository_id":"assertion.repository_id"'
setup "${as_admin[@]}"
ok 'another provider: warned of' has 'warning: pool ci-pool has other providers in it: other. Rights are granted to attribute.repository_id/592302719'
destroy
ok 'another provider: done' is "$rc" 0
ok 'another provider: pool and account stay' is "$(everything)" '1 1 1 1'
ok 'another provider: the pool, told' says 'provider other is in it'
ok 'another provider: the account, told' says 'provider other stays in pool ci-pool, and its jobs may act as it'
kw setup google "${named[@]}" "${whose[@]}" "${as_admin[@]}" --destroy
ok 'another provider: nor with --issuer' is "$(everything)" '1 1 1 1'
ok 'another provider: the grant, told' says 'provider other stays in the pool, and its tokens may have it'
fresh 'a provider of something else'
provider other ',"attribute.x":"assertion.x"'
setup "${as_admin[@]}"
ok 'a provider of something else: no warning' not has 'has other providers'
kw setup google "${named[@]}" "${whose[@]}" "${as_admin[@]}" --destroy
ok 'a provider of something else: only the pool stays' is "$(pools) $(accounts)" '1 0'

# One of the name that ours had is somebody else's without the mark.
fresh 'a provider of our name'
change_mark() { goog PATCH "$pool/providers/github?updateMask=description" "{\"description\":\"$1\"}" >"$work/answer"; }
change_mark 'of the other team'
destroy
ok 'a provider of our name: done' is "$rc" 0
ok 'a provider of our name: it, pool and account stay' is "$(everything)" '1 1 1 1'
ok 'a provider of our name: told' says 'provider github is in it'
change_mark 'Made by keyward setup'
destroy
ok 'a provider of our name: marked again, it goes' is "$(everything)" '0 0 0 0'

# More of them than a page has.
fresh 'many providers'
lab DELETE log
for ((i = 1; i <= 101; i++)); do
    echo "next" && echo "url = \"$pool/providers?workloadIdentityPoolProviderId=a$((1000 + i))\""
    echo 'header = "content-type: application/json"' && echo "header = \"@$work/auth\"" && echo 'request = POST'
    echo "data-binary = \"{\\\"attributeMapping\\\":{\\\"google.subject\\\":\\\"assertion.sub\\\"},\\\"oidc\\\":{\\\"issuerUri\\\":\\\"https://a.test\\\"}}\""
    echo "cacert = \"$LAB_CA_FILE\"" && echo 'noproxy = "*"' && echo "connect-to = \"$LAB_CONNECT_TO\"" && echo silent
    echo "output = \"$work/answer\""
done | tail -n +2 >"$work/curlrc"
curl -K "$work/curlrc"
ok 'many providers: made' is "$(many "$pool/providers?pageSize=100&pageToken=100" state)" 2
lab DELETE log
destroy
ok 'many providers: the pool stays' is "$(pools)" 1
ok 'many providers: page by page' is "$(requests 'pageToken=100')" 1
fault lro-polls=0 'not-json,path=*/providers,method=GET,skip=1'
destroy
ok 'a page that is no list: nothing is done' is "$rc $(pools)" '7 1'
fault lro-polls=0

# --- brought back ----------------------------------------------------------------------------------------
fresh 'deleted with another'
provider other ''
goog PATCH "$pool/providers/github?updateMask=attributeCondition" "{\"attributeCondition\":\"assertion.ref == 'x'\"}" >"$work/answer"
goog DELETE "$pool/providers/github" >"$work/answer"
goog DELETE "$pool" >"$work/answer"
setup "${as_admin[@]}"
ok 'deleted: the pool' has '+ pool ci-pool: deleted, to be brought back'
ok 'deleted: whoever comes back with it' has 'providers that come back with it: ["other"]'
ok 'deleted: warned of' has 'warning: what is brought back lets in what it let in'
ok 'deleted: the provider' has '+ provider github: deleted, to be brought back'
ok 'deleted: as it was' has "attributeCondition: \"assertion.ref == 'x'\" -> \"assertion.repository_id"
before=$(changes)
apply
ok 'deleted: done' is "$rc" 0
ok 'deleted: what it took' is "$(($(changes) - before))" 3
plan_is 'deleted: put right at once' 0
goog DELETE "$pool" >"$work/answer"
plan_is 'deleted with our provider in it' 1
apply
ok 'deleted with our provider in it: back' is "$rc $(many "$pool/providers" state)" '0 2'
goog PATCH "$pool?updateMask=disabled" '{"disabled":true}' >"$work/answer"
goog DELETE "$pool" >"$work/answer"
setup "${as_admin[@]}"
ok 'disabled and then deleted: refused' is "$rc" 6
ok 'disabled and then deleted: what to do' has 'enable it yourself'

# --- changed between plan and act ------------------------------------------------------------------------
# Held up at its first change, while somebody else is faster.
meanwhile() { # NAME ARGUMENT...: then what was planned, being another thing by now
    local name=$1
    shift
    fault lro-polls=0 'latency=1500,count=1,method=POST,path=*:enable'
    kw_start setup google "${named[@]}" "${whose[@]}" "${as_admin[@]}" --apply
    sleep 0.9
    "$@" >"$work/answer"
    kw_wait
    ok "$name: stopped" is "$rc" 1
    ok "$name: says why" says "$name is not what it was when the plan was made"
}
lab POST reset
goog POST "https://serviceusage.googleapis.com/v1/$N/services/iam.googleapis.com:enable" '{}' >"$work/answer"
fault lro-polls=0
goog POST "$iam/$N/$W?workloadIdentityPoolId=ci-pool" '{"displayName":"keyward","description":"Made by keyward setup"}' >"$work/answer"
meanwhile 'provider github' goog POST "$pool/providers?workloadIdentityPoolProviderId=github" \
    '{"description":"Made by keyward setup","attributeMapping":{"google.subject":"assertion.sub"},"oidc":{"issuerUri":"https://theirs.test"}}'
ok 'provider github: is as theirs' grep -q theirs.test <<<"$(goog GET "$pool/providers/github")"

# --- an account whose policy does not show yet --------------------------------------------------------------
lab POST reset
fault lro-polls=0 'status=404,count=3,path=*getIamPolicy*,host=iam.googleapis.com'
apply
ok 'a policy that is not there yet: waited for' is "$rc $(everything)" '0 1 1 1 1'

# --- told once ------------------------------------------------------------------------------------------------
fault 'denied=iam.workloadIdentityPools.get'
setup "${as_admin[@]}"
ok 'an error names its step once' not grep -q 'pool ci-pool: .*pool ci-pool: ' "$err"
ok 'an error names its step' says "pool ci-pool: Google refused: 403"
ok 'and the plan has it below its step' not grep -q '^ *pool ci-pool: ' "$out"
fault lro-polls=0 spread=1000
lab POST reset
patience=1 apply
ok 'what does not show: named once' not grep -q "account $account.*account $account" "$err"
finish
