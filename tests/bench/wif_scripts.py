#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The work of Oracle's Python scripts for workload identity federation (wifRuntime.py of
WorkloadIdFederation), against keyward-lab: `requests` and `cryptography`, the same steps in
the same order, and the subject token fetched first, which they take from a file.

usage: wif_scripts.py [KEY]      (lab.env's variables; writes into the working directory)

With KEY (PEM) that key is loaded instead of generating one. Prints nothing, which is the one
thing they do otherwise.
"""
import base64
import os
import sys
from urllib.parse import quote

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from urllib3.util import connection

lab = {name[4:]: value for name, value in os.environ.items() if name.startswith("LAB_")}
connect = connection.create_connection
connection.create_connection = lambda address, *a, **k: connect(("127.0.0.1", int(lab["PORT"])), *a, **k)


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


def subject_token():
    answer = requests.get(lab["REQUEST_URL"] + "&audience=" + lab["AUDIENCE"], verify=lab["CA_FILE"],
                          headers={"Authorization": "bearer " + read(lab["REQUEST_TOKEN_FILE"])}, timeout=60)
    answer.raise_for_status()
    return answer.json()["value"]


def private_key():
    if len(sys.argv) > 1:
        with open(sys.argv[1], "rb") as f:
            return serialization.load_pem_private_key(f.read(), None)
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def main():
    jwt = subject_token()
    key = private_key()
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with open("private_key.pem", "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))
    client = base64.b64encode((lab["CLIENT_ID"] + ":" + read(lab["CLIENT_SECRET_FILE"])).encode()).decode()
    form = ("grant_type=urn:ietf:params:oauth:grant-type:token-exchange"
            "&requested_token_type=urn:oci:token-type:oci-upst&subject_token=" + jwt +
            "&subject_token_type=jwt&public_key=" + quote(base64.b64encode(spki).decode(), safe=""))
    answer = requests.post(lab["DOMAIN_URL"] + "/oauth2/v1/token", data=form, verify=lab["CA_FILE"], timeout=60,
                           headers={"Content-Type": "application/x-www-form-urlencoded",
                                    "Authorization": "Basic " + client})
    answer.raise_for_status()
    with open("upstToken", "w", encoding="ascii") as f:
        f.write(answer.json()["token"])


main()
