#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward setup google for others than GitHub: the PKCS#11 token as issuer (its key set is
# uploaded), X.509 federation with a key in it, and what each CI system's preset plans.
# shellcheck source=tests/e2e/setuplib.sh
. "$(dirname "$0")/setuplib.sh"
unset ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
p11() { P11_PIN=$pin pkcs11-tool --module "$softhsm" --token-label "$label" --login --pin env:P11_PIN "$@" >"$work/p11.log" 2>&1 || { cat "$work/p11.log" && exit 1; }; }
object="$LAB_STORAGE_URL/storage/v1/b/lab-bucket/o/hello.txt?alt=media"
with_token() { # LINE...: an administrator's configuration that knows the token
    admin_config
    { printf '[token]\nuri = %s\n' "$token_uri" && printf '%s\n' "$@"; } >>"$config"
}
google=(--project lab-project --pool own-pool --grant "roles/storage.objectViewer=$bucket")

# --- the token issues --------------------------------------------------------------------------------
p11 --keypairgen --key-type EC:prime256v1 --label issuer --id 01
issuer=('[issuer]' 'key = pkcs11:object=issuer' 'iss = https://hsm.test' 'sub = hsm:deployer')
with_token "${issuer[@]}"
kw setup google "${google[@]}" --issuer token "${as_admin[@]}" --apply -o "$work/files/ini"
ok 'token: done' is "$rc" 0
ok 'token: no secret told' no_secrets
ok 'token: its key was uploaded' grep -q '"jwksJson":".*P-256' <<<"$(goog GET "$iam/$N/$W/own-pool/providers/token")"
ok 'token: only its subject is let in' file_has "$work/files/ini" "attribute_condition = assertion.sub == 'hsm:deployer'"
{ cat "$work/files/ini" && printf '[token]\nuri = %s\n' "$token_uri" && printf '%s\n' "${issuer[@]}"; } >"$config"
succeeds 'token: exchange' exchange
ok 'token: direct' has "subject/hsm:deployer"
succeeds 'token: the object, by the direct grant' request GET "$object"
ok 'token: its content' is "$(cat "$out")" 'hello from lab-bucket'
p11 --keypairgen --key-type EC:prime256v1 --label next --id 02
with_token "${issuer[@]/issuer/next}" >/dev/null
sed -i 's/^\[next\]/[issuer]/; s/^key = .*/key = pkcs11:object=next/' "$config"
kw setup google "${google[@]}" --issuer token "${as_admin[@]}"
ok 'token: another key is a change' has 'oidc.jwksJson: '
kw setup google "${google[@]}" --issuer token "${as_admin[@]}" --apply
ok 'token: changed' says 'changed provider token'

