# SPDX-License-Identifier: Apache-2.0
"""From nothing to a session token by the Python SDK's own TokenExchangeSigner, for
tests/bench: fetches the subject token and exchanges it.

Takes keyward-lab's environment (lab.env). The lab plays every host at 127.0.0.1:$LAB_PORT.
"""
import os

from oci._vendor import requests
from oci.auth.signers import TokenExchangeSigner
from urllib3.util import connection

lab = {name[4:]: value for name, value in os.environ.items() if name.startswith("LAB_")}
connect = connection.create_connection
connection.create_connection = lambda address, *a, **k: connect(("127.0.0.1", int(lab["PORT"])), *a, **k)
os.environ["REQUESTS_CA_BUNDLE"] = lab["CA_FILE"]


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


def subject_token():
    answer = requests.get(lab["REQUEST_URL"] + "&audience=" + lab["AUDIENCE"],
                          headers={"Authorization": "bearer " + read(lab["REQUEST_TOKEN_FILE"])})
    answer.raise_for_status()
    return answer.json()["value"]


signer = TokenExchangeSigner(subject_token, lab["DOMAIN_URL"], lab["CLIENT_ID"], read(lab["CLIENT_SECRET_FILE"]),
                             lab["REGION"])
print("token of", len(signer.get_security_token()), "bytes")
