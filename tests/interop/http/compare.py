# SPDX-License-Identifier: Apache-2.0
"""Holds src/proxy/proxy_head.c against h11, Node's llhttp and Python's http.client: what keyward takes,
each of them takes, too, and as the same: method, target, fields, and where the message ends.
The contrary is not asked for: keyward refuses much that they let pass.

usage: compare.py HEADS PARSE.MJS CORPUS"""
import copy
import http.client
import io
import json
import os
import random
import struct
import subprocess
import sys

import h11

SENTINEL = b"GET /sentinel HTTP/1.1\r\nHost: s\r\n\r\n"
LEAST = 3000  # so many messages must have been taken and compared, of each kind
http.client._MAXHEADERS = 1000

# --- messages -------------------------------------------------------------------------------

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

# Request smuggling as it is published, and its kin: refused, each of them.
REFUSED = [
    POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    POST + b"Content-Length: 0\r\nContent-Length: 4\r\n\r\nGET ",
    POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nGET ",
    POST + b"Content-Length: 4, 4\r\n\r\nGET ",
    POST + b"Content-Length: +4\r\n\r\nGET ",
    POST + b"Content-Length: -0\r\n\r\n",
    POST + b"Content-Length: 0x4\r\n\r\nGET ",
    POST + b"Content-Length: 4 4\r\n\r\nGET ",
    POST + b"Content-Length: 04\r\n\r\nGET ",
    POST + b"Content-Length: \r\n\r\n",
    POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    POST + b"Content-Length : 4\r\n\r\nGET ",
    POST + b"Content-Length\t: 4\r\n\r\nGET ",
    POST + b" Content-Length: 4\r\n\r\nGET ",
    POST + b"X: 1\r\n Content-Length: 4\r\n\r\nGET ",
    POST + b"X: 1\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"X: 1\nContent-Length: 4\r\n\r\nGET ",
    POST + b"X: 1\rContent-Length: 4\r\n\r\nGET ",
    POST + b"X: 1\0\r\n\r\n",
    POST + b"\x0bTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n",
    POST + b"Content-Length: 4 \r\n\r\nGET ",
    POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding\r\n: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Connection: content-length\r\nContent-Length: 4\r\n\r\nGET ",
    POST + b"Connection: host\r\n\r\n",
    POST + b"Host: b\r\n\r\n",
    POST + b": x\r\n\r\n",
    POST + b"X\r\n\r\n",
    b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\nHost: a\n\n",
    b"POST /\r\n\r\n",
    b"POST / HTTP/1.1 \r\nHost: a\r\n\r\n",
    b"POST  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /\t HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.2\r\nHost: a\r\n\r\n",
    b"POST / http/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/01.1\r\nHost: a\r\n\r\n",
    b"post / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n",
    b" POST / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a,b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n",
    b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 4\r\n\r\nGET ",
    CHUNKED + b"+1\r\na\r\n0\r\n\r\n",
    CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    CHUNKED + b" 1\r\na\r\n0\r\n\r\n",
    CHUNKED + b"1 \r\na\r\n0\r\n\r\n",
    CHUNKED + b"1\na\n0\n\n",
    CHUNKED + b"1\ra\r0\r\r",
    CHUNKED + b"1\r\nab0\r\n\r\n",
    CHUNKED + b"1\r\na\n0\r\n\r\n",
    CHUNKED + b"1;\na\r\n0\r\n\r\n",
    CHUNKED + b"1;x\rGET\r\na\r\n0\r\n\r\n",
    CHUNKED + b"10000000000000001\r\na\r\n0\r\n\r\n",
    CHUNKED + b"\r\n",
    CHUNKED + b";x\r\n\r\n",
    CHUNKED + b"0\r\n X: 1\r\n\r\n",
    CHUNKED + b"0\r\nX : 1\r\n\r\n",
    CHUNKED + b"0\r\nX\r\n\r\n",
    CHUNKED + b"0\r\nX: 1\n\r\n",
    CHUNKED + b"0\r\nContent-Length: 4\r\n\r\n",
    CHUNKED + b"0\r\nX: 1\r\ntransfer-ENCODING: identity\r\n\r\n",
    CHUNKED + b"0\r\nConnection: close\r\n\r\n",
    CHUNKED + b"0\r\nHost: b\r\n\r\n",
    CHUNKED + b"1;x=\"y\"\r\na\r\n0\r\n\r\n",
    CHUNKED + b"1;;x\r\na\r\n0\r\n\r\n",
    CHUNKED + b"1;x=\r\na\r\n0\r\n\r\n",
    CHUNKED + b"1;x=y=z\r\na\r\n0\r\n\r\n",
    CHUNKED + b"1; x\r\na\r\n0\r\n\r\n",
]

