#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what one SDK signed against what keyward signed for the same bytes on the wire.

usage: compare.py SDK BASE

Reads BASE.requests (generate.py), BASE.SDK.signed (the SDK), BASE.SDK.wire (what went out)
and BASE.SDK.keyward (resign.c). Prints one line `SDK<tab>CASE<tab>REASON` for each request
that is no plain match, for the file `differences`, and last, on standard error, the counts.
Exit code 1 if something differs for which there is no reason at all.
"""
import base64
import hashlib
import json
import re
import sys


def load(path):
    with open(path, encoding="utf-8") as f:
        return {r["case"]: r for r in map(json.loads, f)}


def wire_string(wire, authorization):
    """The signing string as a server makes it: the SDK's list of headers, the wire's values."""
    values = {name.lower(): value for name, value in wire["headers"]}
    values["(request-target)"] = wire["method"].lower() + " " + wire["target"]
    names = re.search('headers="([^"]*)"', authorization).group(1).lower().split(" ")
    return "\n".join("%s: %s" % (name, values.get(name, "(not sent)")) for name in names)


def signed_string(signed):
    """Whether the SDK signed this string: Python and TypeScript show it, Go its digest."""
    if "digest" in signed:
        return lambda s: base64.b64encode(hashlib.sha256(s.encode("latin-1")).digest()).decode() == signed["digest"]
    return lambda s: s == signed["string"]


def first_difference(a, b):
    for x, y in zip(a.split("\n"), b.split("\n")):
        if x != y:
            return "%.200s | %.200s" % (x, y)
    return "lines: %d | %d" % (a.count("\n"), b.count("\n"))


def judge(signed, wire, ours):
    """(kind, reason): "" for the same; "explained", or "WRONG"."""
    if "error" in signed:
        return "refused", "the SDK sends nothing: " + re.sub(r"127\.0\.0\.1:\d+", "", signed["error"])
    authorization = {name.lower(): value for name, value in wire["headers"]}["authorization"]
    signature = re.search('signature="([^"]*)"', authorization).group(1)
    sent, is_signed = wire_string(wire, authorization), signed_string(signed)
    if not is_signed(sent):
        what = first_difference(signed["string"], sent) if "string" in signed else sent.split("\n")[1]
        if ours.get("string", sent) != sent:
            return "WRONG", "keyward signs neither: " + first_difference(ours["string"], sent)
        return "unsent", "the SDK signs what it does not send, keyward what is sent: " + what
    if "error" in ours:
        return "unsigned", "keyward does not sign it: " + ours["error"]
    if not is_signed(ours["string"]):
        return "WRONG", "signing strings: " + first_difference(sent, ours["string"])
    if signature != ours["signature"]:
        return "WRONG", "signatures"
    if ours["url"]:
        return "same, url", "the same, but on a command line keyward does not take it: " + ours["url"]
    return "same", ""


def main():
    sdk, base = sys.argv[1:3]
    signed, wire, ours = (load("%s.%s.%s" % (base, sdk, kind)) for kind in ("signed", "wire", "keyward"))
    requests = load(base + ".requests")
    counts, normalised = {}, 0
    for case in requests:
        kind, reason = judge(signed[case], wire.get(case), ours.get(case, {"error": "not asked"}))
        counts[kind] = counts.get(kind, 0) + 1
        if kind != "same":
            print("%s\t%d\t%s" % (sdk, case, reason.encode("ascii", "backslashreplace").decode().replace("\n", " ")))
        given = re.sub("^http://[^/?#]*", "", requests[case]["url"])
        normalised += case in wire and wire[case]["target"] != given
    print("%s: %s; targets that the SDK sent in another spelling than given: %d" % (
        sdk, ", ".join("%d %s" % (counts[k], k) for k in sorted(counts)), normalised), file=sys.stderr)
    sys.exit(1 if "WRONG" in counts or len(requests) == 0 else 0)


if __name__ == "__main__":
    main()
