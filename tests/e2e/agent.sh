#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward agent: jobs that hold neither token nor PIN nor client secret, what they are given,
# what they are refused, and how their lives, the agent's and its processes' are bound.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start --session-life 15
client=$(cd "$(dirname "$0")" && pwd)/ociclient
socket=$work/agent/agent.sock log=$work/agent.log # (a folder of its own: run asks for that)
mkdir "$work/agent"
audit=$work/files/audit
export KEYWARD_DIAL_TIMEOUT=10

# --- the agent's configuration, and a job's --------------------------------------------------
{
    sed 's/^audience = .*//' "$LAB_KEYWARD_INI" # the target's
    printf '\n[token]\nuri = %s\n[audit]\nfile = %s\n' "$token_uri" "$audit"
    sed -n '/^\[oci lab\]/,/^$/p' "$LAB_KEYWARD_INI" | sed 's/^\[oci lab\]/[oci strict]/'
    printf '[policy strict]\nissuer = https://token.actions.lab.test\nclaim.repository_id = 1\ndial = *.oraclecloud.com:443\n'
    sed -n '/^\[oci lab\]/,/^$/p' "$LAB_KEYWARD_INI" | sed 's/^\[oci lab\]/[oci open]/'
    printf '[google g]\nprovider = %s\nservice_account = %s\n' "$LAB_GOOGLE_PROVIDER" "$LAB_GOOGLE_ACCOUNT"
    printf '[policy g]\nissuer = https://token.actions.lab.test\nclaim.repository_id = 592302719\n'
} >"$work/agent.ini"
{
    printf '[source]\ntype = github\n[agent]\nsocket = %s\n' "$socket"
    sed -n '/^\[tls\]/,$p' "$LAB_KEYWARD_INI"
} >"$config"
job() { # ARGUMENT...: as kw, but of a job
    setsid "$KW_BIN/keyward" --config "$config" "$@" >"$out" 2>"$err" <"${input:-/dev/null}" &
    session=$!
    kw_wait
}
job_start() {
    : >"$out" 2>"$err" # now: see kw_start
    setsid "$KW_BIN/keyward" --config "$config" "$@" >"$out" 2>"$err" </dev/null &
    session=$!
}
agent_pid=''
start_agent() {
    setsid "$KW_BIN/keyward" --config "$work/agent.ini" --profile lab agent --verbose >"$log" 2>&1 </dev/null &
    agent_pid=$!
    pids=$agent_pid
    wait_for 200 test -S "$socket"
}
wait_for() { # TENTHS CONDITION...
    local n=$1 i
    shift
    for ((i = 0; i < n; i++)); do
        "$@" && return
        sleep 0.1
    done
    return 1
}
ready() { "$KW_BIN/keyward" --config "$config" agent --metrics 2>/dev/null | grep -qx 'keyward_agent_spares 1'; }
metric() { "$KW_BIN/keyward" --config "$config" agent --metrics 2>/dev/null | sed -n "s/^$1 //p"; }
jobs_are() { [ "$(metric keyward_agent_jobs)" = "$1" ]; }
limit_is() { [ "$(metric keyward_agent_jobs_limit)" = "$1" ]; }
agent_log_has() { grep -qF -- "$1" "$log"; }
session_empty() { [ -z "$(processes "$1")" ]; }
audit_count() { grep -c -- "$1" "$audit"; }
stop_agent() {
    kill "$agent_pid"
    wait "$agent_pid"
    agent_rc=$?
    pids=''
}

# --- where there is none ------------------------------------------------------------------------
fails 'no agent' 8 'no agent answers|[agent] socket' request GET "$LAB_OBJECTS_URL/n/"
kw run -- true
expect_exit 'no agent: run' 125