# What must be taken, so that there is something to compare.
TAKEN = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET /a?b=c%20&d HTTP/1.1\r\nhOST: a.b-c:80\r\nX:  y z\t \r\nEmpty:\r\n\r\n",
    b"GET /?a=[b]{c}|\"<>^`\\ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: [::1]:8080\r\nX: \x80\xff\r\nConnection: close\r\n\r\n",
    b"CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    POST + b"Content-Length: 4\r\n\r\nGET ",
    POST + b"Content-Length: 0\r\n\r\n",
    POST + b"Content-Length: 6\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n!",
    POST + b"X-Content-Length: 4\r\nContent-Length-X: 5\r\n\r\n",
    CHUNKED + b"0\r\n\r\n",
    CHUNKED + b"4\r\nGET \r\n0\r\n\r\n",
    CHUNKED + b"00a;x=y;z\r\n0123456789\r\nA\r\n0123456789\r\n000\r\nT: 1\r\nU: \r\n\r\n",
    CHUNKED + b"5\r\n0\r\n\r\n\r\n0\r\n\r\n",
]

ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nT: \xff\r\n\r\n4;x\r\nbody\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 599 x\r\nContent-Length: 2\r\nContent-Type: a/b\r\n\r\nno",
]

# What is put in somewhere, or in the place of something.
PIECES = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b";", b",", b"\0", b"\x0b", b"\x7f", b"\x80", b"\xff",
    b"0", b"1", b"9", b"a", b"F", b"+", b"-", b"0x", b"Content-Length: 4\r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"Host: a\r\n", b"Host: b\r\n", b"X-Y: z\r\n", b"Expect: 100-continue\r\n",
    b"Trailer: X\r\n", b"Upgrade: h2c\r\n", b"HTTP/1.0", b"HTTP/1.1", b"GET", b"/", b"/%00", b"//", b"/../", b"?",
    b"*", b"chunked", b"4\r\nbody\r\n", b"0\r\n\r\n", b";ext=1", b"X: 1\r\n", b"http://a/", b"200", b"204", b"304",
]


def mutated(rng, seeds):
    """One of the seeds, changed in a place or two."""
    m = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(m) + 1)
        if rng.random() < 0.5:  # at the edges of lines and words more often
            edges = [i for i in range(len(m) + 1) if i == len(m) or m[i] in b"\r\n :;"]
            at = rng.choice(edges)
        way = rng.random()
        if way < 0.5:
            m[at:at] = rng.choice(PIECES)
        elif way < 0.7:
            m[at:at + rng.randrange(1, 4)] = b""
        elif way < 0.85:
            m[at:at + 1] = rng.choice(PIECES)
        elif at < len(m):
            m[at] = rng.choice(b"\x00\t\n\r !\"#09:;AZaz{|}~\x7f\x80\xff")
    return bytes(m)


def fields(rng):
    """A head with fields of all that may be in names and values."""
    names = b"!#$%&'*+-.^_`|~0129AZaz"
    values = bytes(range(0x21, 0x7f)) + b"\t \x80\xa0\xff"
    lines = b""
    for _ in range(rng.randrange(8)):
        name = bytes(rng.choice(names) for _ in range(rng.randrange(1, 12)))
        lines += name + b":" + bytes(rng.choice(values) for _ in range(rng.randrange(20))) + b"\r\n"
    target = b"/" + bytes(rng.choice(bytes(range(0x21, 0x7f))) for _ in range(rng.randrange(30)))
    return b"GET " + target.replace(b"#", b"") + b" HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"


