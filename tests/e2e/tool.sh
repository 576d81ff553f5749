#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# keyward run: an unmodified client with stand-ins; what it can do, what it can't, and how
# its life and keyward's are bound together.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
printf '[audit]\nfile = %s\n' "$work/files/audit" >>"$config"
client=$(cd "$(dirname "$0")" && pwd)/ociclient
before=$(cd "$work/tokens" && find . -type f ! -name '*.lock' | sort)

kw run -- true
expect_exit 'true' 0
ok 'true: summary' says '0 requests signed in the token, 0 refused'
kw run -- sh -c 'exit 7'
expect_exit "CMD's code" 7
kw run -- sh -c 'kill -TERM $$'
expect_exit "CMD's signal" 143
kw run -- "$work/none"
expect_exit 'no CMD' 127
kw run -- "$config"
expect_exit 'CMD that is no program' 126
kw run true
expect_exit 'without --' 2
ok 'without --: told' says 'put -- before'

kw run -- "$client" GET "$LAB_OBJECTS_URL/n/"
expect_exit 'namespace' 0
ok 'namespace: value' has "\"$LAB_NAMESPACE\""
ok 'namespace: 200' is "$(tail -n 1 "$out")" 200
ok 'namespace: signed' says '1 requests signed in the token, 0 refused'
ok 'namespace: no secret' no_secrets
head -c 300000 /dev/urandom >"$work/files/body"
kw run -- "$client" PUT "$objects_url/t.bin" "$work/files/body"
ok 'PUT: 200' is "$(tail -n 1 "$out")" 200
kw request GET -o "$work/files/back" "$objects_url/t.bin"
ok 'PUT: the same bytes' cmp -s "$work/files/body" "$work/files/back"
echo '{"sourceName":"t.bin","newName":"u.bin"}' >"$work/files/rename"
kw run --explain -- "$client" POST "${objects_url%/o}/actions/renameObject" "$work/files/rename"
ok 'POST: 200' is "$(tail -n 1 "$out")" 200
ok 'POST --explain: allowed' says 'allowed: POST'
ok 'POST --explain: answered' says 'answered 200'
ok 'POST --explain: no secret' no_secrets

for how in signature keyid host; do
    kw run -- env OCICLIENT_BREAK=$how "$client" GET "$LAB_OBJECTS_URL/n/"
    ok "broken $how: refused" test "$(tail -n 1 "$out")" -ge 400
    ok "broken $how: told" says '1 refused'
    ok "broken $how: says keyward" has keyward
done
kw run -- curl -sS https://evil.example/
ok 'foreign host: CMD fails' not is "$rc" 0
ok 'foreign host: told' says 'evil.example'
# What is no request that could be passed on: told in the service's shape, and before it is sent.
for how in '-H Connection:Upgrade -H Upgrade:websocket' '-H Upgrade:h2c'; do
    # shellcheck disable=SC2086 # several words
    kw run -- curl -sS $how -w '%{http_code}\n' "$LAB_OBJECTS_URL/n/"
    ok "$how: 403" is "$(tail -n 1 "$out" | tail -c 4)" 403
    ok "$how: why" has '"message":"keyward: the request asks for another protocol'
    ok "$how: told" says '1 refused'
done
ok 'Upgrade: in the audit log' grep -q '"event":"refusal".*another protocol' "$work/files/audit"
kw run -- curl -sS -0 -w '%{http_code}\n' "$LAB_OBJECTS_URL/n/"
ok 'HTTP/1.0: 505' is "$(tail -n 1 "$out" | tail -c 4)" 505
ok 'HTTP/1.0: why' has '"message":"keyward: HTTP/1.1 is served here'
ok 'HTTP/1.0: in the audit log' grep -qF '"reason":"HTTP/1.1 is served here, not 1.0' "$work/files/audit"
unread() { grep -cF '"method":"?"' "$work/files/audit"; }
known=$(unread)
# shellcheck disable=SC2016 # for CMD's shell
kw run -- bash -c 'p=${https_proxy#*://} p=${p%/}; for i in {1..120}; do
    exec 3<>"/dev/tcp/${p%:*}/${p##*:}" && printf "EV-IL\033[31m\"}\n /\r\n\r\n" >&3 && cat <&3 >&2; exec 3<&-; done'
