# SPDX-License-Identifier: Apache-2.0
"""The Python SDK's signer on the requests of generate.py.

usage: run.py KEY PORT <requests >signed

Each request is signed and sent as the SDK's own clients do it: its signer as the `auth` of
a request of its (vendored) `requests`. Every host is at 127.0.0.1:PORT (wire.py). Prints
{"case", "string"} for each, the string that it signed, or {"case", "error"}.
"""
import json
import sys

import oci
from oci._vendor import requests
from oci._vendor.httpsig_cffi import sign
from urllib3.util import connection

connect = connection.create_connection
last = {}


def watch():
    """Notes each signing string, and meets every host at the recorder."""
    port = int(sys.argv[2])
    connection.create_connection = lambda address, *a, **k: connect(("127.0.0.1", port), *a, **k)
    plain = sign.generate_message

    def generate_message(*a, **k):
        message = plain(*a, **k)
        last["string"] = message if isinstance(message, str) else message.decode("ascii")
        return message

    sign.generate_message = generate_message


def send(session, signer, r):
    headers = dict(r["headers"], **{"x-case": str(r["case"])})
    body = r["body"]
    data = None if body is None else (body * r["times"]).encode("utf-8")
    last.clear()
    try:
        session.request(r["method"], r["url"], headers=headers, data=data, allow_redirects=False,
                        auth=signer.without_content_headers if r["upload"] else signer)
    except Exception as e:  # whatever it is, it is the SDK's answer to this request
        return {"case": r["case"], "error": "%s: %s" % (type(e).__name__, e)}
    return {"case": r["case"], "string": last["string"]}


def main():
    watch()
    with open(sys.argv[1], "rb") as f:
        key = oci.signer.load_private_key(f.read(), None)
    signer = oci.auth.signers.SecurityTokenSigner("the.session.token", key)
    session = requests.Session()
    session.trust_env = False
    for line in sys.stdin:
        print(json.dumps(send(session, signer, json.loads(line))))


main()
