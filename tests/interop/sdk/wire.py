#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What really went out: takes HTTP requests on the loopback and writes each one down.

usage: wire.py OUT PORT-FILE

A line of OUT is {"case", "method", "target", "headers": [[name, value]...], "length",
"sha256"}: the request line and the headers byte for byte (Latin-1), the body by its hash.
Whatever comes is answered with 200 and nothing. Ends with its standard input.
"""
import base64
import hashlib
import json
import os
import socketserver
import sys
import threading


def read_body(stream, headers):
    hasher, length = hashlib.sha256(), 0
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            size = int(stream.readline().split(b";")[0], 16)
            data = stream.read(size)
            stream.readline()
            if size == 0:
                break
            hasher.update(data)
            length += size
    else:
        length = int(headers.get("content-length", "0"))
        hasher.update(stream.read(length))
    return length, base64.b64encode(hasher.digest()).decode()


class Handler(socketserver.StreamRequestHandler):
    def take_one(self):
        line = self.rfile.readline()
        if not line:
            return False
        method, rest = line.decode("latin-1").rstrip("\r\n").split(" ", 1)
        target = rest.rsplit(" ", 1)[0]  # which holds a space if the client let it through
        headers = []
        while True:
            line = self.rfile.readline().decode("latin-1").rstrip("\r\n")
            if not line:
                break
            name, _, value = line.partition(":")
            headers.append([name, value.strip(" \t")])
        known = {name.lower(): value for name, value in headers}
        if known.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length, sha256 = read_body(self.rfile, known)
        with self.server.lock:
            json.dump({"case": int(known["x-case"]), "method": method, "target": target, "headers": headers,
                       "length": length, "sha256": sha256}, self.server.out)
            self.server.out.write("\n")
            self.server.out.flush()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True

    def handle(self):
        while self.take_one():
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def main():
    with open(sys.argv[1], "w", encoding="utf-8") as out, Server(("127.0.0.1", 0), Handler) as server:
        server.out, server.lock = out, threading.Lock()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with open(sys.argv[2] + ".new", "w", encoding="ascii") as f:
            f.write(str(server.server_address[1]))
        os.rename(sys.argv[2] + ".new", sys.argv[2])
        sys.stdin.read()
        server.shutdown()


main()
