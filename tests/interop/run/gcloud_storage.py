# SPDX-License-Identifier: Apache-2.0
"""google-auth as a program uses it that knows nothing of keyward: an ID token for a service of
one's own, and an object of Cloud Storage.

    gcloud_storage.py STORAGE-URL [AUDIENCE]"""
import base64
import json
import sys

import google.auth
import google.auth.transport.requests
import google.oauth2.id_token

credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_only"])
session = google.auth.transport.requests.AuthorizedSession(credentials)
answer = session.get(sys.argv[1] + "/storage/v1/b/lab-bucket/o/hello.txt?alt=media")
print("object", answer.status_code, answer.text)
if len(sys.argv) > 2:
    token = google.oauth2.id_token.fetch_id_token(google.auth.transport.requests.Request(), sys.argv[2])
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    print("id token", claims["iss"], claims["aud"], claims.get("email"))
