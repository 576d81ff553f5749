#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Google, cold: `keyward exchange` from nothing to a service account's access token, against
# plain curl that makes the same three calls (issuer, token service, IAM Credentials), in
# turn. Prints the medians and their ratio; judges nothing.
#
# usage: tests/bench/google.sh BUILD-DIR [PAIRS]
set -euo pipefail

build=$(cd "$1" && pwd)
pairs=${2:-41}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/keyward-bench.XXXXXX")
lab_pid=''
trap 'kill $lab_pid 2>/dev/null || true; rm -rf "$scratch"' EXIT
"$build/tests/lab/keyward-lab" --dir "$scratch/lab" --ready-file "$scratch/ready" --die-with-parent &
lab_pid=$!
while [ ! -e "$scratch/ready" ]; do sleep 0.05; done
set -a
# shellcheck disable=SC1091
. "$scratch/lab/lab.env"
set +a
ACTIONS_ID_TOKEN_REQUEST_TOKEN=$(cat "$LAB_REQUEST_TOKEN_FILE")
export ACTIONS_ID_TOKEN_REQUEST_URL=$LAB_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
cat >"$scratch/keyward.ini" <<INI
[source]
type = github
[google lab]
provider = $LAB_GOOGLE_PROVIDER
service_account = $LAB_GOOGLE_ACCOUNT
[policy lab]
issuer = $LAB_ISSUER
[tls]
ca_file = $LAB_CA_FILE
[dial]
resolve = $LAB_RESOLVE
INI
audience=https%3A%2F%2Fiam.googleapis.com%2F${LAB_GOOGLE_PROVIDER//\//%2F}

# curl with the system's roots and the lab's, as keyward has them.
cat /etc/ssl/certs/ca-certificates.crt "$LAB_CA_FILE" >"$scratch/roots.pem"
ask() { curl -sS --fail --noproxy '*' --cacert "$scratch/roots.pem" --connect-to "$LAB_CONNECT_TO" "$@"; }
by_curl() {
    local jwt federated
    jwt=$(ask -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$LAB_REQUEST_URL&audience=$audience")
    jwt=${jwt##*\"value\":\"} jwt=${jwt%%\"*}
    federated=$(ask --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
        --data-urlencode "audience=//iam.googleapis.com/$LAB_GOOGLE_PROVIDER" \
        --data-urlencode scope=https://www.googleapis.com/auth/cloud-platform \
        --data-urlencode requested_token_type=urn:ietf:params:oauth:token-type:access_token \
        --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:jwt \
        --data-urlencode "subject_token=$jwt" https://sts.googleapis.com/v1/token)
    federated=${federated##*\"access_token\":\"} federated=${federated%%\"*}
    ask -H "Authorization: Bearer $federated" -H 'Content-Type: application/json' \
        -d '{"scope":["https://www.googleapis.com/auth/cloud-platform"],"lifetime":"3600s"}' \
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/$LAB_GOOGLE_ACCOUNT:generateAccessToken" \
        >"$scratch/token"
}
by_keyward() { "$build/keyward" --config "$scratch/keyward.ini" --profile lab exchange --format access-token -o "$scratch/token"; }

by_curl && by_keyward # warm
for _ in $(seq "$pairs"); do
    a=$(date +%s%N)
    by_curl
    b=$(date +%s%N)
    by_keyward
    c=$(date +%s%N)
    echo "$(((b - a) / 1000)) $(((c - b) / 1000))"
done >"$scratch/pairs"
median() { sort -n | awk '{v[NR]=$1} END {print NR%2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
awk -v n="$pairs" -v curl="$(awk '{print $1}' "$scratch/pairs" | median)" -v ours="$(awk '{print $2}' "$scratch/pairs" | median)" 'BEGIN {
    printf "google, cold, median of %d pairs      %8.1f ms  curl %8.1f ms  ratio %.3f\n", n, ours/1000, curl/1000, ours/curl }'
