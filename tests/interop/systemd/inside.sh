#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Run by systemd in the container: the agent installed as its guide says, used by a member
# of its group and by nobody else, reloaded, killed, stopped, and refused by its PIN.
set -u
export LC_ALL=C PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin
here=/keyward-test
tests=0 failed=0
ok() { # NAME COMMAND...
    local name=$1
    shift
    tests=$((tests + 1))
    "$@" && return
    failed=$((failed + 1))
    printf 'not ok - %s\n    false: %s\n' "$name" "$*"
    sed 's/^/    /' "$out" "$err" 2>/dev/null
}
is() { [ "$1" = "$2" ] || { printf '    %s is not %s\n' "$1" "$2" && false; }; }
not() { ! "$@"; }
reached() { # within twenty seconds
    for _ in $(seq 200); do
        "$@" && return
        sleep 0.1
    done
    return 1
}
state_is() { [ "$(systemctl show -P ActiveState "$1")" = "$2" ]; }
shown() { systemctl show -P "$1" keyward-agent.service; }

cp -a $here/tree/. /
work=$(mktemp -d) out=$work/out err=$work/err
chmod 755 "$work"
systemctl daemon-reload
systemd-sysusers
useradd -r -G keyward runner
useradd -r stranger

# --- the clouds, and a token that is the agent's --------------------------------------------------
mkdir /run/lab
$here/keyward-lab --dir /run/lab --ready-file /run/lab/ready --die-with-parent >"$work/lab.log" 2>&1 </dev/null &
reached test -e /run/lab/ready
# shellcheck source=/dev/null
. /run/lab/lab.env
install -d -m 755 /etc/keyward
install -m 644 "$LAB_CA_FILE" /etc/keyward/ca.pem
chmod 711 /run/lab
pin=$(od -An -N8 -tx8 /dev/urandom | tr -d ' \n')
install -d -o keyward-agent -g keyward-agent -m 700 /var/lib/keyward /var/lib/keyward/tokens
echo 'directories.tokendir = /var/lib/keyward/tokens' >/etc/keyward/softhsm2.conf
SOFTHSM2_CONF=/etc/keyward/softhsm2.conf setpriv --reuid keyward-agent --regid keyward-agent --clear-groups \
    softhsm2-util --init-token --free --label agent --pin "$pin" --so-pin "$pin" >"$out" 2>"$err"
ok 'the token' is "$?" 0
(umask 077 && echo "$pin" >/etc/keyward/pin && cp "$LAB_CLIENT_SECRET_FILE" /etc/keyward/oci-secret)
module=$(find /usr/lib -name libsofthsm2.so | head -n 1)
agent_ini() { # LINE...
    sed -e 's/^audience = .*//' -e "s#^ca_file = .*#ca_file = /etc/keyward/ca.pem#" \
        -e 's#^client_secret_source = .*#client_secret_source = credential:oci-secret#' "$LAB_KEYWARD_INI"
    printf '\n[token]\nuri = pkcs11:token=agent?module-path=%s\npin_source = credential:pin\nenv = SOFTHSM2_CONF\n' "$module"
    printf '[audit]\nfile = /var/lib/keyward/audit.jsonl\n[agent]\ngrace = 2\n'
    printf '%s\n' "$@"
}
agent_ini >/etc/keyward/agent.ini
mkdir /etc/systemd/system/keyward-agent.service.d
printf '[Service]\nEnvironment=SOFTHSM2_CONF=/etc/keyward/softhsm2.conf\n' \
    >/etc/systemd/system/keyward-agent.service.d/token.conf
systemctl daemon-reload

# --- a job's side ------------------------------------------------------------------------------------
{
    printf '[source]\ntype = github\n[agent]\nsocket = /run/keyward/agent.sock\n'
    sed -n '/^\[tls\]/,$p' "$LAB_KEYWARD_INI" | sed "s#^ca_file = .*#ca_file = /etc/keyward/ca.pem#"
} >/etc/keyward/keyward.ini
install -o runner -m 600 "$LAB_REQUEST_TOKEN_FILE" "$work/request-token"
as() { # USER WORD...: keyward, as a job at GitHub has it
    local who=$1
    shift
    setpriv --reuid "$who" --regid "$who" --init-groups env -i PATH="$PATH" HOME=/nonexistent \
        ACTIONS_ID_TOKEN_REQUEST_URL="$LAB_REQUEST_URL" ACTIONS_ID_TOKEN_REQUEST_TOKEN="$(cat "$LAB_REQUEST_TOKEN_FILE")" \
        keyward --config /etc/keyward/keyward.ini "$@" >"$out" 2>"$err" </dev/null
    rc=$?
}
call() { as runner request GET "$LAB_OBJECTS_URL/n/"; }
objects() { find /var/lib/keyward/tokens -name '*.object' ! -name token.object | wc -l; }

