#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Vectors to keep, of what an SDK signed and sent: golden/SDK.jsonl, read by golden.c.

usage: golden.py SDK BASE

A line is {"case", "method", "host", "target", "headers", "length", "sha256", "string",
"signature"}. Of the headers only those that matter for the signature are kept.
"""
import json
import re
import sys

from compare import load, signed_string, wire_string

KEPT = {"date", "x-date", "content-type", "content-length", "x-content-sha256", "if-match", "opc-retry-token"}


def vector(signed, wire):
    values = {name.lower(): value for name, value in wire["headers"]}
    authorization = values["authorization"]
    string = wire_string(wire, authorization)
    if not signed_string(signed)(string):
        raise SystemExit("case %d: the SDK signs what it does not send" % wire["case"])
    return {
        "case": wire["case"], "method": wire["method"], "host": values["host"], "target": wire["target"],
        # (The TypeScript SDK sends an unsigned Date of now besides its x-date: not to be kept.)
        "headers": [[name, value] for name, value in wire["headers"] if name.lower() in KEPT and not (
            name.lower() == "date" and "x-date" in values)],
        "length": wire["length"], "sha256": wire["sha256"], "string": string,
        "signature": re.search('signature="([^"]*)"', authorization).group(1),
    }


def main():
    sdk, base = sys.argv[1:3]
    signed, wire = (load("%s.%s.%s" % (base, sdk, kind)) for kind in ("signed", "wire"))
    for case in sorted(wire):
        if re.fullmatch("[\x21-\x7e]+", wire[case]["target"]):  # else it is no legal request
            print(json.dumps(vector(signed[case], wire[case])))


main()
