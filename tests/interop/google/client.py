# SPDX-License-Identifier: Apache-2.0
"""google-auth as it is: application default credentials from the file that keyward wrote,
then one call with them. usage: client.py URL"""
import sys

import google.auth
import google.auth.transport.requests

credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
session = google.auth.transport.requests.AuthorizedSession(credentials)
answer = session.get(sys.argv[1])
print(type(credentials).__module__, answer.status_code, answer.text)
