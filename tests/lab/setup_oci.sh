# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by setup.sh: the identity domain: apps, grants, users, groups, trusts, exchange.
domain=${LAB_DOMAIN_URL#https://}
I=urn:ietf:params:scim:schemas:oracle:idcs
OP='"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]'
match=''
admin() { # METHOD PATH [BODY]: signed by the administrator's API key
    fresh "$1" "$domain" "/admin/v1/$2" "${3-}"
    keyid=$api_id key=$work/api.pem
    [ -z "$match" ] || extra="if-match: $match"
    seal
    send
}
bear() { # METHOD PATH [BODY]: with the admin app's token
    printf 'authorization: Bearer %s\n' "$bearer" >"$work/auth"
    web -X "$1" -H "@$work/auth" ${3+-H 'content-type: application/json' --data-binary "$3"} \
        "$LAB_DOMAIN_URL/admin/v1/$2"
}
list() { admin GET "$1?$(enc "filter=$2")${3-}"; } # KIND FILTER [&MORE]
no() {                                             # NAME STATUS MESSAGEID
    ok "$1: $2" is "$status" "$2"
    ok "$1: status is a text" has "\"status\":\"$2\""
    ok "$1: $3" has "\"messageId\":\"error.$3\""
}
total() { sed -n 's/.*"totalResults":\([0-9]*\).*/\1/p' "$work/out"; }
yes() { ok "$1" is "$status" "$2"; } # NAME STATUS

# --- who may -------------------------------------------------------------------------------
web "$LAB_DOMAIN_URL/admin/v1/Apps"
no 'nobody asks' 401 common.common.unauthorized
ok 'nobody asks: request id' file_has "$work/head" 'opc-request-id: '
admin GET Apps
yes 'an API key asks' 200
ok 'nothing is there' is "$(total)" 0
fresh GET "$domain" /admin/v1/Apps && keyid=$api_id key=$work/other.pem && seal && send
no 'another key asks' 401 common.common.unauthorized
bearer=a.b.c
bear GET Apps
no 'no token of ours asks' 401 common.common.unauthorized

# --- a confidential app, as the vendor's scripts make one ---------------------------------------
app() { echo "{\"schemas\":[\"$I:App\"],\"displayName\":\"$1\",\"basedOnTemplate\":{\"value\":\"CustomWebAppTemplateId\"}}"; }
oauth_client="{$OP,\"Operations\":[{\"op\":\"REMOVE\",\"path\":\"allowOffline\"},{\"op\":\"REMOVE\",\"path\":\"bypassConsent\"},
{\"op\":\"ADD\",\"path\":\"allowedGrants\",\"value\":[\"client_credentials\"]},{\"op\":\"ADD\",\"path\":\"clientType\",\"value\":\"confidential\"},
{\"op\":\"REPLACE\",\"path\":\"isOAuthClient\",\"value\":true}]}"
switch() { echo "{\"schemas\":[\"$I:AppStatusChanger\"],\"active\":$2,\"id\":\"$1\"}"; } # ID true|false
admin POST Apps "{\"displayName\":\"x\",\"basedOnTemplate\":{\"value\":\"CustomWebAppTemplateId\"}}"
no 'app without schemas' 400 common.validation.invalidSchemas
admin POST Apps "{\"schemas\":[\"$I:App\"],\"displayName\":\"x\"}"
no 'app without template' 400 common.validation.missingReqAttributes
admin POST Apps "{\"schemas\":[\"$I:App\"],\"displayName\":\"x\",\"basedOnTemplate\":{\"value\":\"Other\"}}"
no 'app of no template' 400 common.validation.invalidReferenceResource
admin POST Apps '{"schemas"'
no 'app of no JSON' 400 common.validation.invalidSyntax
fresh POST "$domain" /admin/v1/Apps "$(app x)" && ctype=text/plain keyid=$api_id key=$work/api.pem && seal && send
no 'app as a text' 415 common.common.unsupportedMediaType
admin POST Apps "$(app AdminClient)"
yes 'app' 201
ok 'app: no secret yet' not has clientSecret
ok 'app: not active' has '"active":false'
ok 'app: location' file_has "$work/head" "location: $LAB_DOMAIN_URL/admin/v1/Apps/"
app_id=$(field id) app_ocid=$(field ocid)
admin POST Apps "$(app adminclient)"
no 'app of the same name' 409 common.validation.uniquenessViolation
admin PATCH "Apps/$app_id" '{"Operations":[]}'
no 'no PatchOp' 400 common.validation.invalidSyntax
admin PATCH "Apps/$app_id" "{$OP,\"Operations\":[{\"op\":\"ADD\",\"path\":\"allowedGrants\",\"value\":[\"urn:ietf:params:oauth:grant-type:token-exchange\"]}]}"
no 'the exchange as a grant' 400 common.validation.invalidValue
admin PATCH "Apps/$app_id" "{$OP,\"Operations\":[{\"op\":\"REPLACE\",\"path\":\"isOAuthClient\",\"value\":true}]}"
no 'client without type' 400 common.validation.missingReqAttributes
admin PATCH "Apps/$app_id" "{$OP,\"Operations\":[{\"op\":\"REPLACE\",\"path\":\"name\",\"value\":\"mine\"}]}"
no 'the client id is fixed' 400 common.validation.immutableAttribute
admin PATCH "Apps/$app_id" "{$OP,\"Operations\":[{\"op\":\"REPLACE\",\"path\":\"id\",\"value\":\"mine\"}]}"
no 'the id is read-only' 400 common.validation.readOnlyAttribute
admin PATCH "Apps/$app_id" "{$OP,\"Operations\":[{\"op\":\"MOVE\",\"path\":\"x\",\"value\":1}]}"
no 'no op' 400 common.validation.invalidOp
admin PATCH "Apps/$app_id" "{$OP,\"Operations\":[{\"op\":\"REMOVE\"}]}"
no 'remove nothing' 400 common.validation.noTarget
match=0123 admin PATCH "Apps/$app_id" "$oauth_client"
no 'another version' 412 common.common.preconditionFailed
admin GET "Apps/$app_id"
match=$(sed -n 's/^etag: \([0-9a-f]*\).*/\1/p' "$work/head")
ok 'etag is the version' has "\"version\":\"$match\""
admin PATCH "Apps/$app_id" "$oauth_client"
match=''
yes 'app becomes a client' 200
client=$(field name) secret=$(field clientSecret)
ok 'its secret is shown' test -n "$secret"
admin GET "Apps/$app_id?attributeSets=all"
ok 'and never again' not has "$secret"
ok 'nor where it is kept' not has _secret
token_for() { # SCOPE: client credentials
    web -u "$client:$secret" --data-urlencode grant_type=client_credentials --data-urlencode "scope=$1" "$LAB_DOMAIN_URL/oauth2/v1/token"
    bearer=$(field access_token)
}
scope=urn:opc:idm:__myscopes__
token_for $scope
oauth 'app not active' 401 invalid_client
admin PUT AppStatusChanger/nothing "$(switch nothing true)"
no 'no such app' 404 common.common.resourceNotFound
admin PUT "AppStatusChanger/$app_ocid" "$(switch other true)"
no 'another id in the body' 400 common.validation.missingReqAttributes
admin PUT "AppStatusChanger/$app_ocid" "$(switch "$app_ocid" true)"
yes 'app becomes active, by its OCID' 200
token_for urn:x
oauth 'another scope' 400 invalid_scope
token_for $scope
ok 'access token' has '"expires_in":3600'
bear GET Apps
no 'app without the role' 403 common.common.forbidden

# --- the role ------------------------------------------------------------------------------------
list AppRoles 'displayName eq "Identity Domain Administrator"'
ok 'the role' is "$(total)" 1
role=$(field id)
admin POST AppRoles "{\"schemas\":[\"$I:AppRole\"]}"
yes 'roles are not made' 405
grant() { # APP-ID ROLE-ID [APP]
    echo "{\"schemas\":[\"$I:Grant\"],\"grantMechanism\":\"ADMINISTRATOR_TO_APP\",\"grantee\":{\"value\":\"$1\",\"type\":\"App\"},
    \"app\":{\"value\":\"${3-IDCSAppId}\"},\"entitlement\":{\"attributeName\":\"appRoles\",\"attributeValue\":\"$2\"}}"
}
admin POST Grants "$(grant nobody "$role")"
no 'grant to nobody' 400 common.validation.invalidReferenceResource
admin POST Grants "$(grant "$app_id" norole)"
no 'grant of no role' 400 common.validation.invalidReferenceResource
admin POST Grants "$(grant "$app_id" "$role" Other)"
no 'grant of another app' 400 common.validation.invalidReferenceResource
admin POST Grants "$(grant "$app_id" "$role" | sed s/ADMINISTRATOR_TO_APP/X/)"
no 'grant of another mechanism' 400 common.validation.invalidValue
admin POST Grants "$(grant "$app_id" "$role")"
yes 'grant' 201
grant_id=$(field id)
admin POST Grants "$(grant "$app_id" "$role")"
no 'the same grant' 409 common.validation.uniquenessViolation
bear GET Apps
no 'a token has the roles of its time' 403 common.common.forbidden
token_for $scope
bear GET Apps
yes 'with the role' 200
list Grants "grantee.value eq \"$app_id\" and entitlement.attributeValue eq \"$role\""
ok 'the grant is found' is "$(total)" 1

# --- a lost secret ---------------------------------------------------------------------------------
again() { echo "{\"schemas\":[\"$I:AppClientSecretRegenerator\"],\"appId\":\"$1\"}"; }
admin POST AppClientSecretRegenerator "$(again nothing)"
no 'secret of no app' 400 common.validation.invalidReferenceResource
admin POST AppClientSecretRegenerator "$(again "$app_id")"
yes 'a new secret' 201
old=$secret secret=$(field clientSecret)
token_for $scope
yes 'counts' 200
new=$secret secret=$old
token_for $scope
oauth 'the old one does not' 401 invalid_client
secret=$new
token_for $scope

# --- all in one request --------------------------------------------------------------------------
admin POST Apps "$(app AtOnce | sed 's/}$//'),\"active\":true,\"isOAuthClient\":true,\"clientType\":\"confidential\",\"allowedGrants\":[\"client_credentials\"],\"clientSecret\":\"mine\",\"_secret\":\"mine\"}"
yes 'app at once' 201
once=$(field name):$(field clientSecret)
ok 'nobody chooses his secret' not has mine
web -u "$once" -d "grant_type=client_credentials&scope=$scope" "$LAB_DOMAIN_URL/oauth2/v1/token"
yes 'app at once: a token' 200

# --- filters and pages -----------------------------------------------------------------------------
for n in One Two Three; do admin POST Apps "$(app "Page$n")"; done
list Apps 'displayName sw "page"'
ok 'sw' is "$(total)" 3
list Apps 'displayName co "ageT" and active eq false'
ok 'co, and' is "$(total)" 2
list Apps 'clientType pr'
ok 'pr' is "$(total)" 2
list Apps 'displayName sw "Page"' '&count=2&startIndex=2&attributes=displayName'
ok 'page: total' is "$(total)" 3
ok 'page: its size' has '"itemsPerPage":2,"startIndex":2'
ok 'page: attributes' not has basedOnTemplate
for f in 'displayName ne "x"' 'displayName eq "x" or active eq true' '(displayName eq "x")' 'displayName' 'displayName eq x' 'displayName eq "x'; do
    list Apps "$f"
    no "filter $f" 400 common.validation.invalidFilter
done
control POST faults 'page=1,count=1,path=/admin/*'
list Apps 'displayName sw "Page"' '&count=1000'
ok 'page: the lab says how many' is "$(total)" 3
ok 'page: and shows fewer' has '"itemsPerPage":1,"startIndex":1'
admin GET Apps?count=1001
no 'too long a page' 400 common.validation.invalidParameter
admin GET Things
no 'no such kind' 404 common.common.resourceNotFound
admin GET Apps/nothing
no 'no such app' 404 common.common.resourceNotFound

# --- a service user --------------------------------------------------------------------------------
user() { # NAME FLAG [MORE]
    echo "{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\"],\"$I:extension:user:User\":{\"serviceUser\":$2},\"userName\":\"$1\"${3-}}"
}
bear POST Users "$(user '' true)"
no 'user without a name' 400 common.validation.missingReqAttributes
bear POST Users "$(user Deployer true ',"password":"x"')"
no 'service user with a password' 400 identity.user.serviceUser
bear POST Users "$(user Deployer '"yes"')"
no 'the flag is a boolean' 400 common.validation.invalidType
bear POST Users "$(user Person false)"
no 'person without a name' 400 common.validation.missingReqAttributes
bear POST Users "$(user Deployer true)"
yes 'service user' 201
user_id=$(field id) user_ocid=$(field ocid)
ok 'its OCID' is "${user_ocid%%.oc1*}" ocid1.user
bear POST Users "$(user deployer true)"
no 'the same name' 409 common.validation.uniquenessViolation
bear PATCH "Users/$user_id" "{$OP,\"Operations\":[{\"op\":\"replace\",\"path\":\"$I:extension:user:User:serviceUser\",\"value\":false}]}"
no 'the flag is fixed' 400 common.validation.immutableAttribute
bear POST Users "$(user Person false ',"name":{"familyName":"P"},"emails":[{"value":"p@lab.test","type":"work"}]')"
yes 'person' 201
person_id=$(field id)
list Users "$I:extension:user:User:serviceUser eq true"
ok 'service users' is "$(total)" 1

# --- a group -----------------------------------------------------------------------------------------
group() { echo "{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:Group\"],\"displayName\":\"$1\"${2-}}"; }
bear POST Groups "$(group Deployers ",\"members\":[{\"value\":\"$user_ocid\",\"type\":\"User\"}]")"
no 'member by OCID' 400 common.validation.invalidReferenceResource
bear POST Groups "$(group Deployers ",\"members\":[{\"value\":\"$user_id\"}]")"
no 'member without type' 400 common.validation.missingReqAttributes
bear POST Groups "$(group Deployers)"
yes 'group' 201
group_id=$(field id)
bear POST Groups "$(group deployers)"
no 'the same group' 409 common.validation.uniquenessViolation
member="{$OP,\"Operations\":[{\"op\":\"add\",\"path\":\"members\",\"value\":[{\"value\":\"$user_id\",\"type\":\"User\"}]}]}"
bear PATCH "Groups/$group_id" "$member"
yes 'member' 200
ok 'members are not shown' not has "$user_id"
bear GET "Groups/$group_id?attributes=members"
ok 'unless asked for' has "\"value\":\"$user_id\""
bear PATCH "Groups/$group_id" "{$OP,\"Operations\":[{\"op\":\"remove\",\"path\":\"members[value eq \\\"$user_id\\\"]\"}]}"
bear GET "Groups/$group_id?attributes=members"
ok 'member taken away' not has "$user_id"
bear PATCH "Groups/$group_id" "{$OP,\"Operations\":[{\"op\":\"remove\",\"path\":\"members[value]\"}]}"
no 'a path of no filter' 400 common.validation.invalidFilter

# --- the trust ---------------------------------------------------------------------------------------
T=IdentityPropagationTrusts
# name, issuer, rule, user, more
trust() {
    echo "{\"schemas\":[\"$I:IdentityPropagationTrust\"],\"name\":\"$1\",\"type\":\"JWT\",\"issuer\":\"$2\",
    \"publicKeyEndpoint\":\"$LAB_ISSUER/.well-known/jwks\",\"active\":true,\"allowImpersonation\":true,\"subjectType\":\"User\",
    \"clientClaimName\":\"aud\",\"clientClaimValues\":[\"$LAB_AUDIENCE\"],\"oauthClients\":[\"$client\"],
    \"impersonationServiceUsers\":[{\"rule\":\"$3\",\"value\":\"$4\"}]${5-}}"
}
sub='sub eq repo:keyward/demo:ref:refs/heads/main'
basic=$client:$secret
subject
exchange
oauth 'before there is a trust' 400 invalid_grant
bad() { # NAME MESSAGEID TRUST
    bear POST $T "$3"
    no "trust: $1" 400 "common.validation.$2"
}
bad 'no name' missingReqAttributes "$(trust '' x "$sub" "$user_id")"
bad 'no issuer' missingReqAttributes "$(trust n '' "$sub" "$user_id")"
bad 'no type' missingReqAttributes "$(trust n x "$sub" "$user_id" | sed 's/"type":"JWT",//')"
bad 'another type' invalidValue "$(trust n x "$sub" "$user_id" | sed 's/"JWT"/"OIDC"/')"
bad 'another subject' invalidValue "$(trust n x "$sub" "$user_id" | sed 's/"subjectType":"User"/"subjectType":"Robot"/')"
bad 'keys over http' invalidValue "$(trust n x "$sub" "$user_id" | sed 's|"https://[^"]*jwks"|"http://a/jwks"|')"
bad 'X509 without roots' missingReqAttributes "$(trust n x "$sub" "$user_id" | sed 's/"JWT"/"X509"/')"
bad 'SPNEGO without keytab' missingReqAttributes "$(trust n x "$sub" "$user_id" | sed 's/"JWT"/"SPNEGO"/')"
bad 'skew as a text' invalidValue "$(trust n x "$sub" "$user_id" ',"clockSkewSeconds":"60"')"
bad 'clients as a text' invalidValue "$(trust n x "$sub" "$user_id" | sed 's/"oauthClients":\[\("[^"]*"\)\]/"oauthClients":\1/')"
bad 'validation without value' missingReqAttributes "$(trust n x "$sub" "$user_id" ',"claimValidations":[{"name":"ref"}]')"
bad 'four propagations' invalidValue "$(trust n x "$sub" "$user_id" ',"claimPropagations":["a","b","c","d"]')"
bad 'the user by OCID' stringExceedsMaxLimit "$(trust n x "$sub" "$user_ocid")"
bad 'the user as the scripts have it' missingReqAttributes "$(trust n x "$sub" "$user_id" | sed 's/"value":"[0-9a-f]*"/"ocid":"x"/')"
bad 'a user who is not there' invalidReferenceResource "$(trust n x "$sub" 0123)"
bad 'no rule' missingReqAttributes "$(trust n x '' "$user_id")"
bad 'another operator' invalidValue "$(trust n x 'sub ne x' "$user_id")"
bad 'a wildcard with co' invalidValue "$(trust n x 'sub co x*' "$user_id")"
bear POST $T "$(trust 'CI trust' "$LAB_ISSUER" "$sub" "$user_id")"
yes 'trust' 201
ok 'trust: users are not shown' not has impersonationServiceUsers
trust_id=$(field id)
bear GET "$T/$trust_id?attributes=impersonationServiceUsers"
ok 'trust: unless asked for' has "\"rule\":\"$sub\",\"value\":\"$user_id\",\"ocid\":\"$user_ocid\""
bear POST $T "$(trust other "$LAB_ISSUER" "$sub" "$user_id")"
no 'one trust an issuer' 409 common.validation.uniquenessViolation
exchange
yes 'exchange by the trust' 200
claims_of "$token" >"$work/out"
ok 'exchange: whose token' has "\"sub\":\"$user_ocid\""
list $T "issuer eq \"${LAB_ISSUER^^}\""
ok 'the issuer minds the case' is "$(total)" 0
list $T "issuer eq \"$LAB_ISSUER\""
ok 'the trust is found' is "$(total)" 1

