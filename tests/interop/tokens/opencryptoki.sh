#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# openCryptoki's soft token. Daemon, token directory, socket and shared memory have fixed
# places, so all of this is in namespaces of its own, with private file systems over those
# places. An ordinary user does it in a user namespace, where the group pkcs11 is his own;
# root also has two ordinary users try: one in the group, one not.
if [ -z "${KW_INSIDE:-}" ]; then
    user=()
    [ "$(id -u)" -eq 0 ] || user=(--user --map-root-user)
    KW_WHO=$(id -u) KW_INSIDE=1 exec unshare "${user[@]}" --mount --ipc --propagation private bash "$0"
fi
# shellcheck source=tests/interop/tokens/lib.sh
. "$(dirname "$0")/lib.sh"
name='openCryptoki soft token' package=opencryptoki token=ock
module=$(find_module libopencryptoki.so) || exit 1
pin=76543210 so_pin=87654321 # 4 to 8 digits
in_token() { pkcs11-tool --module "$module" --token-label "$token" --login --pin "$pin" --list-objects 2>/dev/null; }

private() { # MODE PATH...
    local mode=$1 path
    shift
    for path; do mount -t tmpfs -o "mode=$mode" tmpfs "$path" || exit 1; done
}
places() {
    local path mode owner group
    if [ "$KW_WHO" -ne 0 ]; then # the one group that there is
        sed -E 's/^pkcs11:x:[0-9]+:/pkcs11:x:0:/' /etc/group >"$work/group"
        mount --bind "$work/group" /etc/group || exit 1
    fi
    private 0755 /run /etc/opencryptoki /var/lib/opencryptoki /var/log
    private 1777 /dev/shm
    mkdir -m 1777 /run/lock
    printf 'version opencryptoki-3.1\nslot 3\n{\nstdll = libpkcs11_sw.so\n}\n' >/etc/opencryptoki/opencryptoki.conf
    # Debian 13's wants this one, too, and no ordinary user can read what the package has.
    {
        echo 'version strength-0'
        printf 'strength %d {\nMOD_EXP = %d\nECC = %d\nSYMMETRIC = %d\ndigest = %d\nsignature = %d\n}\n' \
            112 2048 224 112 224 112 128 3072 256 128 256 128 192 7680 384 192 384 192 256 15360 512 256 512 256
    } >/etc/opencryptoki/strength.conf
    chmod 644 /etc/opencryptoki/opencryptoki.conf
    chown root:pkcs11 /etc/opencryptoki/strength.conf
    chmod 640 /etc/opencryptoki/strength.conf
    awk '$1 ~ /^[dD]!?$/' /usr/lib/tmpfiles.d/opencryptoki.conf | while read -r _ path mode owner group _; do
        [ "$KW_WHO" -eq 0 ] || owner=root
        install -d -m "$mode" -o "$owner" -g "$group" "$path" || exit 1
    done
    # Debian 13 has these in the package.
    install -d -m 0770 -o root -g pkcs11 /var/lib/opencryptoki/swtok{,/TOK_OBJ} /var/lock/opencryptoki/swtok
}
# Debian 13's daemon has a user of its own, who for an ordinary user is to be the one that
# there is: another for the daemon (in a namespace below ours) than for those who call it.
start_it() {
    local as=() uid='' file
    [ "$KW_WHO" -eq 0 ] || uid=$(id -u pkcsslotd 2>/dev/null)
    if [ -n "$uid" ]; then
        sed -E 's/^pkcsslotd:x:[0-9]+:[0-9]+:/pkcsslotd:x:0:0:/' /etc/passwd >"$work/passwd"
        as=(unshare --user --map-user="$uid" --map-group=0 --mount)
    fi
    umask 022 # as a system's daemons have it: its lock file is for the group
    "${as[@]}" pkcsslotd >"$work/slotd.log" 2>&1 </dev/null
    umask 077
    [ -z "$uid" ] || mount --bind "$work/passwd" /etc/passwd
    wait_for 30 eval 'pkcsconf -t >/dev/null 2>&1' || { cat "$work/slotd.log" && exit 1; }
    file=$(find /run -name pkcsslotd.pid)
    pid_of[slotd]=$(tr -dc 0-9 <"$file")
    pids="$pids $(pid slotd)"
}
stop() {
    killed "$(pid slotd)"
    [ ! -e "$work/passwd" ] || umount /etc/passwd
}
make_token() {
    pkcs11-tool --module "$module" --slot 3 --init-token --so-pin 87654321 --label "$token" &&
        pkcsconf -c 3 -P -S 87654321 -n 87654322 &&
        pkcsconf -c 3 -u -S 87654322 -n 12345678 &&
        pkcsconf -c 3 -p -U 12345678 -n "$pin"
}

