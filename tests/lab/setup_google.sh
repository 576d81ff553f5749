# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by setup.sh: Google's APIs, pools, providers, accounts, policies, and the exchange.
g_admin=$(cat "$LAB_GOOGLE_ADMIN_TOKEN_FILE") g_bearer=$g_admin
P=projects/$LAB_GOOGLE_PROJECT N=projects/$LAB_GOOGLE_NUMBER
W=locations/global/workloadIdentityPools
IAM=https://iam.googleapis.com/v1 USAGE=https://serviceusage.googleapis.com/v1
CRED=https://iamcredentials.googleapis.com/v1 CRM=https://cloudresourcemanager.googleapis.com/v1
BUCKET=https://storage.googleapis.com/storage/v1/b/lab-bucket
goog() { # METHOD URL [BODY]: with the bearer at hand
    printf 'authorization: Bearer %s\n' "$g_bearer" >"$work/auth"
    web -X "$1" -H "@$work/auth" ${3+-H 'content-type: application/json' --data-binary "$3"} "$2"
}
g_no() { # NAME CODE STATUS [TEXT]
    ok "$1: $2" is "$status" "$2"
    ok "$1: $3" has "\"status\":\"$3\""
    [ $# -lt 4 ] || ok "$1: $4" has "$4"
}
polls=0
lro() { # BASE: until the operation that was just begun is done
    local name
    name=$(field name)
    polls=0
    until has '"done":true' || [ "$polls" -ge 20 ]; do
        goog GET "$1/$name"
        polls=$((polls + 1))
    done
}
done_() { # NAME BASE: begun, and done
    ok "$1: begun" is "$status" 200
    lro "$2"
    ok "$1: done" has '"response":'
}

# --- who may, and which APIs are on ---------------------------------------------------------
web "$USAGE/$P/services"
g_no 'nobody asks' 401 UNAUTHENTICATED
goog GET "$USAGE/projects/other/services"
g_no 'another project' 403 PERMISSION_DENIED serviceusage.services.list
goog GET "$USAGE/$P/services?filter=state:ENABLED"
ok 'APIs that are on' is "$(grep -o '"name":"projects[^"]*' "$work/out" | sed 's|.*/||' | tr '\n' ' ')" 'serviceusage.googleapis.com storage.googleapis.com '
goog GET "$USAGE/$P/services?pageSize=2"
ok 'APIs: a page' has '"nextPageToken":"2"'
goog GET "$USAGE/$P/services?filter=name:x"
g_no 'APIs: another filter' 400 INVALID_ARGUMENT
goog GET "$IAM/$P/$W"
g_no 'IAM is off' 403 PERMISSION_DENIED SERVICE_DISABLED
goog POST "$USAGE/$P/services/nothing.googleapis.com:enable" '{}'
g_no 'no such API' 404 NOT_FOUND
goog POST "$USAGE/$P/services/iam.googleapis.com:enable" '{}'
ok 'an operation begins' not has '"done"'
done_ 'IAM is enabled' "$USAGE"
ok 'operation: polls' is "$polls" 2
goog GET "$USAGE/operations/nothing"
g_no 'no such operation' 404 NOT_FOUND
goog POST "$USAGE/$P/services:batchEnable" '{"serviceIds":["iamcredentials.googleapis.com","nothing"]}'
g_no 'all or none' 400 INVALID_ARGUMENT
goog GET "$CRM/$P"
g_no 'the manager is off' 403 PERMISSION_DENIED SERVICE_DISABLED
goog POST "$USAGE/$P/services:batchEnable" '{"serviceIds":["iamcredentials.googleapis.com","cloudresourcemanager.googleapis.com","sts.googleapis.com"]}'
done_ 'three are enabled' "$USAGE"
goog GET "$USAGE/$P/services/sts.googleapis.com"
ok 'one of them' has '"state":"ENABLED"'
goog GET "$CRM/$P"
ok 'the number' has "\"projectNumber\":\"$LAB_GOOGLE_NUMBER\""

# --- a pool --------------------------------------------------------------------------------------
goog GET "$IAM/$P/$W"
ok 'no pools' is "$(cat "$work/out")" '{}'
for id in abc gcp-pool Upper "$(printf 'a%.0s' {1..33})"; do
    goog POST "$IAM/$P/$W?workloadIdentityPoolId=$id" '{}'
    g_no "pool id $id" 400 INVALID_ARGUMENT
done
goog POST "$IAM/$P/$W" '{}'
g_no 'pool without id' 400 INVALID_ARGUMENT
goog POST "$IAM/$P/$W?workloadIdentityPoolId=ci-pool" '{"displayname":"x"}'
g_no 'pool with an unknown member' 400 INVALID_ARGUMENT
goog POST "$IAM/$P/$W?workloadIdentityPoolId=ci-pool" "{\"displayName\":\"$(printf 'a%.0s' {1..33})\"}"
g_no 'pool with a long name' 400 INVALID_ARGUMENT
goog POST "$IAM/$P/$W?workloadIdentityPoolId=ci-pool" '{"disabled":"yes"}'
g_no 'pool disabled by a text' 400 INVALID_ARGUMENT
goog POST "$IAM/$P/$W?workloadIdentityPoolId=ci-pool" '{'
g_no 'pool of no JSON' 400 INVALID_ARGUMENT
goog GET "$IAM/$P/$W/ci-pool"
g_no 'no pool yet' 404 NOT_FOUND
goog POST "$IAM/$P/$W?workloadIdentityPoolId=ci-pool" '{"displayName":"CI"}'
done_ 'pool' "$IAM"
pool=$N/$W/ci-pool
goog GET "$IAM/$pool"
ok 'pool: by number' has "\"name\":\"$pool\",\"state\":\"ACTIVE\""
goog POST "$IAM/$P/$W?workloadIdentityPoolId=ci-pool" '{}'
g_no 'the same pool' 409 ALREADY_EXISTS
goog PATCH "$IAM/$pool" '{"description":"x"}'
g_no 'change without mask' 400 INVALID_ARGUMENT
goog PATCH "$IAM/$pool?updateMask=state" '{"state":"DELETED"}'
g_no 'change of the state' 400 INVALID_ARGUMENT
goog PATCH "$IAM/$pool?updateMask=description" '{"description":"of CI","displayName":"not in the mask"}'
done_ 'change' "$IAM"
goog GET "$IAM/$pool"
ok 'change: the mask counts' has '"displayName":"CI","name"'
ok 'change: made' has '"description":"of CI"'

# --- a provider -------------------------------------------------------------------------------------
provider() { # [ISSUER] [CONDITION] [MORE OF OIDC] [MAPPING]
    printf '{"attributeMapping":{%s},"attributeCondition":"%s","oidc":{"issuerUri":"%s"%s}}' \
        "${4-\"google.subject\":\"assertion.sub\",\"attribute.repository\":\"assertion.repository\"}" \
        "${2-assertion.repository_id == '592302719'}" "${1-$LAB_ISSUER}" "${3-}"
}
make() { goog POST "$IAM/${2-$pool}/providers?workloadIdentityPoolProviderId=${3-github}" "$1"; } # BODY [POOL [ID]]
bad() {                                                                                          # NAME BODY [TEXT]
    make "$2"
    g_no "provider: $1" 400 INVALID_ARGUMENT ${3+"$3"}
}
bad 'nothing' '{}'
bad 'two kinds' '{"oidc":{"issuerUri":"https://a"},"x509":{}}'
bad 'issuer over http' "$(provider http://a.test)"
bad 'eleven audiences' "$(provider https://a.test x "$(printf ',"allowedAudiences":["a"%s]' "$(printf ',"a"%.0s' {1..10})")")"
bad 'a long audience' "$(provider https://a.test x ",\"allowedAudiences\":[\"$(printf 'a%.0s' {1..257})\"]")"
bad 'an unknown member' "$(provider https://a.test x ',"jwks":"x"')"
bad 'no JWK set' "$(provider https://a.test 'assertion.sub != \"\"' ',"jwksJson":"{}"')" 'Input JWK is not in a valid json format'
bad 'subject not mapped' "$(provider https://a.test 'assertion.sub != \"\"' '' '"attribute.x":"assertion.x"')" google.subject
bad 'a mapping that is none' "$(provider https://a.test 'assertion.sub != \"\"' '' '"google.subject":"assertion.sub +"')"
bad 'a condition that is none' "$(provider https://a.test 'assertion.sub ==')"
bad 'everybody of GitHub' "$(provider "$LAB_ISSUER" '')" 'must reference one of the provider'
bad 'a condition that is always true' "$(provider https://gitlab.com true)" 'must reference one of the provider'
make "$(provider)" "$N/$W/nothing"
g_no 'provider of no pool' 404 NOT_FOUND
make "$(provider)" "$pool" gcp-x
g_no 'provider of a bad id' 400 INVALID_ARGUMENT

sts() { # AUDIENCE SUBJECT-TOKEN: the federated token, in $g_bearer
    web --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange --data-urlencode "audience=$1" \
        --data-urlencode scope=https://www.googleapis.com/auth/cloud-platform --data-urlencode "subject_token=$2" \
        --data-urlencode requested_token_type=urn:ietf:params:oauth:token-type:access_token \
        --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:jwt https://sts.googleapis.com/v1/token
    federated=$(field access_token)
}
s_no() { # NAME ERROR TEXT; the token that was there stays
    local federated
    sts "${audience-//iam.googleapis.com/$gprovider}" "$jwt"
    ok "$1: $2" is "$status $(field error)" "400 $2"
    ok "$1: $3" has "$3"
}
gprovider=$pool/providers/github
subject "https://iam.googleapis.com/$gprovider"
s_no 'no provider yet' invalid_target "doesn't exist"
make "$(provider)"
done_ 'provider' "$IAM"
ok 'provider: what it is' has "\"name\":\"$gprovider\",\"state\":\"ACTIVE\""
make "$(provider)"
g_no 'the same provider' 409 ALREADY_EXISTS
audience=//iam.googleapis.com/$pool s_no 'a pool for a provider' invalid_request 'full resource name'
audience=//iam.googleapis.com/$P/$W/ci-pool/providers/github s_no 'the id for the number' invalid_target invalid
audience=//iam.googleapis.com/$N/$W/lab-pool/providers/lab-ci s_no 'the options provider of a bare lab' invalid_target invalid
sts "//iam.googleapis.com/$gprovider" "$jwt"
yes 'exchange' 200
mask() { goog PATCH "$IAM/$gprovider?updateMask=$1" "$2" && lro "$IAM"; }
mask oidc.allowed_audiences '{"oidc":{"allowedAudiences":["https://ci.test"]}}'
s_no 'the default audience counts no more' invalid_grant audience
subject https://ci.test
sts "//iam.googleapis.com/$gprovider" "$jwt"
yes 'the other does' 200
mask attributeCondition "{\"attributeCondition\":\"assertion.repository_id == '1'\"}"
s_no 'another condition' unauthorized_client 'attribute condition'
mask attributeCondition "{\"attributeCondition\":\"assertion.repository_id == '592302719'\"}"
mask disabled '{"disabled":true}'
s_no 'provider disabled' invalid_target disabled
mask disabled '{}'
mask oidc.issuerUri '{"oidc":{"issuerUri":"https://unknown.test"}}'
s_no 'another issuer' invalid_grant 'does not match the expected'
mask oidc.issuer_uri "{\"oidc\":{\"issuerUri\":\"$LAB_ISSUER\"}}"
goog PATCH "$IAM/$gprovider?updateMask=attributeCondition" '{"attributeCondition":""}'
g_no 'the condition can'"'"'t go' 400 INVALID_ARGUMENT 'must reference'
sts "//iam.googleapis.com/$gprovider" "$jwt"
yes 'all well again' 200

# --- a provider with its own keys --------------------------------------------------------------------
jwks=$(sed 's/"/\\"/g' "$work/second.jwks")
bad 'a JWK with more in it' "$(provider https://hsm.test 'assertion.sub != \"\"' ",\"jwksJson\":\"$(printf %s "$jwks" | sed 's/\\"kty/\\"x5c\\":[],\\"kty/')\"")" 'Input JWK'
make "$(provider https://hsm.test "assertion.job == 'nightly'" ",\"jwksJson\":\"$jwks\"" '"google.subject":"assertion.sub"')" "$pool" own-keys
done_ 'provider with keys' "$IAM"
own() { # KEY JOB
    local s now
    now=$(date +%s)
    s="$(printf '{"alg":"RS256","kid":"second"}' | b64url).$(printf '{"iss":"https://hsm.test","aud":"https://iam.googleapis.com/%s/providers/own-keys","sub":"hsm","job":"%s","iat":%d,"exp":%d}' \
        "$pool" "$2" "$now" "$((now + 60))" | b64url)"
    sts "//iam.googleapis.com/$pool/providers/own-keys" "$s.$(printf %s "$s" | openssl dgst -sha256 -sign "$1" | b64url)"
}
own "$work/api.pem" nightly
yes 'own keys' 200
own "$work/api.pem" other
ok 'own keys: condition' is "$status $(field error)" '400 unauthorized_client'
own "$work/other.pem" nightly
ok 'own keys: another key' is "$status $(field error)" '400 invalid_grant'

