"""A port for a program that must be told one. Where `:0` can be said to it, say that."""
import random
import socket

given = set()


def free_port():
    """Below those that the kernel gives to connections and to `:0` (net.ipv4.ip_local_port_range, from 32768), and above those of
    test/services: nobody else takes it before the program does. Never the same twice."""
    while True:
        port = random.randrange(20000, 32000)
        try:
            with socket.socket() as s:
                s.bind(("", port))
        except OSError:
            continue
        if port not in given:
            given.add(port)
            return port