# --- a key set by file ---------------------------------------------------------------------------------
kw jwks >/dev/null
cp "$out" "$work/jwks.json"
sed 's/"kty"/"x5t": "x", "kty"/' "$work/jwks.json" >"$work/more.json"
sed 's/"kty"/"d": "x", "kty"/' "$work/jwks.json" >"$work/private.json"
kube=(--issuer kubernetes --issuer-url https://k8s.test --repository ci/deployer)
admin_config
kw setup google "${google[@]}" "${kube[@]}" --jwks-file "$work/more.json" "${as_admin[@]}" --apply
ok 'kubernetes: done, stray members left out' is "$rc" 0
ok 'kubernetes: who' has "claim.sub = system:serviceaccount:ci:deployer"
kw setup google "${google[@]}" "${kube[@]}" --jwks-file "$work/jwks.json" "${as_admin[@]}" --json
ok 'kubernetes: the same keys are no change' is "$(field pending)" 0
kw setup google "${google[@]}" "${kube[@]}" --jwks-file "$work/jwks.json" "${as_admin[@]}" --apply -o "$work/files/ini"
cat "$work/files/ini" >"$config"
kw setup google "${as_admin[@]}"
ok 'kubernetes, the profile alone: its keys stay' has '= provider kubernetes: as wanted'
ok 'kubernetes, the profile alone: nor are they to be uploaded' not has '--jwks-file'
kube_provider=$iam/$N/$W/own-pool/providers/kubernetes
goog PATCH "$kube_provider?updateMask=attributeCondition" '{"attributeCondition":"assertion.sub == '"'x'"'"}' >"$work/answer"
kw setup google "${as_admin[@]}" --apply
ok 'kubernetes, the profile alone: something else is put right' says 'changed provider kubernetes'
ok 'kubernetes, the profile alone: its keys are there' grep -q '"jwksJson":".*kty' <<<"$(goog GET "$kube_provider")"
kw setup google "${as_admin[@]}" --pool other-pool
ok 'kubernetes, the profile alone: where there is none, keys are warned of' has '--jwks-file'
admin_config
fails 'a private key' 2 'private key in it|member d' setup google "${google[@]}" "${kube[@]}" --jwks-file "$work/private.json" "${as_admin[@]}"
fails 'no key set' 2 'no JWK set' setup google "${google[@]}" "${kube[@]}" --jwks-file "$config" "${as_admin[@]}"
kw setup google "${google[@]}" "${kube[@]}" "${as_admin[@]}"
ok 'kubernetes without keys: a warning' has '--jwks-file'

# --- X.509 -----------------------------------------------------------------------------------------------
p11 --keypairgen --key-type EC:prime256v1 --label workload --id 4711
p11 --read-object --type pubkey --id 4711 --output-file "$work/pub.der"
(
    cd "$work" || exit 1
    openssl ecparam -genkey -name prime256v1 -out root.key
    openssl req -x509 -new -key root.key -subj /CN=root -days 2 -out root.pem \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
    printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n' >leaf.ext
    openssl req -new -newkey rsa:2048 -nodes -keyout dummy.key -subj /CN=workload-1 -out leaf.csr
    openssl pkey -pubin -inform DER -in pub.der -out pub.pem
    openssl x509 -req -in leaf.csr -force_pubkey pub.pem -CA root.pem -CAkey root.key -CAcreateserial -days 1 \
        -extfile leaf.ext -out leaf.pem
) >"$work/openssl.log" 2>&1 || { cat "$work/openssl.log" && exit 1; }
with_token '[google lab]' "client_cert = $work/leaf.pem" 'client_key = pkcs11:object=workload'
x509=(--issuer x509 --trust-anchor "$work/root.pem" --subject workload-1)
kw setup google "${google[@]}" "${x509[@]}" "${as_admin[@]}" --apply -o "$work/files/ini"
ok 'x509: done' is "$rc" 0
{ cat "$work/files/ini" && printf '[token]\nuri = %s\n' "$token_uri"; } >"$config"
succeeds 'x509: exchange' exchange
ok 'x509: who' has 'subject/workload-1'
succeeds 'x509: the object' request GET "$object"
kw setup google "${google[@]}" "${x509[@]}" "${as_admin[@]}" --json
ok 'x509: again: nothing to be done' is "$(field pending)" 0
fails 'x509: no anchor' 2 '--trust-anchor' setup google "${google[@]}" --issuer x509 "${as_admin[@]}"
fails 'x509: no certificate' 2 'no certificate' setup google "${google[@]}" --issuer x509 --trust-anchor "$config" "${as_admin[@]}"
fails 'x509: a repository' 2 'for tokens' setup google "${google[@]}" "${x509[@]}" --repository a/b "${as_admin[@]}"
admin_config
kw setup google "${google[@]}" "${x509[@]}" --provider token "${as_admin[@]}"
ok 'another kind: refused' is "$rc" 6
ok 'another kind: why' says 'of another kind'

# --- plans ---------------------------------------------------------------------------------------------------
planned() { # NAME TEXT ARGUMENT...
    local name=$1 text=$2
    shift 2
    kw setup google --project lab-project --pool other-pool --service-account ci-deploy "${as_admin[@]}" "$@"
    ok "$name: plan" is "$rc" 0
    ok "$name: $text" has "$text"
}
planned gitlab "assertion.project_id == '4711' && assertion.ref == 'main' && assertion.ref_type == 'branch'" \
    --issuer gitlab --repository-id 4711 --branch main
planned circleci "oidc.issuerUri: \"https://oidc.circleci.com/org/5b1c\"" --issuer circleci --owner-id 5b1c --repository-id aa11
planned buildkite "assertion.pipeline_slug == 'demo'" --issuer buildkite --repository keyward/demo
planned 'an issuer by its URL' "oidc.issuerUri: \"https://own.test\"" --issuer https://own.test --subject me
planned 'a condition of one'"'"'s own' "attributeCondition: \"assertion.enterprise == 'me'\"" --issuer github --condition "assertion.enterprise == 'me'"
planned 'a mapping besides' 'attributeMapping attribute.actor: "assertion.actor"' --issuer github --repository-id 1 --mapping attribute.actor=assertion.actor
planned 'audiences' 'oidc.allowedAudiences: ["https://a.test"]' --issuer github --repository-id 1 --audience https://a.test
planned 'a condition besides' "attributeCondition: \"assertion.repository_id == '1' && assertion.ref == 'refs/heads/main' && (assertion.event_name in ['push', 'schedule'])\"" \
    --issuer github --repository-id 1 --branch main --condition "assertion.event_name in ['push', 'schedule']"
planned 'a whole sub' "attributeCondition: \"assertion.sub == 'repo:keyward/demo:environment:prod'\"" --issuer github --subject repo:keyward/demo:environment:prod
planned 'a whole sub is whom it is granted to' "attribute.sub/repo:keyward/demo:environment:prod" --issuer github --subject repo:keyward/demo:environment:prod
planned 'an issuer with several organizations' "assertion.sub.startsWith('org/5b1c/')" --issuer circleci --issuer-url https://ci.test --owner-id 5b1c --repository-id aa11
planned 'another subject: no grant to the old one' 'rights are granted to every identity' --issuer github --repository-id 1 \
    --mapping attribute.repository_id=assertion.actor_id
planned 'another subject: by what is mapped still' 'attribute.who/me' --issuer https://own.test --subject me \
    --mapping google.subject=assertion.jti --mapping attribute.who=assertion.sub
planned 'whom a condition lets in' 'attribute.repository_owner_id/65' --issuer github --condition "assertion.repository_owner_id == '65' && assertion.ref == 'refs/heads/main'"
for role in owner editor iam.securityAdmin resourcemanager.projectIamAdmin iam.serviceAccountTokenCreator \
    iam.serviceAccountKeyAdmin iam.serviceAccountUser iam.workloadIdentityUser storage.admin compute.admin; do
    planned 'too much' "warning: roles/$role " --issuer github --repository-id 1 --grant "roles/$role=project"
done
kw setup google --project lab-project --pool other-pool "${as_admin[@]}" --issuer github --repository-id 1 --branch main \
    --grant roles/storage.objectAdmin=gs://lab-bucket --grant roles/viewer=project
ok 'enough: no warning' not has 'grant what the job needs'

# --- what would have no effect is an error --------------------------------------------------------------------
useless() { # TEXT ARGUMENT...
    local text=$1
    shift
    fails "useless: $*" 2 "$text" setup google --project lab-project "$@" --print-commands
}
for option in repository=a/b environment=x; do
    useless "--${option%=*} is not for --issuer circleci" --issuer circleci --owner-id 5b1c --repository-id aa "--$option"
done
for option in repository-id=1 owner-id=1 environment=x; do
    useless "--${option%=*} is not for --issuer buildkite" --issuer buildkite --repository a/b "--$option"
done
for option in repository-id=1 owner-id=1 branch=x environment=x; do
    useless "--${option%=*} is not for --issuer kubernetes" --issuer kubernetes --issuer-url https://k8s.test --repository a/b "--$option"
done
useless 'give one of them' --issuer kubernetes --issuer-url https://k8s.test --repository a/b --subject x
for option in repository=a/b repository-id=1 owner-id=1 branch=x environment=x; do
    useless "--${option%=*} is not for --issuer token" --issuer token --issuer-url https://hsm.test --subject x "--$option"
done
for option in issuer-url=https://a.test repository=a/b repository-id=1 owner-id=1 branch=x environment=x; do
    useless "--${option%=*} is not for --issuer https://own.test" --issuer https://own.test --subject x "--$option"
    useless "--${option%=*} is for tokens" --issuer x509 --trust-anchor "$work/root.pem" "--$option"
done
useless '--jwks-file is for tokens' --issuer x509 --trust-anchor "$work/root.pem" --jwks-file "$work/jwks.json"
for option in trust-anchor intermediate; do
    useless "--$option is for --issuer x509" --issuer github --repository-id 1 --$option "$work/root.pem"
done
cp "$config" "$work/kept"
{ cat "$work/kept" && printf '[google lab]\nissuer_uri = https://own.test\nattribute_mapping.google.subject = assertion.sub\nattribute_condition = %s\n' \
    "assertion.sub == 'me'"; } >"$config"
for option in issuer-url=https://a.test repository=a/b repository-id=1 owner-id=1 branch=x environment=x subject=x; do
    useless "--${option%=*} goes with --issuer" "--$option"
    useless "--${option%=*} goes with --issuer" "--$option" --destroy
done
kw setup google --project lab-project --pool other-pool --grant roles/viewer=project "${as_admin[@]}"
ok 'a profile: whom its condition lets in' has 'principal://iam.googleapis.com/'"$N/$W"'/other-pool/subject/me'
ok 'a profile: nobody else' not has 'rights are granted to every identity'
kw setup google --project lab-project --pool other-pool --condition "assertion.sub == 'you'" --grant roles/viewer=project "${as_admin[@]}"
ok 'a profile: another condition instead' has "attributeCondition: \"assertion.sub == 'you'\""
cp "$work/kept" "$config" && rm "$work/kept"

# --- a condition has to keep strangers out -----------------------------------------------------------------------
stranger() { fails "stranger: $2" 2 'does not say whose are let in' setup google --project lab-project --issuer "$1" --condition "$2" --print-commands; }
stranger github "assertion.repository_id == '1' || true"
stranger github "assertion.ref == 'refs/heads/main'"
stranger github "assertion.ref == 'assertion.repository_id'"
stranger github "assertion.actor == 'me'"
stranger github "assertion.sub == 'repo:' + assertion.repository + ':ref:refs/heads/main'"
stranger github "size(assertion.repository) == 30"
stranger gitlab "assertion.project_path.startsWith('keyward')"
fails 'stranger: an environment' 2 'does not say whose are let in' setup google --project lab-project --issuer github --environment prod --print-commands
planned 'an issuer of one organization: nobody is a stranger' 'every project of the organization is let in' --issuer circleci --owner-id 5b1c
planned 'a profile of mine' "assertion.repository_owner == 'keyward'" --issuer github --condition "assertion.repository_owner == 'keyward'"
planned 'all of the pool' 'warning: rights are granted to every identity of the pool' --issuer github --condition "assertion.enterprise == 'me'"
planned 'by name' 'warning: the repository keyward/demo is named, not numbered' --issuer github --repository keyward/demo

# --- what others see of it ---------------------------------------------------------------------------------------
# A pool with a second provider in it stays when one of them goes.
kw setup google "${google[@]}" --provider token "${as_admin[@]}" --destroy
ok 'one of several: done' is "$rc" 0
ok 'one of several: it goes' says 'removed provider token'
ok 'one of several: the pool stays' says 'is in it'
ok 'one of several: the others are there' is "$(many "$iam/$N/$W/own-pool/providers" state)" 2
finish