# --- X.509 ---------------------------------------------------------------------------------------------
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/root.key" -subj /CN=root -days 2 -out "$work/root.crt" \
    -addext basicConstraints=critical,CA:true 2>/dev/null
printf 'extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\nsubjectAltName=DNS:build.lab.test\n' >"$work/leaf.ext"
openssl req -new -key "$work/session.pem" -subj /O=lab/CN=machine-7 2>/dev/null | openssl x509 -req -CA "$work/root.crt" \
    -CAkey "$work/root.key" -CAcreateserial -days 1 -extfile "$work/leaf.ext" -out "$work/leaf.crt" 2>/dev/null
pem=$(awk '{printf "%s\\n", $0}' "$work/root.crt")
bad 'X.509 without anchors' '{"x509":{"trustStore":{"trustAnchors":[]}}}' 'trust anchors'
bad 'X.509 with no certificate' '{"x509":{"trustStore":{"trustAnchors":[{"pemCertificate":"x"}]}}}' 'trust anchors'
x509() { # CONDITION
    make "{\"attributeCondition\":\"$1\",\"attributeMapping\":{\"google.subject\":\"assertion.subject.dn.cn\",\"attribute.host\":\"assertion.san.dns\"},\"x509\":{\"trustStore\":{\"trustAnchors\":[{\"pemCertificate\":\"$pem\"}]}}}" "$pool" "$2"
}
x509 "assertion.subject.dn.o == 'lab'" machines
done_ 'X.509 provider' "$IAM"
x509 "assertion.subject.dn.o == 'other'" others
lro "$IAM"
mtls() { # PROVIDER KEY CERTIFICATE
    web --cert "$3" --key "$2" --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
        --data-urlencode "audience=//iam.googleapis.com/$pool/providers/$1" \
        --data-urlencode scope=https://www.googleapis.com/auth/cloud-platform \
        --data-urlencode "subject_token=[\"$(openssl x509 -in "$3" -outform DER | base64 -w0)\"]" \
        --data-urlencode requested_token_type=urn:ietf:params:oauth:token-type:access_token \
        --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:mtls https://sts.mtls.googleapis.com/v1/token
}
mtls machines "$work/session.pem" "$work/leaf.crt"
yes 'X.509 exchange' 200
newest 'subject/machine-7'
mtls others "$work/session.pem" "$work/leaf.crt"
ok 'X.509: condition' is "$status $(field error)" '400 unauthorized_client'
mtls machines "$work/session.pem" "$work/client.crt"
ok 'X.509: another chain' is "$status $(field error)" '400 invalid_grant'
mtls github "$work/session.pem" "$work/leaf.crt"
ok 'X.509: a provider of tokens' is "$status $(field error)" '400 invalid_target'