change() { # ATTRIBUTE JSON
    bear PATCH "$T/$trust_id" "{$OP,\"Operations\":[{\"op\":\"replace\",\"path\":\"$1\",\"value\":$2}]}"
}
by_trust() { # NAME STATUS ERROR WORDS
    exchange
    oauth "$1" "$2" "$3"
    ok "$1: $4" has "$4"
}
change name '"x"'
no 'the name is fixed' 400 common.validation.immutableAttribute
change active false
yes 'the trust is switched off' 200
by_trust 'inactive trust' 400 invalid_grant 'No trust'
change active true
change oauthClients '["somebody"]'
by_trust 'another client' 400 invalid_grant 'not among the trust'
change oauthClients "[\"$client\"]"
change clientClaimValues '["https://elsewhere.test"]'
by_trust 'another audience' 400 invalid_grant audience
change clientClaimValues "[\"$LAB_AUDIENCE\"]"
change claimValidations '[{"name":"ref","value":"refs/heads/other"}]'
by_trust 'claim not as validated' 400 invalid_grant 'validates'
change claimValidations '[{"name":"ref","value":"refs/heads/main"}]'
change publicKeyEndpoint '"https://elsewhere.test/jwks"'
by_trust 'keys out of reach' 400 invalid_grant signature
change publicKeyEndpoint "\"$LAB_ISSUER/.well-known/jwks\""
change allowImpersonation false
by_trust 'no impersonation' 401 unauthorized_client 'impersonation'
change allowImpersonation true
change impersonationServiceUsers "[{\"rule\":\"sub eq 'repo:keyward/demo:ref:refs/heads/main'\",\"value\":\"$user_id\"}]"
yes 'a quoted rule is taken' 200
by_trust 'but never matches' 401 unauthorized_client 'No rules matched'
change impersonationServiceUsers "[{\"rule\":\"sub eq repo:keyward/*\",\"value\":\"$person_id\"},{\"rule\":\"$sub\",\"value\":\"$user_id\"}]"
by_trust 'the first rule wins, and is a person' 401 unauthorized_client 'not a service user'
change impersonationServiceUsers "[{\"rule\":\"$sub\",\"value\":\"$user_id\"}]"
change impersonatingResource '"ciworkload"'
exchange requested_token_type=urn:oci:token-type:oci-rpst res_type=ciworkload
yes 'RPST by the trust' 200
exchange requested_token_type=urn:oci:token-type:oci-rpst res_type=labworkload
oauth 'RPST of another resource' 400 invalid_request
control POST claims '{"exp":1000}'
subject
by_trust 'an old token' 400 invalid_grant expired
control DELETE claims
subject
basic=$LAB_CLIENT_ID:$(cat "$LAB_CLIENT_SECRET_FILE")
exchange
oauth 'the options client of a bare lab' 401 invalid_client
basic=$client:$secret
exchange
yes 'all well again' 200

