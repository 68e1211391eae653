"""A TCP proxy that misbehaves on demand: between a pipeline and its server it can cut, reset, delay, stall and refuse.

    with Proxy(("127.0.0.1", 5432)) as proxy:
        ... connect to ("127.0.0.1", proxy.port) ...
        proxy.cut()                  # close every connection now
        proxy.reset()                # the same with RST
        proxy.refuse = True          # new connections are closed at once
        proxy.stall.set()            # bytes stop flowing, connections stay open; .clear() goes on
        proxy.delay = 0.05           # seconds before each piece is passed on
        proxy.cut_after = 10_000     # bytes from client to server after which the connection is cut (None: never), once
        proxy.cut_after_answer = 500 # bytes from server to client, likewise
        proxy.connections            # how many were accepted so far
"""
import socket
import struct
import threading
import time


class Proxy:
    def __init__(self, target):
        self.target = target
        self.refuse = False
        self.stall = threading.Event()
        self.delay = 0
        self.cut_after = self.cut_after_answer = None
        self.connections = 0
        self._pairs, self._lock, self._closed = set(), threading.Lock(), False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closed = True
        self._listener.close()
        self.cut()

    def _accept(self):
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(self.target, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            for source, sink, limit in ((client, server, "cut_after"), (server, client, "cut_after_answer")):
                threading.Thread(target=self._pump, args=(pair, source, sink, limit), daemon=True).start()

    def _pump(self, pair, source, sink, limit):
        passed = 0
        try:
            while data := source.recv(65536):
                while self.stall.is_set() and pair in self._pairs:
                    time.sleep(0.01)
                if self.delay:
                    time.sleep(self.delay)
                left = getattr(self, limit)
                if left is not None and passed + len(data) > left:
                    sink.sendall(data[:left - passed])
                    setattr(self, limit, None)
                    break
                sink.sendall(data)
                passed += len(data)
        except OSError:
            pass
        self._end(pair)

    def _end(self, pair, hard=False):
        with self._lock:
            self._pairs.discard(pair)
        for s in pair:
            try:
                if hard:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # A thread that is within recv holds the connection open beyond close; this wakes it.
                s.shutdown(socket.SHUT_RD if hard else socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def cut(self):
        for pair in list(self._pairs):
            self._end(pair)

    def reset(self):
        for pair in list(self._pairs):
            self._end(pair, hard=True)
