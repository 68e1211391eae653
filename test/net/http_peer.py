#!/usr/bin/env python3
"""The other side of test_http_client: a small HTTP server that also misbehaves. Prints NAME=VALUE lines, ends with its stdin.

Ports: PLAIN, TLS, MTLS (wants a certificate of CA), MUTE (accepts, says nothing), FULL (never accepts, its queue is full).
Files: CA, OTHER_CA, CERT, KEY (of a client).
"""
import gzip
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

connections = 0
arrived = 0  # requests that will never be answered


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_certificates(folder):
    os.chdir(folder)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        openssl("req", "-x509", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    with open("names", "w") as f:
        f.write("subjectAltName=DNS:localhost")
    for name in ("server", "client"):
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-extfile", "names", "-out", f"{name}.pem")


def answer(body, status="200 OK", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read_body(headers, stream):
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
        return body
    return stream.read(int(headers.get("content-length", 0)))


def serve(connection):
    global connections, arrived
    connections += 1
    stream = connection.makefile("rb")
    dies = False
    while line := stream.readline():
        if dies:
            return
        method, path, _ = line.decode().split()
        path, _, query = path.partition("?")
        lines, headers = [line.decode().strip()], {}
        while (text := stream.readline().decode().strip()):
            lines.append(text)
            headers[text.partition(":")[0].lower()] = text.partition(":")[2].strip()
        if path == "/unread":  # the body stays where it is
            arrived += 1
            time.sleep(60)
        body = read_body(headers, stream)
        send = connection.sendall
        if path == "/echo":
            send(answer("\n".join(lines).encode() + b"\n\n" + body))
        elif path == "/length":
            send(answer(b"%d" % len(body)))
        elif path == "/empty":
            send(answer(b""))
        elif path == "/connections":
            send(answer(b"%d" % connections))
        elif path == "/arrived":
            send(answer(b"%d" % arrived))
        elif path == "/status":
            status, _, retry = query.partition("&")
            send(answer(b"why", f"{status} Because", *([f"Retry-After:  {retry.replace('+', ' ')} "] if retry else [])))
        elif path == "/redirect":
            send(answer(b"", "302 Found", "Location: /echo"))
        elif path == "/early":
            send(b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\nRetry-After: 9\r\n\r\n" + answer(b"late", "200 OK", "X-Real: 2"))
        elif path == "/big":
            send(answer(b"x" * int(query)))
        elif path == "/gzip":
            send(answer(gzip.compress(b"x" * int(query)), "200 OK", "Content-Encoding: gzip"))
        elif path == "/chunks":
            send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(3):
                send(b"3\r\n%d..\r\n" % i)
                time.sleep(0.02)
            send(b"0\r\n\r\n")
        elif path == "/silent":
            arrived += 1
            time.sleep(60)
        elif path == "/stall":
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            arrived += 1
            time.sleep(60)
        elif path == "/slow":  # a byte every 50 ms, or so many
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            for i in range(10):
                send(b"%d" % i)
                time.sleep(int(query or 50) / 1000)
        elif path == "/cut":
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return
        elif path == "/cut-headers":
            send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
            return
        elif path == "/cut-chunk":
            send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf")
            return
        elif path == "/nothing":
            return
        elif path == "/garbage":
            send(b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n")
            return
        elif path == "/last":  # one answer, and the next request on this connection finds it dead
            send(answer(b"last"))
            dies = True
        else:
            send(answer(b"no such path", "404 Not Found"))


def handle(connection, context):
    raw = connection
    try:
        if context:
            connection = context.wrap_socket(raw.dup(), server_side=True, do_handshake_on_connect=False)
            connection.do_handshake()
        serve(connection)
    except (OSError, ValueError):
        pass
    try:
        if isinstance(connection, ssl.SSLSocket) and connection.version() is None:  # let the alert arrive before a reset
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(1)
            while raw.recv(65536):
                pass
        raw.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
    raw.close()


def listen(context):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept():
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=handle, args=(connection, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def main():
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(folder)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain("server.pem", "server.key")
        mtls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        mtls.load_cert_chain("server.pem", "server.key")
        mtls.load_verify_locations("ca.pem")
        mtls.verify_mode = ssl.CERT_REQUIRED
        mute = socket.create_server(("127.0.0.1", 0), backlog=64)
        full = socket.create_server(("127.0.0.1", 0), backlog=0)
        fill = [socket.socket() for _ in range(4)]
        for s in fill:
            s.setblocking(False)
            s.connect_ex(full.getsockname())
        for name, value in (("PLAIN", listen(None)), ("TLS", listen(tls)), ("MTLS", listen(mtls)),
                            ("MUTE", mute.getsockname()[1]), ("FULL", full.getsockname()[1]),
                            ("CA", "ca.pem"), ("OTHER_CA", "other.pem"), ("CERT", "client.pem"), ("KEY", "client.key")):
            print(f"{name}={folder + '/' + value if isinstance(value, str) else value}")
        print("READY", flush=True)
        sys.stdin.read()


main()