# --- a service account -------------------------------------------------------------------------------------
account() { printf '{"accountId":"%s","serviceAccount":{"displayName":"CI"}}' "$1"; }
for id in short Uppercase ends-in- 1numbers; do
    goog POST "$IAM/$P/serviceAccounts" "$(account $id)"
    g_no "account $id" 400 INVALID_ARGUMENT
done
goog POST "$IAM/$P/serviceAccounts" "$(account ci-deploy)"
yes account 200
email=$(field email) unique=$(field uniqueId)
ok 'account: e-mail' is "$email" ci-deploy@lab-project.iam.gserviceaccount.com
goog POST "$IAM/$P/serviceAccounts" "$(account ci-deploy)"
g_no 'the same account' 409 ALREADY_EXISTS
goog GET "$IAM/projects/-/serviceAccounts/$unique"
ok 'account: by its id' has "\"email\":\"$email\""
goog GET "$IAM/$P/serviceAccounts/nobody@x"
g_no 'no account' 404 NOT_FOUND
goog GET "$IAM/projects/-/serviceAccounts/nobody@x"
g_no 'no account, nor its project' 403 PERMISSION_DENIED
goog GET "$IAM/$P/serviceAccounts"
ok 'accounts' is "$(grep -o '"email"' "$work/out" | wc -l)" 1
account_url=$IAM/$P/serviceAccounts/$email
policy_of() { goog POST "$account_url:getIamPolicy?options.requestedPolicyVersion=${1-3}" '{}'; }
bind() { # ETAG MEMBER [VERSION [CONDITION [ROLE]]]
    printf '{"policy":{"version":%s,"etag":"%s","bindings":[{"role":"%s","members":["%s"]%s}]}}' "${3-1}" "$1" \
        "${5-roles/iam.workloadIdentityUser}" "$2" "${4-}"
}
set_() { goog POST "$account_url:setIamPolicy" "$(bind "$@")"; }
impersonate() { g_bearer=$federated goog POST "$CRED/projects/-/serviceAccounts/$email:generateAccessToken" '{"scope":["https://www.googleapis.com/auth/cloud-platform"]}'; }
sts "//iam.googleapis.com/$gprovider" "$jwt"
impersonate
g_no 'no binding' 403 PERMISSION_DENIED getAccessToken
policy_of 2
g_no 'policy version 2' 400 INVALID_ARGUMENT
policy_of
ok 'no policy yet' has '"etag":"ACAB"'
set_principal=principalSet://iam.googleapis.com/$pool/attribute.repository/keyward/demo
set_ ACAB "$set_principal" 2
g_no 'a policy of version 2' 400 INVALID_ARGUMENT version
set_ ACAB robot:x
g_no 'another kind of member' 400 INVALID_ARGUMENT member
set_ ACAB "principalSet://iam.googleapis.com/$P/$W/ci-pool/*"
g_no 'the project by id' 400 INVALID_ARGUMENT 'Identity Pool does not exist'
set_ ACAB "principalSet://iam.googleapis.com/$N/$W/nothing/*"
g_no 'no such pool' 400 INVALID_ARGUMENT 'Identity Pool does not exist'
set_ ACAB serviceAccount:nobody@x
g_no 'no such account' 400 INVALID_ARGUMENT 'does not exist'
set_ ACAB user:a@b 1 '' owner
g_no 'no role' 400 INVALID_ARGUMENT Role
set_ ACAB user:a@b 1 ',"condition":{"title":"t","expression":"true"}'
g_no 'a condition in version 1' 400 INVALID_ARGUMENT 'version 3'
set_ ACAB "$set_principal"
yes 'policy' 200
etag=$(field etag)
set_ ACAB user:a@b
g_no 'a stale etag' 409 ABORTED 'concurrent policy changes'
impersonate
yes 'account by its attribute' 200
ok 'account: a token' has '"accessToken":"ya29.c.'
goog POST "$account_url:testIamPermissions" '{"permissions":["iam.serviceAccounts.getAccessToken","iam.serviceAccounts.delete"]}'
ok 'what the administrator has' is "$(cat "$work/out")" '{"permissions":["iam.serviceAccounts.delete"]}'
g_bearer=$federated goog POST "$account_url:testIamPermissions" '{"permissions":["iam.serviceAccounts.getAccessToken","iam.serviceAccounts.delete"]}'
ok 'what the job has' is "$(cat "$work/out")" '{"permissions":["iam.serviceAccounts.getAccessToken"]}'
g_bearer=$federated goog POST "$account_url:setIamPolicy" "$(bind '' user:a@b)"
g_no 'the job sets no policy' 403 PERMISSION_DENIED iam.serviceAccounts.setIamPolicy
set_ "$etag" "principal://iam.googleapis.com/$pool/subject/repo:keyward/demo:ref:refs/heads/main" 3 ',"condition":{"title":"t","expression":"true"}'
yes 'policy with a condition' 200
impersonate
yes 'account by its subject' 200
policy_of 1
ok 'an old version hides the condition' has 'roles/iam.workloadIdentityUser_withcond_'
set_ '' "principalSet://iam.googleapis.com/$pool/*" 1 '' roles/viewer
yes 'no etag: over all' 200
impersonate
g_no 'another role' 403 PERMISSION_DENIED