# --- what an agent needs ------------------------------------------------------------------------
agent_fails() { # NAME CODE TEXT SED...
    local name=$1 code=$2 text=$3
    shift 3
    sed "$@" "$work/agent.ini" >"$work/files/bad.ini"
    setsid "$KW_BIN/keyward" --config "$work/files/bad.ini" --profile lab agent >"$out" 2>"$err" </dev/null &
    session=$!
    kw_wait
    ok "$name: exit code" is "$rc" "$code"
    ok "$name: says '$text'" says "$text"
    ok "$name: one line" one_line
}
printf '\n[agent]\nsocket = %s\n' "$socket" >>"$work/agent.ini"
agent_fails 'no socket' 2 'an agent needs a socket' -e "s#^socket = $socket##"
agent_fails 'PIN by descriptor' 2 'file:/PATH or credential:NAME' -e 's#^\[audit\]#pin_source = fd:9\n[audit]#'
agent_fails 'no claim policy' 2 'has no [policy lab] issuer' -e '0,/^issuer = /s/^issuer = .*//'
agent_fails 'the HSM as issuer' 2 'a JWT of their own' -e 's/^type = github/type = token/'
agent_fails 'stored sessions' 2 'storage = token' -e 's#^\[audit\]#[key]\nstorage = token\n[audit]#'
agent_fails 'unknown user' 2 'there is no user no-such-user' -e "s#^socket = .*#&\nallow = no-such-user#"

# --- a job's life --------------------------------------------------------------------------------
start_agent
ok 'the agent is ready' wait_for 200 ready
ok 'the socket is for owner and group' is "$(stat -c %a "$socket")" 660
agent_fails 'a second agent' 1 'another agent serves' -e 's/^x//'
job run -- "$client" GET "$LAB_OBJECTS_URL/n/"
expect_exit 'run' 0
ok 'run: value' has "\"$LAB_NAMESPACE\""
ok 'run: 200' is "$(tail -n 1 "$out")" 200
ok 'run: summary' says '1 requests signed in the token, 0 refused'
ok 'run: no secret' no_secrets
job run --explain -- "$client" GET "$LAB_OBJECTS_URL/n/"
ok 'run --explain: allowed' says 'allowed: GET'
ok 'run --explain: answered' says 'answered 200'
job run -- env OCICLIENT_BREAK=signature "$client" GET "$LAB_OBJECTS_URL/n/"
ok 'run, broken signature: refused' says '1 refused'
job run -- test -S "$socket"
ok "run: the agent's socket is not CMD's" is "$rc" 1
# The agent makes its socket anew while CMD runs, and another service, too. (This one only answers.)
cat >"$work/files/listen.pl" <<'LISTEN'
use Socket; my ($path, $say) = @ARGV; my ($s, $c); unlink $path;
socket($s, AF_UNIX, SOCK_SEQPACKET, 0) && bind($s, sockaddr_un($path)) && listen($s, 1) or die "$!";
while (accept($c, $s)) { syswrite($c, $say) }
LISTEN
cat >"$work/files/reach.pl" <<'REACH'
use Socket; my ($path, $go) = @ARGV; $| = 1; print "began\n";
for (1 .. 300) { last if -e $go; select undef, undef, undef, 0.1 }
-e $go && socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die;
if (connect($s, sockaddr_un($path))) { sysread($s, my $t, 99); print "REACHED $t\n" } else { print "not reached\n" }
REACH
began() { grep -qx began "$out"; }
job_start run -- perl "$work/files/reach.pl" "$socket" "$work/files/go"
ok 'made anew: CMD runs' wait_for 200 began
mv "$socket" "$work/agent/before"
perl "$work/files/listen.pl" "$socket" another &
anew=$!
wait_for 50 test -S "$socket"
ok 'made anew: it is reached from here' is "$(perl "$work/files/reach.pl" "$socket" "$work" | tail -n 1)" 'REACHED another'
: >"$work/files/go"
kw_wait
expect_exit 'made anew: CMD came to its end' 0
ok 'made anew: not by CMD' is "$(tail -n 1 "$out")" 'not reached'
{ kill "$anew" && wait "$anew"; } 2>/dev/null
mv "$work/agent/before" "$socket"
# A working folder that was entered before it is covered doesn't lead past the cover.
ok 'the agent is ready again' wait_for 100 ready
cd "$work/agent" || exit 1
job run -- perl "$work/files/reach.pl" agent.sock "$work"
cd / || exit 1
ok "run in the agent's folder: CMD came to its end" is "$rc" 0
ok "run in the agent's folder: not reached" is "$(tail -n 1 "$out")" 'not reached'
ok 'the agent is ready again' wait_for 100 ready
mkdir -p "$work/runtime/in"
cd "$work/runtime/in" || exit 1
XDG_RUNTIME_DIR=$work/runtime job run -- true
cd / || exit 1
expect_exit 'run in a folder that is hidden' 125
ok 'run in a folder that is hidden: told' says 'the working folder is not there for CMD'
rm -r "$work/runtime" "$work/files/go"
# By a link, too: what counts is where it leads.
ln -s "$socket" "$work/files/link"
KEYWARD_AGENT_SOCKET=$work/files/link job run -- test -e "$socket"
ok "run, socket by a link: it is not CMD's" is "$rc" 1
rm "$work/files/link"
may_change=$'files/audit\ntokens/' # (where the agent's next process is being made ready)
: >"$work/agent/more"
fails 'a folder with more in it' 125 'has other things than sockets in it' run -- true
rm "$work/agent/more"
ok 'the agent is ready again' wait_for 100 ready
job run -- sh -c 'exit 7'
expect_exit "run: CMD's code" 7
job run -- "$work/none"
expect_exit 'run: no CMD' 127
head -c 300000 /dev/urandom >"$work/files/body"
job request PUT -d "@$work/files/body" "$objects_url/a.bin"
expect_exit 'request PUT' 0
job request GET -o "$work/files/back" "$objects_url/a.bin"
expect_exit 'request GET' 0
ok 'request: the same bytes' cmp -s "$work/files/body" "$work/files/back"
job request GET "${objects_url%/o}/none/o"
expect_exit 'request: 404' 7
job sign GET "$LAB_OBJECTS_URL/n/"
expect_exit 'sign' 0
cp "$out" "$work/files/headers"
printf 'url = "%s"\n' "$LAB_OBJECTS_URL/n/" |
    curl -sS -K - --path-as-is -H "@$work/files/headers" --cacert "$LAB_CA_FILE" --connect-to "$LAB_CONNECT_TO" \
        -o "$work/files/answer" -w '%{http_code}' >"$work/files/code"
