# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by setup.sh: IAM policies, what they allow, and taking all away again.
identity=${LAB_IDENTITY_URL#https://} objects=${LAB_OBJECTS_URL#https://}
exchange
printf %s "$token" >"$work/upst"
policies() { # METHOD PATH [BODY]: signed by the administrator's API key
    fresh "$1" "$identity" "/20160918/policies$2" "${3-}"
    keyid=$api_id key=$work/api.pem
    [ -z "$match" ] || extra="if-match: $match"
    [ -z "${retry-}" ] || extra="opc-retry-token: $retry"
    seal
    send
}
code() { # NAME STATUS CODE
    ok "$1: $2" is "$status" "$2"
    ok "$1: $3" has "\"code\":\"$3\""
}
policy() { # NAME STATEMENT [COMPARTMENT]
    echo "{\"compartmentId\":\"${3-$LAB_TENANCY}\",\"name\":\"$1\",\"description\":\"CI\",\"statements\":[\"$2\"]}"
}
objects_read() { fresh GET "$objects" "/n/$LAB_NAMESPACE/b/$LAB_BUCKET/o" && seal && send; }
allow="Allow group 'Default'/'Deployers' to manage object-family in tenancy"
fresh GET "$objects" /n/ && seal && send
yes 'the namespace is for anybody' 200
objects_read
code 'no policy' 404 NotAuthorizedOrNotFound
fresh POST "$identity" /20160918/policies "$(policy p "$allow")" && seal && send
code 'a service user makes no policies' 404 NotAuthorizedOrNotFound
policies GET ''
code 'list of no compartment' 400 MissingParameter
policies POST '' '{'
code 'policy of no JSON' 400 CannotParseRequest
policies POST '' "$(policy '' "$allow")"
code 'policy without a name' 400 MissingParameter
policies POST '' "$(policy 'a b' "$allow")"
code 'policy with a bad name' 400 InvalidParameter
policies POST '' "$(policy p "$allow" ocid1.x)"
code 'policy elsewhere' 404 NotAuthorizedOrNotFound
for s in 'Permit group G to read buckets in tenancy' 'Allow group G to see buckets in tenancy' 'Allow group G to read buckets' \
    'Allow group G to read buckets in compartment' 'Allow person G to read buckets in tenancy' 'Allow group G to read buckets in tenancy if x'; do
    policies POST '' "$(policy p "$s")"
    code "statement: $s" 400 InvalidParameter
done
policies POST '' "$(policy p x | sed 's/"statements":.*/"statements":[]}/')"
code 'no statements' 400 InvalidParameter
retry=once policies POST / "$(policy ci-deploy "$allow")"
yes policy 200
policy_id=$(field id) etag=$(sed -n 's/^etag: \([0-9a-f]*\).*/\1/p' "$work/head")
retry=once policies POST / "$(policy ci-deploy "$allow")"
ok 'the same request again' is "$status $(field id)" "200 $policy_id"
retry=once policies POST / "$(policy ci-other "$allow")"
code 'the same token for another' 409 InvalidatedRetryToken
policies POST '' "$(policy ci-deploy "$allow")"
code 'the same name' 409 PolicyAlreadyExists
policies GET "?compartmentId=$LAB_TENANCY&name=ci-deploy"
ok 'found by name' is "$status $(field id)" "200 $policy_id"
ok 'nothing of the lab is shown' not has '"_'
objects_read
code 'user not in the group' 404 NotAuthorizedOrNotFound
bear PATCH "Groups/$group_id" "$member"
objects_read
yes 'user in the group' 200
fresh GET "$identity" "/20160918/compartments?compartmentId=$LAB_TENANCY" && seal && send
code 'what no statement has' 404 NotAuthorizedOrNotFound
match=0 policies PUT "/$policy_id" "{\"statements\":[\"$allow\"]}"
code 'another etag' 412 NoEtagMatch
match=$etag policies PUT "/$policy_id" '{"statements":["allow any-user to inspect all-resources in compartment id x where request.a = 1","Allow group Deployers to read objects in compartment build"]}'
yes 'policy changes' 200
ok 'its etag, too' not file_has "$work/head" "$etag"
fresh GET "$identity" "/20160918/compartments?compartmentId=$LAB_TENANCY" && seal && send
yes 'any user' 200
objects_read
yes 'read objects' 200
fresh PUT "$objects" "/n/$LAB_NAMESPACE/b/$LAB_BUCKET/o/x" x && seal && send
code 'but not write them' 404 NotAuthorizedOrNotFound
policies GET "/$policy_id"
ok 'policy as it is now' has 'any-user'
policies GET /ocid1.policy.x
code 'no such policy' 404 NotAuthorizedOrNotFound

# --- all of it goes -------------------------------------------------------------------------------------
policies DELETE "/$policy_id"
yes 'policy goes' 204
objects_read
code 'policy is gone' 404 NotAuthorizedOrNotFound
bear DELETE "$T/$trust_id"
yes 'trust goes' 204
by_trust 'trust is gone' 400 invalid_grant 'No trust'
bear DELETE "Users/$user_id"
yes 'user goes' 204
bear GET "Groups/$group_id?attributes=members"
ok 'and leaves the group' not has "$user_id"
bear DELETE "Groups/$group_id"
yes 'group goes' 204
bear DELETE "Grants/$grant_id"
yes 'grant goes' 204
admin DELETE "Apps/$app_id"
no 'an active app stays' 400 apps.app.deleteActiveApp
admin PUT "AppStatusChanger/$app_id" "$(switch "$app_id" false)"
bear GET Apps
no 'what an inactive app had is void' 401 common.common.unauthorized
admin DELETE "Apps/$app_id"
yes 'app goes' 204