# --- the bucket, the project ---------------------------------------------------------------------------------
read_it() { g_bearer=$federated goog GET "$BUCKET/o/hello.txt?alt=media"; }
read_it
g_no 'bucket: nobody' 403 PERMISSION_DENIED storage.objects.get
goog GET "$BUCKET/iam?optionsRequestedPolicyVersion=3"
bucket() { bind "$1" "$set_principal" 1 '' roles/storage.objectViewer | sed 's/^{"policy"://; s/}$//'; }
goog PUT "$BUCKET/iam" "$(bucket "$(field etag)")"
yes 'bucket policy' 200
read_it
ok 'bucket: read' has 'hello from'
goog PUT "$BUCKET/iam" "$(bucket ACAB)"
ok 'bucket: a stale etag' is "$status $(field reason)" '412 conditionNotMet'
goog GET "${BUCKET%lab-bucket}other/iam"
g_no 'another bucket' 403 PERMISSION_DENIED storage.buckets.getIamPolicy
goog POST "$CRM/$P:getIamPolicy" '{"options":{"requestedPolicyVersion":3}}'
goog POST "$CRM/$P:setIamPolicy" "$(bind "$(field etag)" "$set_principal" 1 '' roles/viewer)"
yes 'project policy' 200

# --- the panic button, deletion, undeletion -------------------------------------------------------------------
goog PATCH "$IAM/$pool?updateMask=disabled" '{"disabled":true}'
lro "$IAM"
read_it
g_no 'pool disabled: live tokens end' 401 UNAUTHENTICATED
s_no 'pool disabled' invalid_target disabled
goog PATCH "$IAM/$pool?updateMask=disabled" '{"disabled":false}'
lro "$IAM"
read_it
yes 'pool enabled: they live again' 200
goog POST "$IAM/$gprovider:undelete" '{}'
g_no 'not deleted' 400 FAILED_PRECONDITION
goog DELETE "$IAM/$gprovider"
done_ 'provider deleted' "$IAM"
read_it
yes 'provider deleted: live tokens live' 200
s_no 'provider deleted' invalid_target deleted
goog DELETE "$IAM/$gprovider"
g_no 'deleted twice' 400 FAILED_PRECONDITION
make "$(provider)"
g_no 'its id is not free' 409 ALREADY_EXISTS
goog PATCH "$IAM/$gprovider?updateMask=disabled" '{"disabled":true}'
g_no 'deleted things don'"'"'t change' 400 FAILED_PRECONDITION
goog GET "$IAM/$pool/providers"
ok 'lists hide it' not has '/github"'
goog GET "$IAM/$pool/providers?showDeleted=true"
ok 'unless asked' has "\"name\":\"$gprovider\",\"state\":\"DELETED\""
goog POST "$IAM/$gprovider:undelete" '{}'
done_ 'provider back' "$IAM"
sts "//iam.googleapis.com/$gprovider" "$jwt"
yes 'provider back: exchange' 200
goog DELETE "$IAM/$pool"
done_ 'pool deleted' "$IAM"
make "$(provider)" "$pool" another
g_no 'provider of a deleted pool' 400 FAILED_PRECONDITION
s_no 'pool deleted' invalid_target deleted
control POST faults clock=2600000
goog POST "$IAM/$P/$W?workloadIdentityPoolId=ci-pool" '{}'
yes 'after 30 days the id is free' 200
control DELETE faults
goog DELETE "$account_url"
yes 'account deleted' 200
goog GET "$account_url"
g_no 'account gone' 404 NOT_FOUND