ok 'sign: taken by the cloud' is "$(cat "$work/files/code")" 200
job --profile g run -- curl -sS -H Metadata-Flavor:Google \
    http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/email
ok "Google: whose" is "$(cat "$out")" "$LAB_GOOGLE_ACCOUNT"
job --profile g request GET "$LAB_COMPUTE_URL/compute/v1/projects/$LAB_GOOGLE_PROJECT/zones/z/instances"
ok 'Google: request' has build-1


# --- what is refused -----------------------------------------------------------------------------
fails 'claim policy' 6 'agent: refused by|repository_id' --profile strict request GET "$LAB_OBJECTS_URL/n/"
fails 'unknown profile' 2 "agent: there is no profile 'none'" --profile none request GET "$LAB_OBJECTS_URL/n/"
fails 'a profile without claim policy' 2 'has no [policy open] issuer' --profile open request GET "$LAB_OBJECTS_URL/n/"
KEYWARD_SOURCE_TYPE=file KEYWARD_SOURCE_PATH=$work/none \
    fails 'no subject token' 5 'none' request GET "$LAB_OBJECTS_URL/n/"
fails '--egress' 125 'the agent' run --egress=x.example:443 -- true
ok 'after that: a job' wait_for 100 ready
job request GET "$LAB_OBJECTS_URL/n/"
expect_exit 'after that: served' 0
# shellcheck disable=SC2016 # perl
speak='use Socket; socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die; connect($s, sockaddr_un($ARGV[0])) or die "$!";
    for (1 .. $ARGV[2]) { send($s, pack("H*", $ARGV[1]), 0) or last } my $n = sysread($s, my $b, 4096); print defined $n ? $n : "-";'
for bytes in '' 00 ffffffff "$(printf '%0200d' 0)" 650000000000000000000000; do
    perl -e "$speak" "$socket" "$bytes" 3 >"$work/files/spoken" 2>&1
    ok "nonsense '$bytes' is answered by an end" test "$(stat -c %s "$work/files/spoken")" -ge 1
