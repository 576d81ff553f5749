#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `claims` as an explainer: tokens shaped like GitHub's and GitLab's against a Google
# provider and an OCI trust, from a live token, a file and bare claims.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start

pool=projects/123456/locations/global/workloadIdentityPools/ci-pool
name=$pool/providers/p-provider
now=$(date +%s)
times="\"iat\":$((now - 10)),\"exp\":$((now + 290))"
github='{"iss":"https://token.actions.githubusercontent.com","sub":"repo:octo/shop:ref:refs/heads/main","aud":"https://iam.googleapis.com/'$name'","repository":"octo/shop","repository_id":"592302719","repository_owner":"octo","repository_owner_id":"4242","ref":"refs/heads/main","ref_protected":"true","run_id":"17",'$times'}'
gitlab='{"iss":"https://gitlab.com","sub":"project_path:acme/web:ref_type:branch:ref:main","aud":"mine","namespace_id":"72","project_id":"20","project_path":"acme/web","ref":"main","ref_type":"branch","ref_protected":"true","runner_id":1,"groups_direct":["acme","acme/ops"],"user_email":"a@b.test",'$times'}'
printf '%s' "$github" >"$work/github.json"
printf '%s' "$gitlab" >"$work/gitlab.json"

# Of the profile only what a section says of Google; the lab's policy is for its own tokens.
profile() { # LINE...: [google lab] without a policy
    printf '[google lab]\n' >"$config"
    printf '%s\n' "$@" >>"$config"
}
explain() { kw claims --claims-file "$@"; }
accepts() { # NAME FILE ARGUMENT...
    local name=$1
    shift
    explain "$@"
    ok "$name: accepted" is "$rc" 0
    ok "$name: says so" has 'verdict: accepted'
    ok "$name: silent" test ! -s "$err"
}
refuses() { # NAME "TEXT|TEXT" FILE ARGUMENT...: exit code 6, and the error says why
    local name=$1 texts=$2 text IFS='|'
    shift 2
    explain "$@"
    ok "$name: refused" is "$rc" 6
    ok "$name: says so" has 'verdict: refused'
    ok "$name: one line that begins with 'keyward: '" one_line
    for text in $texts; do
        ok "$name: says '$text'" says "$text"
    done
    ok "$name: no process left" no_strays
}

# --- GitHub, from flags ----------------------------------------------------------------------
profile "provider = $name"
map=(--mapping google.subject=assertion.sub --mapping attribute.repository_id=assertion.repository_id)
accepts 'github' "$work/github.json" "${map[@]}" --condition "assertion.repository_owner_id == '4242' && attribute.repository_id == '592302719'"
ok 'github: size of the subject' has '"repo:octo/shop:ref:refs/heads/main"  (34 bytes)'
ok 'github: principal' has "principal://iam.googleapis.com/$pool/subject/repo:octo/shop:ref:refs/heads/main"
ok 'github: set' has "principalSet://iam.googleapis.com/$pool/attribute.repository_id/592302719"
ok 'github: numeric ids fit both forms' not has warning:
refuses 'github: another branch' "assertion.ref == 'refs/heads/release' is false|assertion.ref is \"refs/heads/main\"" \
    "$work/github.json" "${map[@]}" --condition "assertion.repository_owner_id == '4242' && assertion.ref == 'refs/heads/release'"
ok 'github: which term' has "  REFUSE  assertion.ref == 'refs/heads/release'"
ok 'github: the other holds' has "  pass    assertion.repository_owner_id == '4242'"
refuses 'github: absent claim' "assertion.environment is absent (position 11)" "$work/github.json" "${map[@]}" \
    --condition "assertion.environment == 'prod'"
refuses 'github: a string is no bool' 'a string is compared with a bool' "$work/github.json" "${map[@]}" \
    --condition 'assertion.ref_protected == true'
ok 'github: a string is no bool: the cure' has 'in quotes the other would be a string'
refuses 'github: nor is it a number' 'in quotes the other would be a string' "$work/github.json" "${map[@]}" \
    --condition 'assertion.repository_id == 592302719'
refuses 'github: no condition of that type' 'no bool' "$work/github.json" "${map[@]}" --condition assertion.ref
refuses 'github: other issuer' "the provider's issuer URI is https://gitlab.com" "$work/github.json" "${map[@]}" --issuer https://gitlab.com
refuses 'github: other audience' 'none of the provider' "$work/github.json" "${map[@]}" --audience https://elsewhere.test
accepts 'github: old form only' "$work/github.json" "${map[@]}" --condition "assertion.sub.startsWith('repo:octo/shop:')"
ok 'github: old form only: warned' has 'fits only the old form'
ok 'github: old form only: the new one' has 'repo:octo@4242/shop@592302719:ref:refs/heads/main'
accepts 'github: both forms' "$work/github.json" "${map[@]}" --condition "assertion.sub.matches(r'^repo:octo(@4242)?/shop(@592302719)?:')"
ok 'github: both forms: no warning' not has 'old form'
accepts 'github: no condition' "$work/github.json" "${map[@]}"
ok 'github: no condition: warned' has 'issues tokens to everybody'
explain "$work/github.json" "${map[@]}" --condition 'assertion.repository.lowerAscii() == "octo/shop"'
ok 'github: outside the subset: exit code' is "$rc" 0
ok 'github: outside the subset: unknown' has 'verdict: unknown'
ok 'github: outside the subset: where' has 'position 22: the function lowerAscii()'
ok 'github: outside the subset: meant as it stands' not has 'spelt'
explain "$work/github.json" "${map[@]}" --condition 'assertion.ref.startswith("refs/")'
ok 'github: a function in wrong capitals' has 'the function startswith(), which is spelt startsWith()'
ok 'github: a function in wrong capitals: not guessed' has 'verdict: unknown'
long=$(printf 'x%.0s' $(seq 110))
sed "s,refs/heads/main,refs/heads/$long,g" "$work/github.json" >"$work/long.json"
refuses 'github: long subject' '127 bytes' "$work/long.json" "${map[@]}"

