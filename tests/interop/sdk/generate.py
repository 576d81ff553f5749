#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The requests that all SDKs sign: JSON lines, the same for the same seed.

usage: generate.py COUNT [DATE]

A line is {"case", "method", "url", "headers", "body", "times", "upload"}: the body is
`body` repeated `times` times (null: none), `upload` says that the operation is one of
Object Storage's whose body is not signed. With DATE every request brings that date
instead of the SDK's clock: for vectors that are kept.

Bodies are text: the TypeScript SDK signs no other (and it is the bytes that are hashed).
"""
import json
import random
import sys

SEED = 20261125
HOSTS = [
    "iaas.eu-frankfurt-1.oraclecloud.com",
    "identity.us-ashburn-1.oraclecloud.com",
    "objectstorage.eu-frankfurt-1.oraclecloud.com",
    "mynamespace.objectstorage.us-phoenix-1.oci.customer-oci.com.oraclecloud.com",
    "iaas.eu-frankfurt-1.oraclecloud.com:8443",
]
RARE_HOSTS = ["Telemetry.EU-Frankfurt-1.OracleCloud.com", "iaas.eu-frankfurt-1.oraclecloud.com:80"]
SEGMENTS = [
    "20160918", "instances", "vcns", "ocid1.instance.oc1.eu-frankfurt-1.antheljr",
    "a", "A-b_c.d~e", "%7Euser", "%7euser", "a%20b", "a b", "a+b", "a%2Fb", "a%2fb",
    "%41%42", "caf\u00e9", "caf%C3%A9", "cafe\u0301", "\u65e5\u672c\u8a9e", "\U0001f511",
    "semi;colon", "colon:at@", "it's", "(round)", "star*", "comma,dollar$", "bang!", "eq=and&",
    "%25", "...", ".hidden", "%2e%2e%2e", "x" * 300, "\u00e4" * 40,
]
# What clients and servers read in more than one way; few, for each is a difference to explain.
RARE = ["..", ".", "", "%2e%2e", "%2E", "tab\there", "100%", "%zz", "[square]", "{curly}", "pipe|",
        "caret^", "tick`", "quote\"", "less<more>", "back\\slash"]
NAMES = ["compartmentId", "limit", "page", "q", "filter", "a", "na%6De", "$top", ""]
VALUES = [
    "ocid1.tenancy.oc1..aaaaaaaa", "100", "", "a+b", "a%20b", "%2B", "%7E", "~", "a/b?c",
    "caf%C3%A9", "%E2%82%AC", "displayName%20eq%20%22x%22", "it's", "1,2,3", "a=b",
    "a:b@c", ";", "!$&'()*", "y" * 500,
]
RARE_VALUES = ["a b", "caf\u00e9", "\u20ac", "a eq \"x\"", "^", "`", "<>", "%", "%zz", "a|b", "\\", "\U0001f511", "[1]", "{}"]
TYPES = [
    "application/json", "application/json; charset=utf-8", "text/plain", "application/octet-stream",
    "Application/JSON", "multipart/form-data; boundary=a b  c", "application/x-www-form-urlencoded",
]
EXTRA = [
    ("opc-request-id", "0123456789abcdef"), ("opc-retry-token", "r-1"), ("if-match", "\"etag\""),
    ("accept", "*/*"), ("x-custom", "two  spaces, and a comma"),
]
BODIES = [
    "{}", "{\"displayName\":\"x\"}", "x", "caf\u00e9 \u20ac \U0001f511", "line\r\nline\n", "nul\u0000in it",
    " leading and trailing ", "\ufeffmark", "a=b&c=d", "\u0301combining", "\u2028\u2029",
]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed).random  # of all methods the one that never changed

    def pick(self, items):
        return items[int(self.random() * len(items))]

    def often(self, share):
        return self.random() < share

    def some(self, items, most):
        return [self.pick(items) for _ in range(int(self.random() * (most + 1)))]

    def host(self):
        return self.pick(RARE_HOSTS) if self.often(0.02) else self.pick(HOSTS)

    def path(self):
        parts = self.some(SEGMENTS, 5)
        if self.often(0.05):
            parts.insert(int(self.random() * (len(parts) + 1)), self.pick(RARE))
        end = "/" if self.often(0.2) else ""
        return "/" + "/".join(parts) + (end if parts else "")

    def query(self):
        pairs = [self.pick(NAMES) + ("=" + self.pick(VALUES) if self.often(0.85) else "")
                 for _ in range(1 + int(self.random() * 5))]
        if self.often(0.05):
            pairs.append("odd=" + self.pick(RARE_VALUES))
        return self.pick(["&", "&", "&", "&&", ";"]).join(pairs)

    def target(self):
        if self.often(0.02):
            return self.pick(["", "?", "?a=b", "/?", "/??", "//", "//host/x", "/a?b#frag", "/#"])
        return self.path() + ("?" + self.query() if self.often(0.6) else "")

    def body(self, method):
        if method in ("GET", "HEAD"):
            return (self.pick(BODIES), 1) if self.often(0.02) else (None, 1)
        if method == "DELETE" and self.often(0.9):
            return None, 1
        kind = self.random()
        if kind < 0.1:
            return None, 1
        if kind < 0.2:
            return "", 1
        if kind < 0.94:
            return self.pick(BODIES), 1
        return self.pick(BODIES), 1 + int(self.random() * 40000)

    def upload(self, case):
        name = "/".join([self.pick(SEGMENTS)] + self.some(SEGMENTS, 2))
        kind = self.pick(["o", "o", "u"])
        url = "http://%s/n/ns/b/%s/%s/%s" % (HOSTS[2], self.pick(["bucket", "b-1"]), kind, name)
        if kind == "u":
            url += "?uploadId=%s&uploadPartNum=%d" % (self.pick(["id", "a%2Fb"]), 1 + int(self.random() * 9))
        return {"case": case, "method": "PUT", "url": url, "upload": True}

    def request(self, case, date):
        if self.often(0.08):
            r = self.upload(case)
        else:
            r = {"case": case, "method": self.pick(["GET", "GET", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
                 "url": "http://" + self.host() + self.target(), "upload": False}
        r["body"], r["times"] = self.body(r["method"])
        headers = dict(pair for pair in EXTRA if self.often(0.2))
        if self.often(0.6):
            headers["content-type"] = self.pick(TYPES)
        if date:
            headers["date"] = date
        r["headers"] = headers
        return r


def main():
    maker = Maker(SEED)
    date = sys.argv[2] if len(sys.argv) > 2 else None
    for case in range(1, int(sys.argv[1]) + 1):
        print(json.dumps(maker.request(case, date)))


main()
