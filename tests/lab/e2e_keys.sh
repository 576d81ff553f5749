# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by e2e.sh: the client's keys.
for k in session other api; do
    openssl genrsa -out "$work/$k.pem" 2048 2>/dev/null
    openssl pkey -in "$work/$k.pem" -pubout -out "$work/$k.pub"
done
spki=$(openssl pkey -in "$work/session.pem" -pubout -outform DER | base64 -w0)
api_id=ocid1.tenancy.oc1..aaaaaaaakeywardlab/ocid1.user.oc1..aaaaaaaaadmin/20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34