done
job agent --status
expect_exit 'after nonsense: the agent lives' 0

# --- status ----------------------------------------------------------------------------------------
ok 'status: profile' has 'profile lab'
job --json agent --status
ok 'status --json: one object' json
ok 'status --json: no job now' is "$(field jobs_now)" 0
ok 'status --json: jobs were counted' test "$(field jobs_total)" -ge 10
ok 'status --json: requests were counted' test "$(field requests_total)" -ge 2
ok 'metrics: form' is "$(metric keyward_agent_jobs_limit)" 16

# --- several at once, longer than a session lives ---------------------------------------------------
for i in 1 2 3 4; do
    setsid "$KW_BIN/keyward" --config "$config" run -- sh -c "for i in 1 2 3; do '$client' GET '$LAB_OBJECTS_URL/n/' | tail -n 1; sleep 5; done" \
        >"$work/files/out.$i" 2>"$work/files/err.$i" </dev/null &
    many="${many:-} $!"
done
ok 'four jobs at once' wait_for 100 jobs_are 4
job agent --status
ok 'four jobs: told one by one' is "$(grep -c '^job ' "$out")" 4
# shellcheck disable=SC2086 # several
wait $many
for i in 1 2 3 4; do
    ok "job $i: three answers" is "$(grep -cx 200 "$work/files/out.$i")" 3
    ok "job $i: renewed" grep -q '[1-9] renewals' "$work/files/err.$i"
done

# --- a job's end -------------------------------------------------------------------------------------
destroyed=$(audit_count '"event":"destroyed"')
job_start run -- sleep 60
ok 'a job goes on' wait_for 100 jobs_are 1
sleep 1
pkill -KILL -s "$session" -x keyward
ok 'killed: nothing left of it' no_strays
ok 'killed: its access ends' wait_for 30 jobs_are 0
one_more_destroyed() { [ "$(audit_count '"event":"destroyed"')" -gt "$destroyed" ]; }
ok 'killed: its key is gone' wait_for 30 one_more_destroyed
kw_wait
ok 'killed: a new one is ready' wait_for 100 ready
job_start run -- sleep 60
ok 'a job goes on, again' wait_for 100 jobs_are 1
sleep 1
pkill -KILL -s "$agent_pid" keyward-keeper # (the spare's, too)
kw_wait
expect_exit "its keeper killed: the job's exit code" 125
ok "its keeper killed: nothing left of the job" no_strays
ok "its keeper killed: the agent lives on" wait_for 200 ready

# --- reload ---------------------------------------------------------------------------------------------
echo nonsense >>"$work/agent.ini"
kill -HUP "$agent_pid"
ok 'a bad configuration is not taken over' wait_for 50 agent_log_has 'was not taken over'
for i in 1 2 3; do # more than there are spares: each has what the agent has, not what the file has
    job request GET "$LAB_OBJECTS_URL/n/"
    expect_exit "a bad configuration: served as before, $i" 0
done
sed -i '$d' "$work/agent.ini"
socket_new=$work/agent.new
sed -i 's/^jobs = .*//; s#^socket = .*#socket = '"$socket_new"'\njobs = 1#' "$work/agent.ini"
: >"$socket_new"
kill -HUP "$agent_pid"
ok 'reload' wait_for 50 limit_is 1
sed -i 's#^socket = .*#socket = '"$socket"'#' "$work/agent.ini"
ok 'reload: a new spare' wait_for 200 ready
job_start run -- sleep 30
first=$session
ok 'one job' wait_for 100 jobs_are 1
fails 'one more than it may' 8 'as many jobs as it may' request GET "$LAB_OBJECTS_URL/n/"