def messages(corpus):
    rng = random.Random(20260101)
    requests, answers = REFUSED + TAKEN, list(ANSWERS)
    for name in sorted(os.listdir(corpus)):
        with open(os.path.join(corpus, name), "rb") as f:
            data = f.read()
        kind, data = data[:1], data[1:]
        if kind == b"R":
            requests.append(data)
        elif kind == b"A":
            answers.append(data)
        elif kind == b"C":
            requests.append(CHUNKED + data)
    seeds = [m for m in requests if len(m) < 2000]
    requests += [mutated(rng, TAKEN if i % 2 else seeds) for i in range(20000)]
    requests += [fields(rng) for _ in range(3000)]
    seeds = [m for m in answers if len(m) < 2000]
    answers += [mutated(rng, ANSWERS if i % 2 else seeds) for i in range(16000)]
    return ([("R", m) for m in requests] + [("A", m) for m in answers] + [("H", m) for m in answers[::4]])


def framed(many):
    return b"".join(struct.pack(">cI", kind.encode(), len(m)) + m for kind, m in many)


# --- the parsers -----------------------------------------------------------------------------


def ours(heads, many):
    done = subprocess.run([heads], input=framed(many), stdout=subprocess.PIPE, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(many)
    return [json.loads(line) for line in lines]


def text(h):
    return bytes.fromhex(h)


def wanted(mine):
    """What the others are to say, of what keyward says."""
    return {"minor": mine["minor"], "first": mine["first"], "done": mine["done"],
            "headers": [plain(text(n), text(v)) for n, v in mine["headers"]]}


def plain(name, value):
    """h11 has this one value in small letters."""
    name = name.lower()
    return name, value.lower() if name == b"transfer-encoding" else value


def by_h11(kind, message, sent, mine):
    """`sent` is the message, as far as keyward takes it for one, and the sentinel."""
    conn = h11.Connection(h11.SERVER if kind == "R" else h11.CLIENT, max_incomplete_event_size=1 << 20)
    if kind != "R":
        conn.send(h11.Request(method="HEAD" if kind == "H" else "GET", target="/", headers=[("Host", "a")]))
        conn.send(h11.EndOfMessage())
    conn.receive_data(sent)
    event = conn.next_event()
    if event is h11.NEED_DATA or event is h11.PAUSED:
        return "wants more of the head"
    first = [event.method, event.target] if kind == "R" else event.status_code
    said = {"minor": int(event.http_version[2:]), "first": first, "done": False,
            "headers": [plain(n, v) for n, v in event.headers.raw_items()]}
    if isinstance(event, h11.InformationalResponse):
        said["done"] = True
        return said
    body = 0
    while True:
        event = conn.next_event()
        if isinstance(event, h11.Data):
            body += len(event.data)
        else:
            break
    said["done"] = isinstance(event, h11.EndOfMessage)
    rest = conn.trailing_data[0] if said["done"] else b""
    if said["done"] and rest != SENTINEL:
        return f"ends {len(rest) - len(SENTINEL)} bytes before ours"
    if mine["framing"] in ("length", "close") and body != len(message) - mine["head"]:
        return f"body of {body} bytes"
    return said


def by_http_client(kind, message, sent, mine):
    class Kept(io.BytesIO):  # still there when http.client has closed it
        def close(self):
            pass

    class Sock:
        def __init__(self, data):
            self.file = Kept(data)

        def makefile(self, _):
            return self.file

    sock = Sock(sent)
    r = http.client.HTTPResponse(sock, method="HEAD" if kind == "H" else "GET")
    r.begin()
    said = {"minor": r.version - 10, "first": r.status, "done": True,
            "headers": [plain(n.encode("latin-1"), v.encode("latin-1").strip(b" \t")) for n, v in r.headers.raw_items()]}
    try:
        body = r.read()
    except http.client.IncompleteRead:
        said["done"] = False
        return said
    if mine["framing"] == "close":
        said["done"] = False
        return said if body == message[mine["head"]:] else "another body"
    rest = sock.file.read()
    if not mine["done"] and mine["framing"] == "chunked":  # an end within trailers is one to it
        said["done"] = False
        return said if rest == b"" else "another end"
    return said if rest == SENTINEL else f"ends {len(rest) - len(SENTINEL)} bytes before ours"


def chunked(mine):
    return any(text(n).lower() == b"transfer-encoding" for n, _ in mine["headers"])


def goes_on(mine):
    """Whether Node is to read on behind it. (HTTP/1.0 gets 505 from keyward's proxy, kept or not.)"""
    return mine["keep_alive"] and mine["minor"] == 1


def by_node(answer, message, mine):
    if not answer["seen"]:
        return f"refused ({answer['failed']})"
    first, more = answer["seen"][0], answer["seen"][1:]
    said = {"minor": first["minor"], "first": [text(first["method"]), text(first["target"])],
            "done": first["done"], "headers": [plain(text(n), text(v)) for n, v in first["headers"]]}
    if text(first["method"]) == b"CONNECT":
        rest = SENTINEL if goes_on(mine) else b""
        return said if text(answer["rest"]) == rest else "another end"
    if mine["framing"] == "length" and len(text(first["body"])) != len(message) - mine["head"]:
        return "another body"
    # Node reads nothing behind what asks for an upgrade.
    if mine["done"] and goes_on(mine) and not mine["upgrades"] and [text(m["target"]) for m in more] != [b"/sentinel"]:
        return "another end"
    return said


# --- what differs ----------------------------------------------------------------------------


def differs(want, said):
    if isinstance(said, str):
        return said
    return next((f"{k}: {said[k]!r}, not {want[k]!r}" for k in want if said[k] != want[k]), None)


def guarded(parser, *args):
    try:
        return parser(*args)
    except (h11.RemoteProtocolError, http.client.HTTPException, ValueError) as e:
        return f"refused ({e})"


def main():
    heads, script, corpus = sys.argv[1:]
    many = messages(corpus)
    said = ours(heads, many)
    for i, m in enumerate(REFUSED):
        assert said[i] is None, ("taken", m)
    for i, m in enumerate(TAKEN, len(REFUSED)):
        assert said[i] is not None and said[i]["done"], ("refused", m)
    taken, failures, compared, controls = [], [], {"h11": 0, "http.client": 0, "llhttp": 0}, 0
    for (kind, m), mine in zip(many, said):
        if mine is None or mine["status"] == 101:  # whether that was asked for is the caller's to know
            continue
        m = m[:mine["used"]]
        mine["first"] = mine["status"] or [text(mine["method"]), text(mine["target"])]
        taken.append((kind, m, m + SENTINEL if mine["done"] else m, mine))

    requests = [t for t in taken if t[0] == "R"]
    node = subprocess.run(["node", script], input=framed([("R", t[2 if goes_on(t[3]) else 1]) for t in requests]),
                          stdout=subprocess.PIPE, check=True).stdout.splitlines()
    known = {m.encode() for m in json.loads(node[0])}
    by_id = {id(t[3]): json.loads(line) for t, line in zip(requests, node[1:], strict=True)}

    for kind, m, sent, mine in taken:
        others = {"h11": guarded(by_h11, kind, m, sent, mine)}
        if kind == "R" and text(mine["method"]) in known:  # llhttp has a list of methods
            others["llhttp"] = by_node(by_id[id(mine)], m, mine)
        # http.client passes over 1xx, and waits for a body that a 304 may announce but never has.
        if kind != "R" and mine["status"] >= 200 and not (mine["status"] == 304 and chunked(mine)):
            others["http.client"] = guarded(by_http_client, kind, m, sent, mine)
        for name, other in others.items():
            compared[name] += 1
            what = differs(wanted(mine), other)
            if what is not None:
                failures.append((name, what, m))
            # A parser of ours that read it differently would be seen.
            wrong = copy.copy(mine)
            wrong["headers"] = mine["headers"] + [["78", "79"]]
            controls += differs(wanted(wrong), other) is None
            wrong = dict(mine, done=not mine["done"])
            controls += differs(wanted(wrong), other) is None
    for name, what, m in failures[:20]:
        print(f"{name}: {what}\n    {m[:300]!r}")
    refused = sum(s is None for s in said)
    print(f"{len(many)} messages, {refused} refused; compared with " +
          ", ".join(f"{n} {c}" for n, c in compared.items()) + f": {len(failures)} differences")
    few = [n for n, c in compared.items() if c < LEAST]
    if few or refused < LEAST or controls:
        print("too few compared:", few, "controls that were not seen:", controls)
    return 1 if failures or few or refused < LEAST or controls else 0


sys.exit(main())
