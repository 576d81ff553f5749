#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Google Cloud: a JWT becomes an access token, directly and by impersonation, and calls go
# out with it; what is refused, and what each refusal tells.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$work/tokens" "$work/job"
: >"$work/secrets"
cd "$work/job" || exit 1 # what lies in the working directory is no place for credentials
start_lab
google_config() { # LINE...: a profile without OCI, and without a PKCS#11 token
    {
        printf '[source]\ntype = github\n[google lab]\nprovider = %s\n' "$LAB_GOOGLE_PROVIDER"
        printf '%s\n' "$@"
        printf '[policy lab]\nissuer = %s\nclaim.repository_id = 592302719\n' "$LAB_ISSUER"
        printf '[tls]\nca_file = %s\n[dial]\nresolve = %s\n' "$LAB_CA_FILE" "$LAB_RESOLVE"
        printf '[audit]\nfile = %s\n' "$work/audit.jsonl"
    } >"$config"
}
account=$LAB_GOOGLE_ACCOUNT
instances=$LAB_COMPUTE_URL/compute/v1/projects/$LAB_GOOGLE_PROJECT/zones/z/instances
audited() { grep -qE "$1" "$work/audit.jsonl"; }

# --- direct ------------------------------------------------------------------------------------
google_config
succeeds 'direct: exchange' exchange
ok 'direct: principal' has 'principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/lab-pool/subject/repo:keyward/demo:ref:refs/heads/main'
ok 'direct: says that it ends with the subject token' says 'ends with the subject token'
ok 'direct: no token shown' not grep -q 'ya29' "$out" "$err"
ok 'direct: as long as the subject token' grep -qE 'in (29[0-9]|300) s' "$out"
succeeds 'direct: request' request GET "$instances"
ok 'direct: the answer' has '"name":"build-1"'
succeeds 'direct: --json' --json exchange
ok 'direct: --json: the kind' is "$(field kind)" access_token
ok 'direct: --json: one object' json
ok 'direct: --json: not impersonated' has '"impersonated": false'
succeeds 'direct: token on request' exchange --print-token
ok 'direct: the token' grep -qE '^ya29\.d\.[0-9a-f]+$' "$out"
fails 'direct: a service that knows accounts only' 7 'UNAUTHENTICATED|service_account to impersonate' request GET "$LAB_COMPUTE_URL/v1/accounts-only"
fails 'direct: an ID token needs an account' 2 'service_account' exchange --id-token https://svc.example
ok 'audit: the start, the session, the calls' audited '"event":"start"'
ok 'audit: a session' audited '"event":"session","principal":"principal://'
ok 'audit: a call' audited '"event":"call","key":"bearer","method":"GET","host":"compute.googleapis.com"'
ok 'audit: no token' not audited 'ya29\.|eyJ[A-Za-z0-9_-]{8,}\.'
ok 'audit: the chain holds' "$KW_BIN/keyward" audit verify "$work/audit.jsonl" >"$out" 2>"$err"

# --- impersonation --------------------------------------------------------------------------------
google_config "service_account = $account"
succeeds 'impersonated: exchange' exchange
ok 'impersonated: principal' has "$account"
ok 'impersonated: an hour' grep -qE 'in (359[0-9]|3600) s' "$out"
ok 'impersonated: the account only service' succeeds 'as the account' request GET "$LAB_COMPUTE_URL/v1/accounts-only"
ok 'impersonated: is the caller' has "\"caller\":\"$account\""
succeeds 'impersonated: an object' request GET "$LAB_STORAGE_URL/storage/v1/b/lab-bucket/o/hello.txt?alt=media"
ok 'impersonated: its content' is "$(cat "$out")" 'hello from lab-bucket'
KEYWARD_GOOGLE_LIFETIME=600 kw exchange
ok 'lifetime: as asked' grep -qE 'in (59[0-9]|600) s' "$out"
export KEYWARD_GOOGLE_LIFETIME=7200
fails 'lifetime: over an hour' 7 'allowServiceAccountCredentialLifetimeExtension' exchange
unset KEYWARD_GOOGLE_LIFETIME
deep=deep@lab-project.iam.gserviceaccount.com
google_config "service_account = $deep" "delegates = $account"
succeeds 'delegates: bare e-mail' exchange
google_config "service_account = projects/-/serviceAccounts/$deep" "delegates = projects/-/serviceAccounts/$account"
succeeds 'delegates: full names' exchange
google_config "service_account = $deep"
fails 'delegates: without' 7 'PERMISSION_DENIED|workloadIdentityUser|5 minutes' exchange
google_config 'service_account = reader@lab-project.iam.gserviceaccount.com'
fails 'no grant' 7 'PERMISSION_DENIED|workloadIdentityUser' exchange
google_config 'service_account = 100000000000000000001'
succeeds 'an account by its unique id' exchange