ok 'nonsense: all of it refused' says '120 refused'
ok 'nonsense: a line in the audit log for each, up to a limit' is "$(($(unread) - known))" 100
ok 'nonsense: the last says so' grep -qF 'last of its kind' "$work/files/audit"
ok 'nonsense: nothing of it in the audit log' not grep -q EV-IL "$work/files/audit"
ok 'nonsense: nor on standard error' not says EV-IL
kw run -- curl -sS --noproxy '*' -m 5 "https://${LAB_CONNECT_TO##*::}/"
ok 'round the proxy: no way out' not is "$rc" 0

# What CMD holds, and what it can see. (Stand-ins look like tokens: that is their use.)
no_environment_secret() {
    local secret
    while read -r secret; do
        [ -z "$secret" ] || ! grep -qF -- "$secret" "$out" || return 1
    done <"$work/secrets"
}
kw run -- env
ok 'env: no secret' no_environment_secret
ok 'env: the proxy' has HTTPS_PROXY=
# shellcheck disable=SC2016 # CMD's shell
kw run -- sh -c 'ls -l /proc/self/fd | wc -l; ls /proc/self/fd'
ok 'descriptors: 0, 1, 2 and the one of ls' is "$(tail -n +2 "$out" | tr '\n' ' ')" '0 1 2 3 '
kw run -- cat "$config"
ok 'the configuration is not visible' test ! -s "$out"
kw run -- sh -c 'cat /proc/self/status'
ok 'no capabilities' grep -qE '^CapEff:\s*0+$' "$out"
ok 'no new privileges' grep -qE '^NoNewPrivs:\s*1$' "$out"

# The subject token's own variable goes to nobody, even if it is asked for.
WEIRD=$(subject)
export WEIRD KEYWARD_SOURCE_TYPE=env KEYWARD_SOURCE_NAME=WEIRD
# shellcheck disable=SC2016 # CMD's shell
kw run --keep-env=WEIRD -- sh -c 'echo "${WEIRD:-gone}"'
ok 'source = env: not passed on' is "$(cat "$out")" gone
unset WEIRD KEYWARD_SOURCE_TYPE KEYWARD_SOURCE_NAME
echo marker-netrc-77 >"$HOME/.netrc"
kw run -- cat "$HOME/.netrc"
ok 'a credential file is covered' test ! -s "$out"
kw run -- sh -c "echo x >$HOME/.netrc"
ok 'and the cover is read-only' not is "$rc" 0
kw run --share-home -- cat "$HOME/.netrc"
ok '--share-home: it is there' has marker-netrc-77
# Without isolation a sweeper waits for our end: it is no child of CMD's.
kw run --isolation=off -- perl -e 'while (wait() != -1) {} print "alone\n"'
ok 'isolation off: CMD has no child of ours' has alone

# An attacker in CMD's place.
echo marker-netrc-77 >>"$work/secrets"
cp "$work/secrets" "$work/files/known"
input=$work/files/known kw_start run -- bash -c 'sleep 1; exec "$@"' x "$(dirname "$client")/attacker" "$HOME" "$$" "$LAB_PORT"
sleep 0.5
rm "$work/files/known"
kw_wait
ok 'attacker: finds nothing' not has FOUND
ok 'attacker: came to its end' test "$(tail -n 1 "$out")" = end
ok 'attacker: tried' test "$(grep -c '^closed' "$out")" -ge 25

# A folder as standard input was opened before anything was hidden.
input=/run kw run -- true
expect_exit 'standard input is a folder' 125
ok 'standard input is a folder: told' says 'standard input is a folder'

# Ends.
in_cmd() { # CMD runs, and goes on
    kw_start run -- sh -c 'echo began && exec sleep 60'
    for _ in $(seq 200); do
        grep -qx began "$out" && return
        sleep 0.1
    done
}
in_cmd
pkill -KILL -s "$session" keyward-keeper
kw_wait
expect_exit 'keeper killed: 125' 125
ok 'keeper killed: nothing left' no_strays
in_cmd
pkill -KILL -s "$session" keyward-proxy
kw_wait
expect_exit 'proxy killed: 125' 125
in_cmd
kill -TERM "$session"
kw_wait
expect_exit 'TERM is passed on' 143
in_cmd
kill -KILL "$session"
kw_wait
ok 'main killed: nothing left' no_strays