# --- socket activation, and who gets in ------------------------------------------------------------------
systemctl start keyward-agent.socket
ok 'the socket' is "$(stat -c '%U:%G %a' /run/keyward/agent.sock)" 'root:keyward 660'
ok 'nobody has asked: no agent yet' state_is keyward-agent.service inactive
as stranger request GET "$LAB_OBJECTS_URL/n/"
ok 'not of the group: exit code' is "$rc" 1
ok 'not of the group: what to do' grep -q 'usermod -aG keyward' "$err"
ok 'not of the group: no agent was started' state_is keyward-agent.service inactive
call
ok 'a request' is "$rc:$(cat "$out")" "0:\"$LAB_NAMESPACE\""
ok 'the agent runs' state_is keyward-agent.service active
as runner run -- $here/ociclient GET "$LAB_OBJECTS_URL/n/"
ok 'run' is "$rc:$(tail -n 1 "$out")" 0:200
main=$(shown MainPID)
field() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$main/status"; }
ok 'whose it is' is "$(stat -c %U "/proc/$main")" keyward-agent
ok 'no capability' is "$(field CapEff)$(field CapBnd)" 00000000000000000000000000000000
ok 'no new privileges, and a filter' is "$(field NoNewPrivs)$(field Seccomp)" 12
ok 'PIN and client secret: only root' is "$(stat -c '%U %a' /etc/keyward/pin /etc/keyward/oci-secret)" $'root 600\nroot 600'
ok 'no PIN in its environment' not grep -qF "$pin" "/proc/$main/environ"
as runner agent --status
ok 'status' grep -q 'lab' "$out"

# --- another configuration -------------------------------------------------------------------------------
agent_ini 'jobs = 3' >/etc/keyward/agent.ini
systemctl reload keyward-agent
limit() { as runner agent --metrics && grep -qx 'keyward_agent_jobs_limit 3' "$out"; }
ok 'reload: the new limit' reached limit
ok 'reload: the same agent' is "$(shown MainPID)" "$main"

# --- its death, and its end ----------------------------------------------------------------------------------
kill -KILL "$main"
again() { call && [ "$rc" -eq 0 ]; }
ok 'killed: systemd starts another' reached again
ok 'killed: it is another' not is "$(shown MainPID)" "$main" >/dev/null
as runner run -- sleep 100 &
job=$!
busy() { as root agent --metrics && grep -qx 'keyward_agent_jobs 1' "$out"; }
out=$work/out2 err=$work/err2
ok 'a job' reached busy
start=$SECONDS
systemctl stop keyward-agent.service keyward-agent.socket
ok 'stop: within its grace' test $((SECONDS - start)) -le 20
wait "$job"
out=$work/out err=$work/err
ok 'stop: the job was ended, and told' grep -q '^keyward: .' "$err"
ok 'stop: not as a failure' is "$(shown Result)" success
ok 'stop: no process is left' is "$(pgrep -u keyward-agent | wc -l)" 0
ok 'stop: no key is left' is "$(objects)" 0
ok 'stop: no socket' not test -e /run/keyward/agent.sock

# --- a PIN that is refused --------------------------------------------------------------------------------------
(umask 077 && echo 0000 >/etc/keyward/pin)
systemctl start keyward-agent.socket
call
ok 'wrong PIN: exit code' is "$rc" 4
ok 'wrong PIN: the agent has ended' reached state_is keyward-agent.service failed
ok 'wrong PIN: with 4' is "$(shown ExecMainStatus)" 4
sleep 7 # RestartSec is 5
ok 'wrong PIN: systemd does not try again' is "$(shown ActiveState)" failed
SOFTHSM2_CONF=/etc/keyward/softhsm2.conf softhsm2-util --show-slots >"$out" 2>"$err"
systemctl stop keyward-agent.socket
(umask 077 && echo "$pin" >/etc/keyward/pin)
systemctl reset-failed keyward-agent.service
systemctl start keyward-agent.socket
call
ok 'the right PIN again: a request' is "$rc" 0
systemctl stop keyward-agent.service keyward-agent.socket

# --- what was told -----------------------------------------------------------------------------------------------
journalctl --sync
journalctl -u keyward-agent.service -o cat >"$out" 2>"$err"
ok 'journal: tells of the PIN that was refused' grep -qi 'PIN' "$out"
for secret in "$pin" "$(cat "$LAB_CLIENT_SECRET_FILE")" "$(cat "$LAB_REQUEST_TOKEN_FILE")"; do
    ok 'journal and audit: no secret' not grep -qF -- "$secret" "$out" /var/lib/keyward/audit.jsonl
done
ok 'journal: no token' not grep -qE 'eyJ[A-Za-z0-9_-]{8,}\.' "$out"
keyward audit verify /var/lib/keyward/audit.jsonl >"$out" 2>"$err"
ok 'audit: the chain holds' is "$?" 0
echo "$tests checks, $failed failed"