# --- interruptions and delays ------------------------------------------------------------------------------------
control POST reset
goog POST "$USAGE/$P/services/iam.googleapis.com:enable" '{}'
lro "$USAGE"
fault 'drop,count=1,method=POST,path=/v1/*'
goog POST "$IAM/$P/$W?workloadIdentityPoolId=ci-pool" '{}'
ok 'drop: no answer' is "$rc" 52
goog GET "$IAM/$pool"
yes 'drop: done' 200
fault 'cut,count=1,method=POST'
make "$(provider)"
goog GET "$IAM/$gprovider"
g_no 'cut: not done' 404 NOT_FOUND
fault 'lro-fails,count=1,method=POST'
make "$(provider)"
lro "$IAM"
ok 'lro-fails: the error' has '"error":{"code":13'
goog GET "$IAM/$gprovider"
g_no 'lro-fails: not done' 404 NOT_FOUND
fault 'late-status=503,count=1,method=POST'
make "$(provider)"
g_no 'late-status' 503 UNAVAILABLE
goog GET "$IAM/$gprovider"
yes 'late-status: done' 200
fault lro-polls=5
goog DELETE "$IAM/$gprovider"
done_ 'lro-polls' "$IAM"
ok 'lro-polls: five' is "$polls" 5
fault lro-polls=0
goog POST "$IAM/$gprovider:undelete" '{}'
ok 'lro-polls: done at once' has '"done":true'
control DELETE faults
for s in 409:ABORTED 429:RESOURCE_EXHAUSTED; do
    fault "status=${s%:*},count=1,path=/v1/*"
    goog GET "$IAM/$pool"
    g_no "status ${s%:*}" "${s%:*}" "${s#*:}"