ok 'audit: the way to the account' audited '"event":"impersonate","host":"iamcredentials.googleapis.com","target":"/v1/projects/-/serviceAccounts/deployer%40lab-project.iam.gserviceaccount.com:generateAccessToken"'
fault 'status=503,path=*generateAccessToken,count=1'
before=$(grep -c '"event":"impersonate"' "$work/audit.jsonl")
succeeds 'audit: the federated token goes out twice' exchange
ok 'audit: and is logged twice' is "$(grep -c '"event":"impersonate"' "$work/audit.jsonl")" $((before + 2))
fault

# --- ID tokens -------------------------------------------------------------------------------------
google_config "service_account = $account"
succeeds 'ID token' exchange --id-token https://svc.example --include-email --print-token
ok 'ID token: is one' grep -qE '^eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$' "$out"
kw --json exchange --id-token https://svc.example
ok 'ID token: --json: the kind' is "$(field kind)" id_token
fails '--include-email alone' 2 'id-token' exchange --include-email

# --- quota project and reason ----------------------------------------------------------------------
google_config "service_account = $account" 'quota_project = lab-project' 'request_reason = ticket 42'
succeeds 'quota project: accepted' request GET "$instances"
google_config "service_account = $account" 'quota_project = foreign'
fails 'quota project: refused' 7 'project foreign|quota_project' request GET "$instances"

# --- formats ----------------------------------------------------------------------------------------
google_config "service_account = $account"
succeeds 'access-token' exchange --format access-token -o "$work/files/token"
ok 'access-token: nothing on standard output' test ! -s "$out"
ok 'access-token: the token, without a line end' is "$(tr -d '\n' <"$work/files/token" | wc -c)" "$(wc -c <"$work/files/token")"
ok 'access-token: mode 0600' is "$(stat -c %a "$work/files/token")" 600
fails 'access-token: a relative path' 2 'absolute path' exchange --format access-token -o token
# A job's workspace ends in commits, images and caches: no credential there, whichever way.
mkdir -p "$work/repo/sub" "$work/repo/.git" "$work/ws" "$work/elsewhere"
ln -s "$work/ws" "$work/elsewhere/link"
ln -s "$work/ws/token" "$work/elsewhere/token"
: >"$work/ws/token"
refused() { # NAME TEXT FILE [FORMAT]: exit code 2, before anybody was asked for anything
    lab DELETE log
    fails "workspace: $1" 2 "lies in $2" exchange --format "${4:-access-token}" -o "$3"
    ok "workspace: $1: nothing was asked" is "$(requests '"time"')" 0
    ok "workspace: $1: no file" not grep -qs . "$3"
}
top=$PWD
cd "$work/repo/sub" || exit 1
refused 'the working directory' 'the working directory' "$work/repo/sub/token"
refused 'its work tree' "the working directory's git work tree" "$work/repo/token"
refused 'a file without a secret' "the working directory's git work tree" "$work/repo/adc.json" external-account
succeeds 'workspace: beside it' exchange --format access-token -o "$work/files/token"
cd "$top" || exit 1
for name in GITHUB_WORKSPACE CI_PROJECT_DIR BUILDKITE_BUILD_CHECKOUT_PATH WORKSPACE CIRCLE_WORKING_DIRECTORY BITBUCKET_CLONE_DIR; do
    export "$name=$work/elsewhere/link"
    refused "$name" "$name" "$work/ws/new"
    unset "$name"
