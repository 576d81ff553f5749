#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bearers that end while CMD works: several clients at once, answers that take their time, and
# tokens of a minute and less. Of what CMD asks nothing is lost or answered 401, under `run` and
# under the agent, with the federated token itself and with a service account's.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
mkdir "$work/tokens" "$work/agent"
: >"$work/secrets"
start_lab --subject-life 30
socket=$work/agent/agent.sock # a folder of its own: run asks for that
instances=$LAB_COMPUTE_URL/compute/v1/projects/$LAB_GOOGLE_PROJECT/zones/z/instances
common() { printf '[tls]\nca_file = %s\n[dial]\nresolve = %s\n' "$LAB_CA_FILE" "$LAB_RESOLVE"; }
{
    printf '[source]\ntype = github\n[google lab]\nprovider = %s\n' "$LAB_GOOGLE_PROVIDER"
    printf '[policy lab]\nissuer = %s\nsign.host = compute.googleapis.com\n' "$LAB_ISSUER"
    printf '[audit]\nfile = %s\n' "$work/files/audit"
    common
} >"$config"
# The agent's bearers are the account's, of a minute.
{
    printf '[agent]\nsocket = %s\n[google g]\nprovider = %s\n' "$socket" "$LAB_GOOGLE_PROVIDER"
    printf 'service_account = %s\nlifetime = 60\n' "$LAB_GOOGLE_ACCOUNT"
    printf '[policy g]\nissuer = %s\nclaim.repository_id = 592302719\n' "$LAB_ISSUER"
    printf '[audit]\nfile = %s\n' "$work/files/agent-audit"
    common
} >"$work/agent.ini"
{
    printf '[source]\ntype = github\n[agent]\nsocket = %s\n' "$socket"
    common
} >"$work/job.ini"

# Four clients: two ask the metadata service each time, two keep what they were given first, as
# libraries do. A line for each request: the status that its client saw.
cat >"$work/files/load" <<'LOAD'
ends=$(($(date +%s) + $1))
token() {
    curl -sS -H Metadata-Flavor:Google "http://$GCE_METADATA_HOST/computeMetadata/v1/instance/service-accounts/default/token" |
        sed 's/.*"access_token":"\([^"]*\)".*/\1/'
}
for client in 1 2 3 4; do
    (
        header=$(mktemp)
        printf 'authorization: Bearer %s\n' "$(token)" >"$header"
        while [ "$(date +%s)" -lt "$ends" ]; do
            [ "$client" -gt 2 ] || printf 'authorization: Bearer %s\n' "$(token)" >"$header"
            curl -sS -H "@$header" -o /dev/null -w '%{http_code}\n' "$2" || echo lost
            sleep 0.2
        done
    ) &
done
wait
LOAD
fault 'latency=600,host=compute.*' # so that there is always one under way

setsid "$KW_BIN/keyward" --config "$work/agent.ini" --profile g agent >"$work/agent.log" 2>&1 </dev/null &
agent=$!
pids=$agent
for _ in $(seq 200); do
    [ -S "$socket" ] && break
    sleep 0.1
done
setsid "$KW_BIN/keyward" --config "$work/job.ini" run -- bash "$work/files/load" 70 "$instances" \
    >"$work/job.out" 2>"$work/job.err" </dev/null &
job=$!
kw_start run -- bash "$work/files/load" 65 "$instances"
kw_wait
all_good() { # NAME RENEWALS: of the run in $out and $err
    ok "$1: CMD" is "$rc" 0
    ok "$1: there were requests" test "$(wc -l <"$out")" -ge 60
    ok "$1: each was answered 200" is "$(grep -cvx 200 "$out")" 0
    ok "$1: renewed" test "$(sed -nE 's/.* ([0-9]+) renewals.*/\1/p' "$err")" -ge "$2"
    ok "$1: none was refused" says ' 0 refused'
    ok "$1: no secret" no_secrets
}
all_good 'run, the federated token' 2
first=$(wc -l <"$out")
rc=0
wait "$job" || rc=$?
cp "$work/job.out" "$out"
cp "$work/job.err" "$err"
all_good "agent, a service account's token" 1
fault
# Not even behind the proxy's back: what the cloud said, request by request.
# (Its log has the last thousand.)
total=$((first + $(wc -l <"$work/job.out")))
ok 'the cloud had as many requests' is "$(requests '"host":"compute.googleapis.com"')" "$total"
ok 'and has answered each of them 200' is "$(requests '"host":"compute.googleapis.com".*"status":200,')" "$total"
ok 'the agent has no fault to tell' not grep -q 'could not be renewed' "$work/agent.log"
ok 'the way to the account: once more for each renewal' test "$(grep -c '"event":"impersonate"' "$work/files/agent-audit")" -ge 2
kill "$agent"
rc=0
wait "$agent" || rc=$?
pids=''
ok 'the agent ends' is "$rc" 0
for log in audit agent-audit; do
    ok "$log: whole" "$KW_BIN/keyward" audit verify "$work/files/$log" >"$out" 2>"$err"
done
finish
