#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Google, cold: `keyward exchange` from nothing to a service account's access token, against
# plain curl that makes the same three calls (issuer, token service, IAM Credentials), in
# turn. Prints the medians of both and that of the pairs' ratios, as rows of a table. Exit code 1
# where keyward takes more than 1.1 of curl's time.
#
# usage: tests/bench/google.sh BUILD-DIR [PAIRS]
set -euo pipefail

build=$(cd "$1" && pwd)
pairs=${2:-41}
most=1.1
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
timed() { # FILE COMMAND: its wall and processor time (of all its processes), in seconds
    local real user system
    TIMEFORMAT='%R %U %S' && { time "$2"; } 2>"$scratch/time"
    read -r real user system <"$scratch/time"
    echo "$real" >>"$scratch/$1.wall"
    awk -v u="$user" -v s="$system" 'BEGIN { print u + s }' >>"$scratch/$1.cpu"
}
for _ in $(seq "$pairs"); do
    timed curl by_curl
    timed keyward by_keyward
done
at() { sort -n | awk -v q="$1" '{ v[NR] = $1 } END { i = q * (NR - 1) + 1; f = int(i); print v[f] + (i - f) * (v[f < NR ? f + 1 : f] - v[f]) }'; } # QUANTILE
row() { # WORDS KIND
    paste "$scratch/keyward.$2" "$scratch/curl.$2" | awk '$2 > 0 { print $1 / $2 }' >"$scratch/ratios"
    awk -v what="$1" -v ours="$(at 0.5 <"$scratch/keyward.$2")" -v curl="$(at 0.5 <"$scratch/curl.$2")" \
        -v r="$(at 0.5 <"$scratch/ratios")" -v low="$(at 0.1 <"$scratch/ratios")" -v high="$(at 0.9 <"$scratch/ratios")" \
        'BEGIN { printf "| %s | %.0f | %.0f | %.2f (%.2f to %.2f) |\n", what, 1000 * ours, 1000 * curl, r, low, high }'
}
row processor cpu
row wall wall
awk -v r="$(at 0.5 <"$scratch/ratios")" -v most="$most" 'BEGIN { exit !(r <= most) }'
