#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A provider with attribute mapping, condition and audiences of every kind: what `claims`
# says of the job's token beforehand, and what the token service then says, agree; and both
# name the cause.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$work/tokens"
: >"$work/secrets"
provider=$work/provider.json
pool=projects/123456789012/locations/global/workloadIdentityPools/lab-pool
describe() { # MAPPING CONDITION [AUDIENCES]: members of JSON objects and arrays
    cat >"$provider.new" <<JSON
{"name": "$pool/providers/lab-ci", "state": "ACTIVE",
 "attributeMapping": {$1}, "attributeCondition": "$2",
 "oidc": {"issuerUri": "${LAB_ISSUER:-https://token.actions.githubusercontent.com}", "allowedAudiences": [${3:-}]}}
JSON
    mv "$provider.new" "$provider"
}
sub='"google.subject": "assertion.sub"'
describe "$sub" 'true'
start_lab --google-provider "$provider"
{
    printf '[source]\ntype = github\n[google lab]\nprovider = %s\n' "$LAB_GOOGLE_PROVIDER"
    printf '[policy lab]\nissuer = %s\n' "$LAB_ISSUER"
    printf '[tls]\nca_file = %s\n[dial]\nresolve = %s\n' "$LAB_CA_FILE" "$LAB_RESOLVE"
} >"$config"

agree=0
taken() { # NAME SUBJECT MAPPING CONDITION [AUDIENCES]
    local name=$1 subject=$2
    shift 2
    describe "$@"
    succeeds "$name: claims: accepted" claims --provider-json "$provider"
    ok "$name: claims: says so" has 'verdict: accepted'
    ok "$name: claims: the principal" has "principal://iam.googleapis.com/$pool/subject/$subject"
    succeeds "$name: exchange" exchange
    # (The service tells its log, not its caller, who that is.)
    ok "$name: exchange: the same principal" is "$(curl -sS -K "$LAB_CONTROL_CURL" "$LAB_CONTROL_URL/log" |
        grep -o 'issued: federated token for [^"]*' | tail -n 1)" \
        "issued: federated token for principal://iam.googleapis.com/$pool/subject/$subject"
    agree=$((agree + 1))
}
refused() { # NAME WHAT-CLAIMS-SAYS WHAT-THE-SERVICE-SAYS MAPPING CONDITION [AUDIENCES]
    local name=$1 ours=$2 theirs=$3
    shift 3
    describe "$@"
    kw claims --provider-json "$provider"
    expect_exit "$name: claims" 6
    ok "$name: claims: why" grep -qF -- "$ours" "$out" "$err"
    fails "$name: exchange" 7 "$theirs" exchange
    agree=$((agree + 1))
}
main='repo:keyward/demo:ref:refs/heads/main'
condition='rejected by the attribute condition'

taken 'the subject as it is' "$main" "$sub" ''
taken 'a condition on a claim' "$main" "$sub" "assertion.repository_id == '592302719'"
taken 'another claim is the subject' 592302719 '"google.subject": "assertion.repository_id"' ''
taken 'a computed subject' 'demo@main' '"google.subject": "assertion.repository.split(\"/\")[1] + \"@\" + assertion.ref.extract(\"refs/heads/{name}\")"' ''
taken 'a condition on a mapped attribute' "$main" "$sub, \"attribute.repo\": \"assertion.repository\"" "attribute.repo.startsWith('keyward/')"
taken 'a list' "$main" "$sub" "assertion.ref in ['refs/heads/main', 'refs/heads/release']"
taken 'a pattern' "$main" "$sub" "assertion.ref.matches('^refs/heads/(main|release-[0-9]+)$')"
taken 'a claim that may be absent' "$main" "$sub" "!has(assertion.nothing) || assertion.nothing == 'x'"
taken 'an error beside what is true' "$main" "$sub" "assertion.nothing == 'x' || assertion.repository == 'keyward/demo'"
taken 'the audience, allowed' "$main" "$sub" '' "\"https://iam.googleapis.com/$pool/providers/lab-ci\", \"x\""

refused 'another repository' "assertion.repository_id == '1' is false" "$condition" "$sub" "assertion.repository_id == '1'"
refused 'one of two terms' 'assertion.ref is "refs/heads/main"' "$condition" "$sub" "assertion.repository_id == '592302719' && assertion.ref == 'refs/heads/release'"
refused 'a number for a string' 'in quotes the other would be a string' "$condition" "$sub" 'assertion.repository_id == 592302719'
refused 'other capitals' 'assertion.repository is "keyward/demo"' "$condition" "$sub" "assertion.repository == 'Keyward/Demo'"
refused 'an absent claim' 'assertion.nothing is absent' "$condition" "$sub" "assertion.nothing == 'x'"
refused 'not in the list' 'is false' "$condition" "$sub" "assertion.ref in ['refs/heads/release']"
refused 'a pattern that does not match' 'is false' "$condition" "$sub" "assertion.ref.matches('^refs/tags/')"
refused 'a mapped attribute' 'is false' "$condition" "$sub, \"attribute.repo\": \"assertion.repository\"" "attribute.repo == 'keyward/other'"
refused 'a subject that is not there' 'assertion.nothing is absent' "can't be evaluated|names a claim that the token hasn't" '"google.subject": "assertion.nothing"' ''
refused 'a subject of 128 bytes and more' 'longer than 127 bytes' '127 bytes limit' '"google.subject": "assertion.sub + assertion.sub + assertion.sub + assertion.sub"' ''
refused 'another audience' 'none of the provider' 'audience' "$sub" '' '"https://elsewhere.test"'

# What doesn't parse is told with its place, and the lab doesn't start with it.
describe "$sub" 'assertion.ref =='
fails 'no expression' 2 'does not parse at position 17' claims --provider-json "$provider"
rm -f "$work/ready"
"$KW_LAB" --dir "$work/lab2" --ready-file "$work/ready" --google-provider "$provider" >"$out" 2>"$err" </dev/null
ok 'the lab refuses it too' test ! -e "$work/ready"
ok 'the lab says why' grep -q 'position' "$err"
ok 'every case was decided twice' is "$agree" 21
ok 'no secret told' no_secrets
finish