# Each signal once, whoever it was sent to: the group, as CI runners do it, keyward alone, or a terminal.
# CMD counts, until two seconds after the signal that it is told.
cat >"$work/files/counts.pl" <<'COUNTS'
for my $s ('INT', 'TERM') { $SIG{$s} = sub { $n{$s}++ } }
$| = 1;
print "up\n";
for (1 .. 600) { select undef, undef, undef, 0.1; last if $n{$ARGV[0]} && ++$after > 20 }
print "int $n{INT} term $n{TERM}\n";
COUNTS
counting() { # COMMAND...
    kw_start run -- "$@" perl "$work/files/counts.pl" TERM
    for _ in $(seq 200); do grep -qx up "$out" && return || sleep 0.1; done
}
counting
for to in "-$session" "$session" "-$session"; do
    kill -INT -- "$to"
    sleep 1
done
kill -TERM -- "-$session"
kw_wait
ok 'signals: each once' is "$(tail -n 1 "$out")" 'int 3 term 1'
ok 'signals: no process stays' no_strays
counting setsid # has left the group: then it is told
for to in "-$session" "$session"; do
    kill -INT -- "$to"
    sleep 1
done
kill -TERM -- "-$session"
kw_wait
ok 'signals, out of the group: each once' is "$(tail -n 1 "$out")" 'int 2 term 1'
# A terminal: CMD, and what is done to it a moment after the other, when CMD is up. ^C is typed, k is a signal to
# keyward alone, h hangs up.
cat >"$work/files/terminal.pl" <<'TERMINAL'
use POSIX; use Time::HiRes 'sleep';
my ($steps, @cmd) = @ARGV;
my ($zero, $n, $seen, $m, $s) = (pack('i', 0), pack('i', 0), '');
open($m, '+<', '/dev/ptmx') && ioctl($m, 0x40045431, $zero) && ioctl($m, 0x80045430, $n) or die; # unlock, number
$n = '/dev/pts/' . unpack('i', $n);
my $pid = fork // die;
if (!$pid) {
    POSIX::setsid();
    open($s, '+<', $n) && ioctl($s, 0x540E, 0) or die; # TIOCSCTTY
    POSIX::dup2(fileno($s), $_) for 0, 1;
    close $m;
    exec @cmd;
}
sub hear { my $r = ''; vec($r, fileno $m, 1) = 1;
    return 0 if select($r, undef, undef, $_[0]) <= 0 || sysread($m, my $t, 4096) <= 0;
    $seen .= $t; print $t; 1 }
$| = 1;
for (1 .. 200) { last if $seen =~ /up/; hear(0.1) }
for my $step (split //, $steps) {
    $step eq 'h' ? close $m : $step eq 'k' ? kill('INT', $pid) : syswrite($m, "\003");
    sleep 0.3;
}
if ($steps !~ /h/) { 1 while $seen !~ /term/ && hear(20) }
waitpid $pid, 0;
TERMINAL
on_terminal() { # STEPS CMD...
    local steps=$1
    shift
    perl "$work/files/terminal.pl" "$steps" "$KW_BIN/keyward" --config "$config" --profile lab run -- "$@" >"$out" 2>"$err"
}
on_terminal c perl "$work/files/counts.pl" INT
ok 'a terminal: once' has 'int 1 term'
on_terminal ck perl "$work/files/counts.pl" INT
ok 'a terminal, and somebody else at once: each once' has 'int 2 term'
on_terminal kckc perl "$work/files/counts.pl" INT
ok 'a terminal and somebody else, by turns: each once' has 'int 4 term'
on_terminal ck setsid perl "$work/files/counts.pl" INT
ok 'a terminal, CMD out of its group: told' has 'int 2 term'
# shellcheck disable=SC2016 # perl
on_terminal h perl -e '$SIG{HUP} = sub { open my $f, ">", $ARGV[0]; print $f "hup"; exit }; $| = 1; print "up\n"; sleep 60' "$work/files/hung"
ok 'a terminal that hangs up: told' is "$(cat "$work/files/hung")" hup
ok 'token directory as before' is "$(cd "$work/tokens" && find . -type f ! -name '*.lock' | sort)" "$before"
kw audit verify "$work/files/audit"
expect_exit 'audit log: whole' 0
finish
