# SPDX-License-Identifier: Apache-2.0
"""A CONNECT proxy on loopback that leads every host to the lab: how unmodified clients meet
it under the vendor's own names. usage: tunnel.py LAB-PORT READY-FILE"""
import os
import socket
import sys
import threading


def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    finally:
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(client, port):
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        more = client.recv(4096)
        if not more:
            return
        head += more
    if not head.startswith(b"CONNECT "):
        client.sendall(b"HTTP/1.1 405 Only CONNECT\r\n\r\n")
        client.close()
        return
    lab = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    threading.Thread(target=pump, args=(client, lab), daemon=True).start()
    pump(lab, client)


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    with open(sys.argv[2] + ".new", "w", encoding="ascii") as f:
        f.write(str(listener.getsockname()[1]))
    os.rename(sys.argv[2] + ".new", sys.argv[2])
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, int(sys.argv[1])), daemon=True).start()


main()