done
fault 'denied=iam.workloadIdentityPools.*,count=1'
goog DELETE "$IAM/$pool"
g_no 'denied' 403 PERMISSION_DENIED "Permission 'iam.workloadIdentityPools.delete' denied"
goog POST "$USAGE/$P/services/iamcredentials.googleapis.com:enable" '{}'
lro "$USAGE"
fault spread=1000
goog POST "$IAM/$P/serviceAccounts" "$(account ci-deploy)"
goog GET "$account_url"
g_no 'spread: account not there yet' 404 NOT_FOUND
control DELETE faults
goog POST "$IAM/$P/serviceAccounts" "$(account ci-deploy)"
g_no 'spread: but made' 409 ALREADY_EXISTS
fault clock=1100
goog GET "$account_url"
yes 'spread: there' 200
subject "https://iam.googleapis.com/$gprovider"
fault spread=1000
set_ ACAB "$set_principal"
yes 'spread: policy' 200
sts "//iam.googleapis.com/$gprovider" "$jwt"
impersonate
g_no 'spread: no binding yet' 403 PERMISSION_DENIED
fault clock=2200
subject "https://iam.googleapis.com/$gprovider"
sts "//iam.googleapis.com/$gprovider" "$jwt"
impersonate
yes 'spread: the binding' 200
control DELETE faults
