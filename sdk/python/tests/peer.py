"""The pipeline's side of the protocol, as a test double: starts a program, sends commands, reads answers within a time limit."""
import json
import os
import pathlib
import queue
import subprocess
import sys
import textwrap
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1]
KV = ROOT / "examples/dataflow-connector-kv"
SECONDS = 10


class Peer:
    def __init__(self, program, env=None):
        self.process = subprocess.Popen([sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **(env or {})})
        self.lines = queue.Queue()
        self.log = []
        self.threads = [threading.Thread(target=self._read, daemon=True), threading.Thread(target=self._read_log, daemon=True)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(b"")

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.decode().rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def send_line(self, line):
        self.process.stdin.write(line if isinstance(line, bytes) else line.encode())
        self.process.stdin.flush()

    def send(self, cmd, **fields):
        self.send_line(json.dumps({"cmd": cmd, **fields}, separators=(",", ":")) + "\n")

    def answer(self, seconds=SECONDS):
        """The next answer; None when the program closed its output."""
        line = self.lines.get(timeout=seconds)
        return json.loads(line) if line else None

    def ask(self, cmd, **fields):
        self.send(cmd, **fields)
        return self.answer()

    def start(self, role, config=None, protocol=2, **options):
        """init and connect; the answer to init."""
        ready = self.ask("init", role=role, type="test", config=config or {}, options=dict(options, **({"protocol": protocol} if protocol else {})))
        if ready["type"] == "ready":
            assert self.ask("connect") == {"type": "ready"}
        return ready

    def read(self, batch=1, limit=1000, wait=0):
        """(messages, the answer that ended them)."""
        self.send("read", batch=batch, limit=limit, wait=wait)
        return self.messages()

    def messages(self):
        messages = []
        while True:
            answer = self.answer()
            if answer["type"] != "messages":
                return messages, answer
            messages += answer["messages"]

    def end(self):
        """Close; the exit code."""
        assert self.ask("close") == {"type": "done"}
        assert self.answer() is None
        code = self.process.wait(SECONDS)
        self.threads[1].join(SECONDS)
        return code

    def eof(self):
        self.process.stdin.close()
        code = self.process.wait(SECONDS)
        self.threads[1].join(SECONDS)
        return code


def program(folder, text):
    """A connector's program with these classes: `from dataflow_connector import *` is there."""
    path = folder / "dataflow-connector-test"
    path.write_text("from dataflow_connector import *\nfrom dataclasses import dataclass\nimport os, sys, time\n" + textwrap.dedent(text))
    return path