# --- members -----------------------------------------------------------------------------------
accepts 'members' "$work/github.json" "${map[@]}" --condition "assertion.repository_id == '592302719'" \
    --member "principalSet://iam.googleapis.com/$pool/attribute.repository_id/592302719" \
    --member "principal://iam.googleapis.com/$pool/subject/repo:octo/shop:ref:refs/heads/dev" \
    --member "principalSet://iam.googleapis.com/$pool/attribute.actor/me"
ok 'members: one matches' is "$(grep -c '^  MATCH   principalSet://' "$out")" 1
ok 'members: why not' has 'google.subject is "repo:octo/shop:ref:refs/heads/main"'
ok 'members: not mapped' has "attribute.actor isn't mapped"
ok 'members: one is enough' not has 'none of the members'
accepts 'members: none' "$work/github.json" "${map[@]}" --condition "assertion.repository_id == '592302719'" \
    --member "principal://iam.googleapis.com/projects/my-project/${pool#projects/*/}/subject/repo:octo/shop:ref:refs/heads/main" \
    --member "principalSet://iam.googleapis.com/projects/1/${pool#projects/*/}/*"
ok 'members: none: warned' has "none of the members is this token"
ok 'members: the ID of a project' has 'names the project by its ID, where its number belongs'
ok 'members: another project' has 'is of another project or pool than'

# --- what doesn't parse is told before anything is read ----------------------------------------
fails 'condition: syntax' 2 'the attribute condition does not parse at position 15' \
    claims --claims-file "$work/none" "${map[@]}" --condition "assertion.ref = 'x'"
fails 'condition: name' 2 'position 9|there is no variable of this name|a claim is assertion.NAME' \
    claims --claims-file "$work/github.json" "${map[@]}" --condition "true && asser.ref"
fails 'condition: no quotes' 2 "position 23|a string stands in quotes|('octo/shop')" \
    claims --claims-file "$work/github.json" "${map[@]}" --condition "assertion.repository==octo/shop"
fails 'condition: words' 2 "position 8|'and' is written '&&'" claims --claims-file "$work/github.json" "${map[@]}" --condition "1 == 1 and true"
fails "condition: a word processor's quotes" 2 "position 16|its quotes are ' and" \
    claims --claims-file "$work/github.json" "${map[@]}" --condition "assertion.ref==‘x’"
fails 'mapping: syntax' 2 'the mapping of attribute.a does not parse at position 4' \
    claims --claims-file "$work/github.json" "${map[@]}" --mapping "attribute.a='a'x"
fails 'mapping: key' 2 "attribute.A must be" claims --claims-file "$work/github.json" --mapping "attribute.A=assertion.sub"
fails 'no subject mapped' 2 'google.subject is not mapped' claims --claims-file "$work/github.json" --condition true
fails 'a rule' 2 'CLAIM eq VALUE' claims --claims-file "$work/github.json" --oci-rule 'sub is x'
fails 'a pool' 2 'names the pool' claims --claims-file "$work/github.json" --provider "$pool" "${map[@]}"
fails 'no file' 2 "$work/none" claims --claims-file "$work/github.json" --provider-json "$work/none"

# --- the provider as gcloud prints it, and JSON ---------------------------------------------------
cat >"$work/provider.json" <<JSON
{"attributeCondition": "assertion.namespace_id == '72' && 'acme/ops' in assertion.groups_direct",
 "attributeMapping": {"google.subject": "'gl:' + assertion.project_id", "attribute.ref": "assertion.ref",
  "google.groups": "assertion.groups_direct", "attribute.runner": "string(assertion.runner_id)"},
 "displayName": "GitLab", "name": "$name", "state": "ACTIVE",
 "oidc": {"allowedAudiences": ["mine"], "issuerUri": "https://gitlab.com"}}