# --- a certificate instead of the secret ----------------------------------------------------------------
openssl req -x509 -key "$work/session.pem" -subj /CN=keyward -days 2 -out "$work/client.crt" 2>/dev/null
cert() { echo "{\"schemas\":[\"$I:OAuthClientCertificate\"],\"certificateAlias\":\"$1\",\"x509Base64Certificate\":\"$2\"}"; }
der=$(openssl x509 -in "$work/client.crt" -outform DER | base64 -w0)
bear POST OAuthClientCertificates "$(cert hsm "${der%????}")"
no 'no certificate' 400 common.validation.invalidValue
bear POST OAuthClientCertificates "$(cert hsm "$der")"
yes 'certificate' 201
cert_id=$(field id)
ok 'certificate: thumbprint' is "$(field sha1Thumbprint)" \
    "$(openssl x509 -in "$work/client.crt" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g' | tr A-F a-f)"
ok 'certificate: its end' has '"certEndDate":"20'
bear POST OAuthClientCertificates "$(cert hsm "$der")"
no 'the same alias' 409 common.validation.uniquenessViolation
certify() { bear PATCH "Apps/$app_id" "{$OP,\"Operations\":[{\"op\":\"replace\",\"path\":\"certificates\",\"value\":[{\"certAlias\":\"$1\"}]}]}"; }
certify nothing
no 'app with no certificate' 400 common.validation.invalidReferenceResource
assert() { # KEY KID
    local s c="{\"iss\":\"$client\",\"sub\":\"$client\",\"aud\":[\"$LAB_DOMAIN_URL/\"],\"exp\":$(($(date +%s) + 300))}"
    s="$(printf '{"alg":"RS256","kid":"%s"}' "$2" | b64url).$(printf %s "$c" | b64url)"
    basic='' exchange client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
        "client_assertion=$s.$(printf %s "$s" | openssl dgst -sha256 -sign "$1" | b64url)"
}
assert "$work/session.pem" hsm
oauth 'assertion before it is the app'"'"'s' 401 invalid_client
certify hsm
yes 'app with certificate' 200
ok 'app with certificate: kid' has '"certAlias":"hsm","kid":"hsm"'
assert "$work/session.pem" hsm
yes 'assertion' 200
assert "$work/other.pem" hsm
oauth 'assertion by another key' 401 invalid_client
assert "$work/session.pem" other
oauth 'assertion of another kid' 401 invalid_client
bear DELETE "OAuthClientCertificates/$cert_id"
yes 'certificate goes' 204
assert "$work/session.pem" hsm
oauth 'assertion by what is gone' 401 invalid_client