done
mkdir "$HOME/project"
export 'CIRCLE_WORKING_DIRECTORY=~/project'
refused 'a tilde' CIRCLE_WORKING_DIRECTORY "$HOME/project/token"
rmdir "$HOME/project"
export CIRCLE_WORKING_DIRECTORY=$work/ws
refused 'a directory by a link' CIRCLE_WORKING_DIRECTORY "$work/elsewhere/link/new"
refused 'a file by a link' CIRCLE_WORKING_DIRECTORY "$work/elsewhere/token"
succeeds 'workspace: a neighbour of like name' exchange --format access-token -o "$work/files/token"
unset CIRCLE_WORKING_DIRECTORY
succeeds 'env' exchange --format env -o "$work/files/token"
ok 'env: a line for a shell' is "$(cat "$out")" "export CLOUDSDK_AUTH_ACCESS_TOKEN_FILE='$work/files/token'"
fails 'env: without a file' 2 '-o FILE' exchange --format env
rm "$work/files/token"
export KEYWARD_GOOGLE_LIFETIME=599
fails 'external-account: too short for the libraries' 2 'lifetime = 599|token_lifetime_seconds below 600' exchange --format external-account
unset KEYWARD_GOOGLE_LIFETIME
succeeds 'external-account' exchange --format external-account -o "$work/files/adc.json"
ok 'external-account: the audience' file_has "$work/files/adc.json" '"audience": "//iam.googleapis.com/projects/123456789012/'
ok 'external-account: impersonation' file_has "$work/files/adc.json" "/serviceAccounts/$account:generateAccessToken"
ok 'external-account: no secret' not grep -q eyJ "$work/files/adc.json"
command=$(sed -n 's/.*"command": "\(.*\)",*/\1/p' "$work/files/adc.json")
GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE=//iam.googleapis.com/$LAB_GOOGLE_PROVIDER GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE=$work/files/cache $command >"$out" 2>"$err"
ok 'executable: exit code 0' is $? 0
ok 'executable: the audit log has what was given away' audited '"event":"given","subject":"repo:keyward/demo:ref:refs/heads/main","claims":"[^"]*repository_id[^"]*","not_after":[0-9]+,"caller":"uid [0-9]+ pid [0-9]+ exchange --format executable"'
ok 'executable: and its end' is "$(tail -n 1 "$work/audit.jsonl" | grep -c '"event":"end"')" 1
ok 'executable: success' grep -qE '^\{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:jwt","id_token":"eyJ[^"]*","expiration_time":[0-9]+\}$' "$out"
ok 'executable: silent standard error' test ! -s "$err"
ok 'executable: the output file has the same' is "$(cat "$work/files/cache")" "$(cat "$out")"
ok 'executable: the output file is 0600' is "$(stat -c %a "$work/files/cache")" 600
GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE=//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/other-pool/providers/other $command >"$out" 2>"$err"
ok 'executable: another provider is refused' grep -qE '^\{"version":1,"success":false,"code":"6","message":"[^"]+"\}$' "$out"
GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE=$work/ws/cache WORKSPACE=$work/ws $command >"$out" 2>"$err"
ok 'executable: no output file in the workspace' grep -qE '^\{"version":1,"success":false,"code":"2","message":"[^"]*lies in WORKSPACE' "$out"
ok 'executable: none was made' test ! -e "$work/ws/cache"
chmod 666 "$work/audit.jsonl" # which is refused: others could write it
$command >"$out" 2>"$err"
ok 'executable: what can not be logged is not given' grep -qE '^\{"version":1,"success":false,"code":"2","message":"[^"]*the audit log' "$out"
chmod 600 "$work/audit.jsonl"
fault status=503,path=/token-request
$command >"$out" 2>"$err"
ok 'executable: a failure is told in JSON, exit code 0' grep -q '"success":false,"code":"8"' "$out"
fault
rm "$work"/files/*

# --- what goes wrong -------------------------------------------------------------------------------
google_config "service_account = $account"
may_change=home/
export KEYWARD_SOURCE_AUDIENCE=https://elsewhere.example
fails 'another audience' 7 'invalid_grant|audience' exchange
unset KEYWARD_SOURCE_AUDIENCE
lab POST claims '{"repository_id":"1"}'
fails 'claim policy goes first' 6 'repository_id' exchange
google_config "service_account = $account"
sed -i '/claim.repository_id/d' "$config"
fails 'condition' 7 'unauthorized_client|attribute condition|keyward claims' exchange
lab DELETE claims
google_config "service_account = $account"
fault jwt-wrong-key,count=1
fails 'signature' 7 'invalid_grant' exchange
fault
# "Stale": once more with a fresh token, and only once.
fault token-stale,count=1
lab DELETE log
succeeds 'stale: once more, with a fresh token' exchange
ok 'stale: fetched twice' is "$(requests '/token-request')" 2
fault token-stale
lab DELETE log
fails 'stale twice' 7 'stale to sign-in|clock' exchange
ok 'stale twice: no third time' is "$(requests '/token-request')" 2
fault status=503,path=/v1/token,count=2
lab DELETE log
succeeds 'temporary: backed off and tried again' exchange
ok 'temporary: three times' is "$(requests '"target":"/v1/token"')" 3
fault 'status=429,path=*generateAccessToken,count=1'
lab DELETE log
succeeds 'quota: backed off and tried again' exchange
fault 'status=503,path=/v1/token'
export KEYWARD_DIAL_TIMEOUT=3
fails 'temporary, for too long' 8 '503' exchange
unset KEYWARD_DIAL_TIMEOUT
for what in html not-json overlong=70000 token-absent token-garbage; do
    fault "$what,host=sts.*"
    fails "token service: $what" 7 'sts.googleapis.com' exchange
    fault "$what,host=iamcredentials.*"
    case $what in token-*) ;; *) fails "IAM Credentials: $what" 7 'iamcredentials.googleapis.com' exchange ;; esac
done
fault redirect=https://elsewhere.example/,host=sts.*
fails 'redirect' 7 'redirect|never followed' exchange
fault
google_config 'scope = https://www.googleapis.com/auth/devstorage.read_only'
succeeds 'a narrow scope, direct' request GET "$instances"

# --- names, before any network ------------------------------------------------------------------------
lab DELETE log
bad_provider() { # NAME PROVIDER TEXT
    google_config
    sed -i "s|^provider = .*|provider = $2|" "$config"
    fails "provider: $1" 2 "$3" exchange
}
pool=projects/123456789012/locations/global/workloadIdentityPools/lab-pool
bad_provider 'a pool' $pool 'names the pool'
bad_provider 'a project ID' "${pool/123456789012/lab-project}/providers/lab-ci" 'number belongs'
bad_provider 'workforce' locations/global/workforcePools/people/providers/idp 'for people'
bad_provider 'a short id' "$pool/providers/ab" 'provider id'
bad_provider 'a rest' "$pool/providers/lab-ci/x" 'goes on'
google_config 'service_account = deployer'
fails 'an account without a domain' 2 'e-mail' exchange
google_config "delegates = $account"
fails 'delegates without an account' 2 'service_account' exchange
ok 'names: nothing was asked' is "$(requests '"time"')" 0
google_config
sed -i "s|^provider = |&https://iam.googleapis.com/|" "$config"
succeeds 'provider: the https form' exchange

fails 'a bearer stays at its hosts' 6 'sign.host' request GET https://elsewhere.example/
fails 'and goes over https only' 2 'https' request GET http://compute.googleapis.com/

# --- both clouds in one profile ----------------------------------------------------------------------
google_config "service_account = $account"
printf '[oci lab]\ndomain_url = %s\nclient_id = %s\nclient_secret_source = file:%s\n' "$LAB_DOMAIN_URL" "$LAB_CLIENT_ID" "$LAB_CLIENT_SECRET_FILE" >>"$config"
fails 'both: which one?' 2 '--cloud' exchange
succeeds 'both: google' exchange --cloud google
succeeds 'both: a request goes by its host' request GET "$instances"
fails 'both: oci needs a token' 2 'uri' exchange --cloud oci
fails 'sign is not for bearers' 2 'bearer' sign GET "$instances"
fails 'no such cloud' 2 'oci or google' exchange --cloud aws

# --- the lab's introspection, as gcloud asks it --------------------------------------------------------
introspect() { # FIELD...: the answer in $out, its status in $rc
    rc=$(curl -sS -o "$out" -w '%{http_code}' --cacert "$LAB_CA_FILE" --noproxy '*' --connect-to "$LAB_CONNECT_TO" \
        "$@" https://sts.googleapis.com/v1/introspect 2>"$err")
}
google_config
kw exchange --print-token
cp "$out" "$work/bearer"
introspect --data-urlencode "token@$work/bearer" # (with the line end: no such token)
ok 'introspection: not quite a token' is "$rc $(tr -d ' ' <"$out")" '200 {"active":false}'
tr -d '\n' <"$work/bearer" >"$work/token"
introspect --data-urlencode "token@$work/token"
ok 'introspection: a federated token' is "$rc $(field active)" '200 true'
ok 'introspection: whose it is' has '"username":"principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/lab-pool/subject/repo:keyward/demo:ref:refs/heads/main"'
ok 'introspection: its scope' has '"scope":"https://www.googleapis.com/auth/cloud-platform"'
ok 'introspection: until when' test "$(field exp)" -gt "$(date +%s)"
introspect -d x=y
ok 'introspection: no token' is "$rc $(field error)" '400 invalid_request'
fault clock=4000
introspect --data-urlencode "token@$work/token"
ok 'introspection: its end' is "$rc $(tr -d ' ' <"$out")" '200 {"active":false}'
fault

# --- another universe -----------------------------------------------------------------------------------
stop_lab
rm -r "$work/lab"
start_lab --universe apis.lab.test
instances=$LAB_COMPUTE_URL/compute/v1/projects/$LAB_GOOGLE_PROJECT/zones/z/instances
ok 'universe: the lab has its names' is "$LAB_COMPUTE_URL" https://compute.apis.lab.test
google_config "service_account = $account" 'universe = apis.lab.test'
succeeds 'universe: exchange' exchange
ok 'universe: principal' has "$account"
succeeds 'universe: request' request GET "$instances"
ok 'universe: the answer' has '"name":"build-1"'
ok 'universe: the token service' is "$(requests '"host":"sts.apis.lab.test"')" 2
ok 'universe: the account' is "$(requests '"host":"iamcredentials.apis.lab.test"')" 2
fails 'universe: not where Google has its own' 6 'sign.host' request GET https://compute.googleapis.com/
succeeds 'universe: external account' exchange --format external-account -o "$work/files/adc.json"
ok 'universe: external account: its name' file_has "$work/files/adc.json" '"universe_domain": "apis.lab.test"'
ok 'universe: external account: its hosts' is "$(grep -o 'https://[a-z.]*' "$work/files/adc.json" | sort | tr '\n' ' ')" 'https://iamcredentials.apis.lab.test https://sts.apis.lab.test https://sts.apis.lab.test '
rm "$work/files/adc.json"
export KEYWARD_DIAL_TIMEOUT=3
google_config 'universe = other.lab.test'
fails 'universe: one that is not there' 8 'sts.other.lab.test' exchange
google_config "service_account = $account"
fails 'universe: without it' 8 'sts.googleapis.com' exchange
finish
