#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tpm2-pkcs11 on a software TPM (swtpm) behind the resource manager tpm2-abrmd, on a D-Bus
# of its own. It has no session objects, so each key is stored in the TPM's own form. The
# attributes are the module's notes, not the TPM's, and it changes them for whoever asks.
# shellcheck source=tests/interop/tokens/lib.sh
. "$(dirname "$0")/lib.sh"
name='tpm2-pkcs11 (swtpm)' package=libtpm2-pkcs11-1 token=tpm stored=1
module=$(find_module 'libtpm2_pkcs11.so*') || exit 1
mkdir "$work/tpm" "$work/store"
export TPM2_PKCS11_STORE=$work/store TPM2_PKCS11_TCTI=tabrmd:bus_type=session
in_token() { pkcs11-tool --module "$module" --token-label "$token" --login --pin "$pin" --list-objects 2>/dev/null | grep Object; }

# abrmd speaks to swtpm by TCP only. Whether a port is free shows when swtpm has it.
owns() { # PID PORT
    local inode
    inode=$(awk -v port="$(printf ':%04X' "$2")" '$4 == "0A" && $2 ~ port "$" { print $10 }' /proc/net/tcp)
    [ -n "$inode" ] && find "/proc/$1/fd" -lname "socket:\\[$inode\\]" 2>/dev/null | grep -q .
}
start_swtpm() {
    local i
    for ((i = 0; i < 20; i++)); do
        port=$((20000 + RANDOM % 10000 * 2))
        daemon swtpm swtpm socket --tpm2 --tpmstate "dir=$work/tpm" \
            --server "type=tcp,port=$port,bindaddr=127.0.0.1" \
            --ctrl "type=tcp,port=$((port + 1)),bindaddr=127.0.0.1" --flags not-need-init,startup-clear
        wait_for 20 eval "{ owns $(pid swtpm) $port && owns $(pid swtpm) $((port + 1)); } || ! kill -0 $(pid swtpm) 2>/dev/null"
        kill -0 "$(pid swtpm)" 2>/dev/null && return
    done
    cat "$work/swtpm.log" && exit 1
}
start_bus() {
    daemon bus dbus-daemon --session --nofork --nopidfile --address="unix:path=$work/bus"
    export DBUS_SESSION_BUS_ADDRESS=unix:path=$work/bus
    wait_for 20 test -S "$work/bus" || { cat "$work/bus.log" && exit 1; }
}
on_bus() { # NAME
    dbus-send --bus="$DBUS_SESSION_BUS_ADDRESS" --print-reply --dest=org.freedesktop.DBus / \
        org.freedesktop.DBus.NameHasOwner "string:$1" 2>/dev/null | grep -q 'boolean true'
}
start_it() {
    local root=()
    [ "$(id -u)" -ne 0 ] || root=(--allow-root)
    daemon abrmd tpm2-abrmd --session "${root[@]}" --tcti="swtpm:host=127.0.0.1,port=$port"
    wait_for 30 on_bus com.intel.tss2.Tabrmd || { cat "$work/abrmd.log" && exit 1; }
}
stop() { killed "$(pid abrmd)"; }
make_token() {
    pkcs11-tool --module "$module" --slot-index 0 --init-token --so-pin "$so_pin" --label "$token" &&
        pkcs11-tool --module "$module" --token-label "$token" --init-pin --login --so-pin "$so_pin" --pin "$pin"
}

start_swtpm
start_bus
start_it
make_token >"$work/init.log" 2>&1 || { cat "$work/init.log" && exit 1; }
begin
kw exchange
ok 'without [token] network: exit code' is "$rc" 3
ok 'without [token] network: says so' says '[token] network = local'
echo 'network = local' >>"$config"
kw exchange
ok 'without [key] storage: exit code' is "$rc" 3
ok 'without [key] storage: says so' says '[key] storage = token'
printf '[key]\nstorage = token\n' >>"$config"
kw exchange
ok 'without [key] accept: exit code' is "$rc" 3
ok 'without [key] accept: says what it is' says 'lets keys be changed that it calls safe: C_SetAttributeValue marks the key extractable, but nothing came out of it'
ok 'without [key] accept: names it' says '[key] accept = modifiable'
ok 'without [key] accept: no key stays' is "$(in_token)" ''
echo 'accept = modifiable' >>"$config"
configured='[token] network = local; [key] storage = token, accept = modifiable'
as_told 3 CKM_SHA256_RSA_PKCS \
    'TOKEN=1 PRIVATE=1 SENSITIVE=1 EXTRACTABLE=0 ALWAYS_SENSITIVE=1 NEVER_EXTRACTABLE=1 LOCAL=1 MODIFIABLE=0 COPYABLE=0 SIGN=1 DECRYPT=0 UNWRAP=0 SIGN_RECOVER=0 DERIVE=0' \
    'C_SetAttributeValue marks the key extractable, but nothing came out of it'
many
keeps
dies 'C_Sign|CKR_GENERAL_ERROR|see that it runs' 'C_Initialize|CKR_GENERAL_ERROR|that its daemon runs'
row
finish
