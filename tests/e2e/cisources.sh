#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Subject tokens of every CI system and platform: found by `auto` or named, exchanged at
# Google's token service (each has a provider of its own in the lab), and what each one's
# usual failure is told to be.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$work/tokens" "$work/bin"
: >"$work/secrets"
start_lab
unset ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
export PATH=$work/bin:$PATH
pool=${LAB_GOOGLE_PROVIDER%/*}
source_config() { # SHAPE LINE...
    local shape=$1
    shift
    {
        printf '[source]\n'
        printf '%s\n' "$@"
        printf '[google lab]\nprovider = %s/lab-%s\n' "$pool" "$shape"
        printf '[tls]\nca_file = %s\n[dial]\nresolve = %s\n' "$LAB_CA_FILE" "$LAB_RESOLVE"
    } >"$config"
}
mint() { # SHAPE [AUDIENCE]
    lab GET "mint?shape=$1&audience=${2-https://iam.googleapis.com/$pool/lab-$1}"
    cat "$work/lab.out"
    grep -qxF "$(cat "$work/lab.out")" "$work/secrets" || { cat "$work/lab.out" && echo; } >>"$work/secrets"
}
expired() { mint "$1" "https://iam.googleapis.com/$pool/lab-$1&expired=yes"; } # SHAPE: ten minutes ago
program() { # NAME TEXT: stands for a CI system's own program
    printf '#!/bin/sh\nprintf "%%s\\n" "$*" >>%s/asked\n%s\n' "$work" "$2" >"$work/bin/$1"
    chmod 755 "$work/bin/$1"
}
works() { # NAME WHY
    succeeds "$1" exchange
    ok "$1: says why" grep -qE "^source +$2" "$out"
    ok "$1: no token told" no_secrets
}

# --- GitHub (with the token: google.sh) -----------------------------------------------------------------
source_config ci
export GITHUB_ACTIONS=true GITHUB_EVENT_NAME=push
fails 'github: no permission' 5 'ACTIONS_ID_TOKEN_REQUEST_URL|permissions: id-token: write' exchange
ok 'github: no permission: nothing of forks' not says fork
for GITHUB_EVENT_NAME in pull_request pull_request_review; do
    fails "github: $GITHUB_EVENT_NAME of a fork" 5 'from a fork it never gets one|github.event.pull_request.head.repo.full_name == github.repository' exchange
done
GITHUB_EVENT_NAME=pull_request_target
fails 'github: pull_request_target has rights' 5 'permissions: id-token: write' exchange
ok 'github: pull_request_target: nothing of forks' not says fork
# The same event with the service there, as for a branch of the repository itself.
GITHUB_EVENT_NAME=pull_request
export ACTIONS_ID_TOKEN_REQUEST_URL=$LAB_REQUEST_URL
ACTIONS_ID_TOKEN_REQUEST_TOKEN=$(cat "$LAB_REQUEST_TOKEN_FILE")
export ACTIONS_ID_TOKEN_REQUEST_TOKEN
works 'github: pull_request of a branch' 'github \(auto'
unset GITHUB_ACTIONS GITHUB_EVENT_NAME ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN

# --- GitLab -----------------------------------------------------------------------------------------
source_config gitlab
export GITLAB_CI=true
fails 'gitlab: no id_tokens' 5 "id_tokens: { KEYWARD_TOKEN: { aud: https://iam.googleapis.com/$pool/lab-gitlab } }" exchange
for name in KEYWARD_TOKEN ID_TOKEN GITLAB_OIDC_TOKEN; do
    export "$name=$(mint gitlab)"
    works "gitlab: $name" 'gitlab \(auto: this is a GitLab job'
    unset $name
done
# A job that took longer than its token lives: refused here, before anybody is asked.
KEYWARD_TOKEN=$(expired gitlab)
export KEYWARD_TOKEN
lab DELETE log
fails 'gitlab: an expired token' 6 'expired|raise `timeout:`' exchange
ok 'gitlab: an expired token: nothing was asked' is "$(requests '"time"')" 0
kw exchange --format executable
ok 'gitlab: an expired token: clients are told, too' grep -q '"success":false,"code":"6".*raise `timeout:`' "$out"
unset KEYWARD_TOKEN
source_config gitlab 'type = gitlab' 'name = DEPLOY_JWT'
DEPLOY_JWT=$(mint gitlab)
export DEPLOY_JWT
works 'gitlab: a name of ours' 'gitlab \(\[source\] type\)'
ok 'gitlab: it left the environment' not grep -q eyJ "$out"
unset GITLAB_CI DEPLOY_JWT

# --- CircleCI ----------------------------------------------------------------------------------------
source_config circleci
export CIRCLECI=true
fails 'circleci: no context' 5 'context' exchange
export CIRCLE_OIDC_TOKEN=x.y.z
CIRCLE_OIDC_TOKEN_V2=$(mint circleci)
export CIRCLE_OIDC_TOKEN_V2
works 'circleci: the second version goes first' 'circleci \(auto'
CIRCLE_OIDC_TOKEN_V2=$(expired circleci)
fails 'circleci: an expired token' 6 'expired|set [source] audience, for which a fresh one is asked' exchange
unset CIRCLE_OIDC_TOKEN CIRCLE_OIDC_TOKEN_V2
program circleci "printf %s '$(mint circleci)'"
source_config circleci "audience = https://iam.googleapis.com/$pool/lab-circleci"
: >"$work/asked"
works 'circleci: another audience' 'circleci \(auto'
ok 'circleci: asks its program for it' file_has "$work/asked" "run oidc get --claims {\"aud\":\"https://iam.googleapis.com/$pool/lab-circleci\"}"
program circleci 'echo "no such job" >&2; exit 1'
kw exchange
ok 'circleci: its program fails' is "$rc" 5
ok 'circleci: its program fails: says how' says 'circleci run oidc get: the token command ended with exit status 1'
unset CIRCLECI

# --- Bitbucket, HCP Terraform ---------------------------------------------------------------------------
source_config bitbucket
export BITBUCKET_BUILD_NUMBER=7
fails 'bitbucket: no token' 5 'oidc: true' exchange
BITBUCKET_STEP_OIDC_TOKEN=$(mint bitbucket)
export BITBUCKET_STEP_OIDC_TOKEN
works 'bitbucket' 'bitbucket \(auto'
BITBUCKET_STEP_OIDC_TOKEN=$(expired bitbucket)
fails 'bitbucket: an expired token' 6 'expired|in a step of its own' exchange
unset BITBUCKET_BUILD_NUMBER BITBUCKET_STEP_OIDC_TOKEN
source_config hcp-terraform
export TFC_RUN_ID=run-1
fails 'hcp-terraform: no audience set' 5 'TFC_WORKLOAD_IDENTITY_AUDIENCE' exchange
TFC_WORKLOAD_IDENTITY_TOKEN=$(mint hcp-terraform)
export TFC_WORKLOAD_IDENTITY_TOKEN
works 'hcp-terraform' 'hcp-terraform \(auto'
source_config hcp-terraform 'type = hcp-terraform' 'name = GCP'
fails 'hcp-terraform: a tag that is not there' 5 'TFC_WORKLOAD_IDENTITY_TOKEN_GCP' exchange
TFC_WORKLOAD_IDENTITY_TOKEN_GCP=$(mint hcp-terraform)
export TFC_WORKLOAD_IDENTITY_TOKEN_GCP
works 'hcp-terraform: a tag' 'hcp-terraform \(\[source\]'
source_config hcp-terraform
TFC_WORKLOAD_IDENTITY_TOKEN=$(expired hcp-terraform)
fails 'hcp-terraform: an expired token' 6 'expired|start the run again' exchange
unset TFC_RUN_ID TFC_WORKLOAD_IDENTITY_TOKEN TFC_WORKLOAD_IDENTITY_TOKEN_GCP

# --- Buildkite --------------------------------------------------------------------------------------------
source_config buildkite
export BUILDKITE=true
fails 'buildkite: no agent' 5 'buildkite-agent' exchange
program buildkite-agent "printf '%s\n' '$(mint buildkite)'"
works 'buildkite' 'buildkite \(auto'
ok 'buildkite: asks for the audience' file_has "$work/asked" "oidc request-token --audience https://iam.googleapis.com/$pool/lab-buildkite"
unset BUILDKITE

# --- Jenkins, Kubernetes -------------------------------------------------------------------------------------
source_config jenkins 'type = jenkins'
fails 'jenkins: neither variable nor file' 5 'withCredentials' exchange
mint jenkins >"$work/jwt"
source_config jenkins 'type = jenkins' "path = $work/jwt"
works 'jenkins: a file' 'jenkins'
source_config kubernetes 'type = kubernetes'
fails 'kubernetes: no projected token' 5 'serviceAccountToken' exchange
mint kubernetes >"$work/first"
ln -s first "$work/projected" # kubelet switches a link
source_config kubernetes 'type = kubernetes' "path = $work/projected"
works 'kubernetes: a projected token' 'kubernetes'
mint kubernetes >"$work/second"
ln -sfn second "$work/projected" && rm "$work/first"
works 'kubernetes: read anew' 'kubernetes'

# --- metadata services ---------------------------------------------------------------------------------------
source_config azure 'type = azure'
works 'azure' 'azure'
source_config azure 'type = azure' 'client_id = lab-identity'
works 'azure: an identity of several' 'azure'
source_config azure 'type = azure' 'client_id = nobody'
fails 'azure: no such identity' 5 '169.254.169.254|Identity not found' exchange
source_config gce 'type = gce'
works 'gce' 'gce'
# --- any URL ---------------------------------------------------------------------------------------------------
lab_url=https://127.0.0.1:$LAB_PORT/lab/mint
source_config gitlab 'type = url' "url = $lab_url?shape=gitlab&audience=https%3A%2F%2Fiam.googleapis.com%2F$(printf %s "$pool" | sed 's|/|%2F|g')%2Flab-gitlab" "bearer_source = file:$LAB_CONTROL_TOKEN_FILE" 'header.x-purpose = test'
works 'url: the answer is the token' 'url'
source_config ci 'type = url' "url = $LAB_REQUEST_URL&audience=https%3A%2F%2Fiam.googleapis.com%2F$(printf %s "$pool" | sed 's|/|%2F|g')%2Flab-ci" 'field = value' "bearer_source = file:$LAB_REQUEST_TOKEN_FILE"
works 'url: a member of the answer' 'url'
for what in html:'is HTML' not-json:'is not JSON' overlong=11000000:'over 65536 bytes' redirect=https://x.example/:'never followed' drop:'without an answer'; do
    fault "${what%%:*},path=/token-request"
    code=5
    [ "${what%%:*}" != drop ] || code=8
    fails "url: ${what%%=*}" $code "${what##*:}" exchange
done
fault
source_config ci 'type = url' 'url = http://plain.example/token'
fails 'url: plain http goes nowhere' 2 'https' exchange
source_config ci 'type = url' 'url = https://x.example/' 'header.authorization = Bearer x'
fails 'url: a secret in the configuration' 2 'bearer_source' exchange
source_config ci 'type = file' "path = $work/jwt" 'url = https://x.example/'
fails 'a key without effect' 2 'not used by type = file' exchange
source_config ci 'type = azure' 'name = X'
fails 'a key of another source' 2 'not used by type = azure' exchange

# --- auto ------------------------------------------------------------------------------------------------------
source_config gitlab
fails 'auto: nothing' 5 'no source of a subject token' exchange
mint gitlab >"$work/jwt"
source_config gitlab "path = $work/jwt"
GITHUB_ACTIONS=true kw exchange
ok 'auto: the configuration goes before the job' grep -qE '^source +file' "$out"
finish