# An ordinary user, in that group or in none, does one exchange, all files his own.
as_user() { # [GROUP]
    local dir=$work/user drop=(--clear-groups)
    [ $# -eq 0 ] || drop=(--groups "$1")
    rm -rf "$dir"
    mkdir "$dir" "$dir/home"
    cp "$KW_BIN"/keyward "$KW_BIN"/keyward-* "$dir"
    cp "$work/pin" "$LAB_CA_FILE" "$LAB_CLIENT_SECRET_FILE" "$dir"
    sed "s|$work/pin|$dir/pin|; s|$LAB_CA_FILE|$dir/$(basename "$LAB_CA_FILE")|; s|$LAB_CLIENT_SECRET_FILE|$dir/$(basename "$LAB_CLIENT_SECRET_FILE")|" "$config" >"$dir/ini"
    chown -R 65534:65534 "$dir"
    chmod 711 "$work"
    HOME=$dir/home setpriv --reuid 65534 --regid 65534 "${drop[@]}" \
        "$dir/keyward" --config "$dir/ini" --profile lab exchange >"$out" 2>"$err" </dev/null
    rc=$?
    chmod 700 "$work"
}

places
start_it
make_token >"$work/init.log" 2>&1 || { cat "$work/init.log" && exit 1; }
begin
kw exchange
ok 'without [token] network: exit code' is "$rc" 3
ok 'without [token] network: says so' says '[token] network = local'
echo 'network = local' >>"$config"
configured='[token] network = local; the user in the group pkcs11'
# Debian 12's knows neither CKA_COPYABLE nor the mechanism with the hash. 13's knows both, but
# on rung 1 its keys can't sign, which is seen when they are tried: rung 2, too.
offers=$(pkcs11-tool --module "$module" --token-label "$token" --list-mechanisms)
by=CKM_RSA_PKCS copyable='?'
[[ $offers != *SHA256-RSA-PKCS,* ]] || by=CKM_SHA256_RSA_PKCS copyable=1
as_told 2 $by \
    "TOKEN=0 PRIVATE=1 SENSITIVE=1 EXTRACTABLE=0 ALWAYS_SENSITIVE=1 NEVER_EXTRACTABLE=1 LOCAL=1 MODIFIABLE=0 COPYABLE=$copyable SIGN=1 DECRYPT=0 UNWRAP=0 SIGN_RECOVER=0 DERIVE=0" \
    'nothing came out: 7 reads of private attributes, '
many
keeps
if [ "$KW_WHO" -eq 0 ]; then
    sed -E 's/^(pkcs11:.*)$/\1,nobody/' /etc/group >"$work/group" # it looks there by name
    chmod 644 "$work/group"
    mount --bind "$work/group" /etc/group
    as_user "$(getent group pkcs11 | cut -d: -f3)"
    ok 'a user in the group pkcs11' is "$rc" 0
    umount /etc/group
    as_user
    ok 'a user who is not in the group: exit code' is "$rc" 3
    ok 'a user who is not in the group: says what' says 'C_Initialize'
fi
dies survives 'C_Initialize|that its daemon runs'
row
finish