JSON
accepts 'gitlab' "$work/gitlab.json" --provider-json "$work/provider.json"
ok 'gitlab: subject' has "principal://iam.googleapis.com/$pool/subject/gl:20"
ok 'gitlab: group' has "principalSet://iam.googleapis.com/$pool/group/acme/ops"
ok 'gitlab: number' has "principalSet://iam.googleapis.com/$pool/attribute.runner/1"
refuses 'gitlab: condition by flag' "assertion.ref_protected == 'false' is false" "$work/gitlab.json" \
    --provider-json "$work/provider.json" --condition "assertion.ref_protected == 'false'"
sed 's/"state": "ACTIVE"/"state": "DELETED"/' "$work/provider.json" >"$work/deleted.json"
refuses 'gitlab: deleted' 'disabled or deleted' "$work/gitlab.json" --provider-json "$work/deleted.json"
kw --json claims --claims-file "$work/gitlab.json" --provider-json "$work/provider.json"
ok 'json: exit code' is "$rc" 0
ok 'json: one value' json
ok 'json: verdict' is "$(field verdict)" pass
ok 'json: accepted' has '"accepted": true'
ok 'json: bytes' has '"bytes": 5'
kw --json claims --claims-file "$work/gitlab.json" --provider-json "$work/provider.json" --condition "assertion.ref == 'x'"
ok 'json: refused' is "$rc" 6
ok 'json: its reason' has '"kind": "policy"'
ok 'json: the path and its value' is "$(grep -c '"path": "assertion.ref"\|"value": "main"' "$out")" 3

# --- the configuration -----------------------------------------------------------------------------
profile "provider = $name" 'service_account = deployer@p.iam.gserviceaccount.com' \
    'attribute_mapping.google.subject = assertion.sub' \
    "attribute_mapping.attribute.where = assertion.ref_type == 'branch' ? assertion.ref : 'tag'" \
    "attribute_condition = 'acme' in assertion.groups_direct && assertion.project_id == '20'" \
    'allowed_audiences = other mine' 'issuer_uri = https://gitlab.com' \
    "members = principalSet://iam.googleapis.com/$pool/attribute.where/main principalSet://iam.googleapis.com/$pool/attribute.where/tag"
accepts 'configuration' "$work/gitlab.json"
ok 'configuration: conditional mapping' has 'attribute.where/main'
ok 'configuration: one member' is "$(grep -c '^  MATCH' "$out")" 1
KEYWARD_GOOGLE_ATTRIBUTE_CONDITION="assertion.project_id == '21'" refuses 'configuration: environment' \
    "assertion.project_id is \"20\"" "$work/gitlab.json"
refuses 'configuration: github is another issuer' 'issuer URI is https://gitlab.com' "$work/github.json"
profile "provider = $name"
accepts 'configuration: a provider alone' "$work/gitlab.json"
ok 'configuration: a provider alone: what is missing' has 'not judged, its mapping and condition are'
ok 'configuration: a provider alone: the verdict is of the rest' has 'verdict: accepted, as far as it was judged'
ok 'configuration: a provider alone: where to get it' has 'providers describe'
profile "provider = $name" 'attribute_mapping.google.subject = assertion.sub +'
fails 'configuration: syntax' 2 'the mapping of google.subject does not parse at position 16' claims --claims-file "$work/gitlab.json"
profile "attribute_map = x"
fails 'configuration: no such key' 2 'has no key attribute_map' claims --claims-file "$work/gitlab.json"

# --- OCI ---------------------------------------------------------------------------------------------
profile "provider = $name"
accepts 'oci' "$work/github.json" --oci-rule 'sub eq repo:octo/else:*' --oci-rule 'ref eq refs/heads/*' --oci-rule 'sub eq *'
ok 'oci: the first wins' is "$(grep -c '^  MATCH' "$out"):$(grep -c '^  -       sub eq \*' "$out")" 1:1
refuses 'oci: none' 'none of the 2 impersonation rules matches' "$work/github.json" --oci-rule 'sub eq repo:octo/shop' --oci-rule 'groups co x'
explain "$work/github.json" --oci-rule "sub eq 'repo:octo/shop:*'"
ok 'oci: quoted' is "$rc:$(grep -c 'verdict: unknown' "$out")" 0:1
printf '[oci lab]\nrule.a = sub eq repo:octo/other:*\nrule.b = sub eq repo:octo/shop:*\n' >"$config"
accepts 'oci: configuration' "$work/github.json"
ok 'oci: configuration: rule' has '  MATCH   sub eq repo:octo/shop:*'

# --- a live token ----------------------------------------------------------------------------------------
write_config
printf '\n[google lab]\nprovider = %s\nallowed_audiences = %s\nattribute_mapping.google.subject = assertion.sub\n' \
    "$name" "$LAB_AUDIENCE" >>"$config"
subject >"$work/jwt"
cat "$work/jwt" >>"$work/secrets"
succeeds 'live: source' claims --cloud oci --condition "assertion.repository_id == '592302719'"
ok 'live: header looked at' has '  pass    alg       RS256'
ok 'live: no token shown' no_secrets
kw claims --token-file "$work/jwt" --condition "assertion.repository_id == '1'"
ok 'live: file refused' is "$rc" 6
ok 'live: own policy passes' has '  pass    claim.repository_id'
ok 'live: no token shown' no_secrets
finish