# --- stop ------------------------------------------------------------------------------------------------
kill -TERM "$agent_pid"
sleep 1
ok 'stopping: the job goes on' kill -0 "$first"
kw request GET "$LAB_OBJECTS_URL/n/"
expect_exit 'stopping: no more jobs' 8
ok 'stopping: told why' says 'is being stopped'
kill -TERM "$agent_pid"
wait "$agent_pid"
ok 'stopped: exit code' is $? 0
pids='' session=$first
kw_wait
ok 'stopped: the job ends with 125' is "$rc" 125
ok 'stopped: nothing left of the agent' wait_for 30 session_empty "$agent_pid"
ok 'stopped: no socket' not test -e "$socket"
ok 'stopped: what was configured as a socket since is not its own' test -e "$socket_new"
rm "$socket_new"
kw audit verify "$audit"
expect_exit 'the audit log is whole' 0
ok 'the audit log says who' grep -qE '"event":"session".*"caller":"uid [0-9]+ pid [0-9]+ run \(agent\)"' "$audit"
no_secret_in() { # FILE
    local secret
    while read -r secret; do
        [ -z "$secret" ] || ! grep -qF -- "$secret" "$1" || return 1
    done <"$work/secrets"
    ! grep -qE 'eyJ[A-Za-z0-9_-]{8,}\.eyJ' "$1"
}
ok "no secret in the agent's log" no_secret_in "$log"
sed -i 's/^jobs = 1$//' "$work/agent.ini"

# --- by systemd: it gives the socket and hears how it goes ------------------------------------------------
# shellcheck disable=SC2016 # perl
activate='use Socket; $^F = 10; my ($path, $notify, @cmd) = @ARGV;
    socket(my $n, AF_UNIX, SOCK_DGRAM, 0) or die; bind($n, sockaddr_un($notify)) or die;
    socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die; bind($s, sockaddr_un($path)) or die; listen($s, 16) or die;
    if (my $pid = fork) { $SIG{TERM} = sub { kill "TERM", $pid }; while (waitpid($pid, 1) != $pid) {
        my $r = ""; vec($r, fileno($n), 1) = 1; if (select($r, undef, undef, 0.2) > 0) { sysread($n, my $t, 4096); syswrite(STDERR, "NOTIFY $t") } } exit($? >> 8) }
    require POSIX; POSIX::dup2(fileno($s), 3); $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1; $ENV{NOTIFY_SOCKET} = $notify; exec @cmd;'
sed "s#^socket = .*##" "$work/agent.ini" >"$work/activated.ini"
perl -e "$activate" "$socket" "$work/notify" "$KW_BIN/keyward" --config "$work/activated.ini" --profile lab agent -v >"$log" 2>&1 </dev/null &
agent_pid=$!
pids=$agent_pid
ok 'activated: ready' wait_for 200 ready
job request GET "$LAB_OBJECTS_URL/n/"
expect_exit 'activated: served' 0
ok 'activated: says READY' agent_log_has 'NOTIFY READY=1'
stop_agent
ok 'activated: ends' is "$agent_rc" 0
ok 'activated: says STOPPING' agent_log_has 'NOTIFY STOPPING=1'
ok "activated: the socket is systemd's" test -S "$socket"
rm -f "$socket"

# --- who may ----------------------------------------------------------------------------------------------
sed "s#^\(socket = .*\)#\1\nallow = 4294967#" "$work/agent.ini" >"$work/files/allow.ini"
cp "$work/agent.ini" "$work/files/keep.ini"
cp "$work/files/allow.ini" "$work/agent.ini"
start_agent
wait_for 200 agent_log_has 'is ready'
fails 'not allowed' 6 'may not use this agent' request GET "$LAB_OBJECTS_URL/n/"
stop_agent
cp "$work/files/keep.ini" "$work/agent.ini"

# --- a PIN that is wrong is tried once, whoever comes ------------------------------------------------------
spy ''
printf '0000\n' >"$work/wrong"
chmod 600 "$work/wrong"
export KEYWARD_TOKEN_URI="pkcs11:token=$label?module-path=$KW_SPY&pin-source=file:$work/wrong"
start_agent
for _ in 1 2 3; do
    job request GET "$LAB_OBJECTS_URL/n/"
    ok 'wrong PIN: no job' not is "$rc" 0
done
wait "$agent_pid"
ok 'wrong PIN: the agent ends with 4' is $? 4
pids=''
ok 'wrong PIN: tried once' is "$(calls C_Login)" 1
no_spy
finish
