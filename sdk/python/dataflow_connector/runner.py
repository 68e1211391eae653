"""The program: takes commands from standard input, answers on standard output (docs/connector-protocol.md).

One thread reads the commands and puts them into a queue, so that `cancel` and the end of the input are seen while the connector is
busy; the main thread carries them out in order."""
from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterator, List, NoReturn, Optional, Tuple, Type, get_type_hints

from . import log as _log
from .connector import Connector, Options, Positions, Sink, Source
from .errors import ConfigError, answer_of
from .message import ESCAPED, Message, decode_messages, encode
from .settings import fields_of, read_settings, secrets_of

PROTOCOL = 2
LINE_BYTES = 4 << 20  # a `messages` line is sent when it has so many characters
ORPHAN_SECONDS = 5  # how long the connector may go on when the pipeline is gone

_Command = Dict[str, Any]


class Broken(Exception):
    """The other side does not speak the protocol."""


class Line:
    """The two pipes. `send` may be called from any thread."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._sending = threading.Lock()
        self._arrived = threading.Condition()
        self._queue: Deque[_Command] = deque()
        self.stopping = threading.Event()
        self.on_cancel: Callable[[], None] = lambda: None

    def start(self) -> None:
        threading.Thread(target=self._receive, name="commands", daemon=True).start()

    def send(self, answer: str) -> None:
        data = memoryview((answer + "\n").encode("utf-8", ESCAPED))
        with self._sending:
            while data:
                data = data[os.write(self._answers, data):]

    def answer(self, type: str, **fields: Any) -> None:
        self.send(json.dumps({"type": type, **{name: value for name, value in fields.items() if value is not None}}, separators=(",", ":")))

    def next(self) -> _Command:
        """The next command; the last one is `end`."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._queue)
            return self._queue.popleft()

    def next_ack(self, seconds: float) -> Optional[_Command]:
        """Waits for an `ack`, also one behind reads that wait already. None: none came, or the connector is to stop."""
        with self._arrived:
            self._arrived.wait_for(lambda: self.stopping.is_set() or self._ack(), seconds)
            ack = self._ack()
            if ack:
                self._queue.remove(ack)
            return ack

    def _ack(self) -> Optional[_Command]:
        return next((command for command in self._queue if command["cmd"] == "ack"), None)

    def _receive(self) -> None:
        try:
            for line in self._lines():
                if line.strip():
                    self._received(parse(line))
        except Exception as error:
            self._put({"cmd": "end", "broken": error})
        self._put({"cmd": "end"})
        self._stop()
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    def _lines(self) -> Iterator[bytes]:
        parts: List[bytes] = []
        while True:
            chunk = os.read(self._commands, 1 << 20)
            if not chunk:
                return
            first, *others = chunk.split(b"\n")
            parts.append(first)
            for other in others:
                yield b"".join(parts)
                parts = [other]

    def _received(self, command: _Command) -> None:
        if command["cmd"] == "ping":
            self.answer("pong")
        elif command["cmd"] == "cancel":
            self._stop()
        else:
            self._put(command)

    def _put(self, command: _Command) -> None:
        with self._arrived:
            self._queue.append(command)
            self._arrived.notify()

    def _stop(self) -> None:
        self.stopping.set()
        with self._arrived:
            self._arrived.notify()
        self.on_cancel()


def parse(line: bytes) -> _Command:
    """Broken: not a command. The messages of a write become Messages."""
    text = ""
    try:
        text = str(line, "utf-8")
        at = text.find('"messages":')
        if at < 0 or not text.startswith('{"cmd":"write"'):
            command = json.loads(text)
        else:
            messages, end = decode_messages(text, at + len('"messages":'))
            command = json.loads(text[:at] + '"messages":[]' + text[end:])
            command["messages"] = messages
    except (ValueError, IndexError, TypeError) as error:
        raise Broken(f"a line that is not a command: {error}: {text[:100]}") from None
    if not isinstance(command, dict) or not isinstance(command.get("cmd"), str):
        raise Broken(f"a line that is not a command: {text[:100]}")
    return command


class Program:
    """One run: from init to close."""

    def __init__(self, type_name: str, source: Optional[Type[Source]], sink: Optional[Type[Sink]], title: str, doc: str, line: Line) -> None:
        self._classes: Dict[str, Type[Connector]] = {}
        if source:
            self._classes["source"] = source
        if sink:
            self._classes["sink"] = sink
        self._about = {"title": title or type_name, "doc": doc}
        self._line = line
        self._secrets = _log.Secrets()
        self._connector: Optional[Connector] = None
        self._connected = False
        self._messages: Optional[Iterator[Optional[Message]]] = None
        self._positions: Positions = {}
        self._once = False
        self._plain = False  # protocol 1
        _log.setup(self._secrets)

    def run(self) -> None:
        """Until close or the end of the input."""
        try:
            while True:
                command = self._line.next()
                if command["cmd"] == "end":
                    if "broken" in command:
                        raise command["broken"]
                    break
                if command["cmd"] == "close":
                    self._close()
                    self._line.answer("done")
                    break
                self._carry_out(command)
        finally:
            self._close()

    def _carry_out(self, command: _Command) -> None:
        name, batch = command["cmd"], command.get("batch")
        handler = getattr(self, "_do_" + name, None)
        if handler is None:  # of a later protocol
            self._line.answer("error", message=f"unknown command {name}", code="unknown", batch=batch)
            return
        try:
            handler(command)
        except Exception as error:
            self._failed(error, name, batch)

    def _failed(self, error: Exception, name: str, batch: Any) -> None:
        connector = self._connector
        if connector and not isinstance(error, ConfigError):
            connector.log.debug("%s failed", name, exc_info=error)
        answer = answer_of(error, writing=name == "write")
        answer["message"] = self._secrets.hide(answer["message"])
        if name == "read":
            self._messages = None  # the next read goes on behind the last message that was sent
        if name != "ack":
            self._line.answer("error", batch=batch, **answer)

    def _close(self) -> None:
        connector, self._connector = self._connector, None
        if not connector or not self._connected:
            return
        try:
            if self._messages is not None and hasattr(self._messages, "close"):
                self._messages.close()
            connector.close()
        except Exception as error:
            connector.log.error("close failed", exc_info=error)

    # ---- before data ---------------------------------------------------------------------------------------

    def _do_describe(self, command: _Command) -> None:
        sides = {role: {"fields": [field.describe() for field in fields_of(settings_type(cls))]} for role, cls in self._classes.items()}
        self._line.answer("description", protocol=PROTOCOL, **self._about, **sides)

    def _do_init(self, command: _Command) -> None:
        role, options = command.get("role", ""), command.get("options") or {}
        cls = self._classes.get(role)
        if cls is None:
            raise ConfigError(f"this program is no {role}, only a {' and a '.join(self._classes)}")
        self._plain = options.get("protocol", 1) < PROTOCOL
        settings = read_settings(settings_type(cls), command.get("config") or {})
        self._secrets.add(secrets_of(settings_type(cls), settings))
        self._once = bool(options.get("once"))
        self._positions = saved_positions(options)
        connector = cls(settings, Options(options.get("namespace", ""), options.get("name", ""), self._once, bool(options.get("resumed"))))
        connector.stopping = self._line.stopping
        self._line.on_cancel = connector.cancel
        self._connector = connector
        if self._plain:
            self._line.answer("ready")
        else:
            self._line.answer("ready", protocol=PROTOCOL, in_flight=connector.in_flight if isinstance(connector, (Source, Sink)) else 1,
                              features=["ack"] if isinstance(connector, Source) and cls.ack is not Source.ack else None)  # type: ignore[attr-defined]

    def _do_connect(self, command: _Command) -> None:
        if not self._connector:
            raise Broken("connect before init")
        self._connector.connect()
        self._connected = True
        self._line.answer("ready")

    # ---- a source ------------------------------------------------------------------------------------------

    def _source(self) -> Source:
        if not isinstance(self._connector, Source):
            raise Broken("a source's command, but there is no source")
        return self._connector

    def _do_ack(self, command: _Command) -> None:
        self._source().ack({one.get("partition", ""): one["position"] for one in command["positions"]})

    def _do_read(self, command: _Command) -> None:
        source, batch = self._source(), command.get("batch")
        limit, wait = command.get("limit") or 1000, command.get("wait", 0) / 1000
        deadline = time.monotonic() + (0 if self._once else wait)
        if self._messages is None:
            self._messages = iter(source.read(dict(self._positions)))
        while True:
            sent, end = self._pass_on(self._messages, limit, batch)
            left = deadline - time.monotonic()
            if sent or end or left <= 0 or self._line.stopping.is_set():
                break
            ack = self._line.next_ack(min(left, source.poll_interval))
            if ack:
                self._carry_out(ack)
        self._line.answer("done", batch=batch, end=True if end and not self._plain else None)

    def _pass_on(self, messages: Iterator[Optional[Message]], limit: int, batch: Any) -> Tuple[int, bool]:
        """Sends what is there, at most `limit`. How many it were, and: will there never be more?"""
        lines: List[str] = []
        sent = size = 0
        end = False
        try:
            while sent < limit:
                message = next(messages, self)
                if message is None or message is self:
                    end = message is self
                    break
                assert isinstance(message, Message)
                lines.append(self._encode(message))
                self._positions[message.partition] = message.position
                sent += 1
                size += len(lines[-1])
                if size >= LINE_BYTES:
                    self._flush(lines, batch)
                    size = 0
        finally:  # what was read before an error is read
            self._flush(lines, batch)
        return sent, end

    def _encode(self, message: Message) -> str:
        if not self._plain:
            return encode(message)
        return json.dumps({"type": "message", "data": message.text, "metadata": message.metadata or {}}, ensure_ascii=False)

    def _flush(self, lines: List[str], batch: Any) -> None:
        if not lines:
            return
        if self._plain:
            self._line.send("\n".join(lines))
            self._line.answer("checkpoint", data=json.dumps(self._positions))
        else:
            start = '{"type":"messages",' + ("" if batch is None else f'"batch":{batch},')
            self._line.send(start + '"messages":[' + ",".join(lines) + "]}")
        lines.clear()

    # ---- a sink --------------------------------------------------------------------------------------------

    def _do_write(self, command: _Command) -> None:
        sink = self._connector
        if not isinstance(sink, Sink):
            raise Broken("write, but there is no sink")
        failures = sink.write(command["messages"]) or {}
        if self._plain and failures:
            raise failures[min(failures)]
        failed: List[Dict[str, Any]] = [{"index": index, **answer_of(error, writing=True)} for index, error in sorted(failures.items())]
        for one in failed:
            one["message"] = self._secrets.hide(one["message"])
        self._line.answer("done", batch=command.get("batch"), failed=failed or None)


def settings_type(cls: Type[Connector]) -> Type[Any]:
    """What `settings:` is declared as; None's type: the connector has none."""
    declared: Type[Any] = get_type_hints(cls).get("settings", Any)
    return declared


def saved_positions(options: _Command) -> Positions:
    """Of protocol 2, or of a checkpoint that this program wrote with protocol 1."""
    if options.get("checkpoint"):
        try:
            saved = json.loads(options["checkpoint"])
        except ValueError:
            saved = None
        if not isinstance(saved, dict):
            raise ConfigError("the checkpoint is not one of this connector; checkpointReset makes it begin from the beginning")
        return saved
    return {one.get("partition", ""): one["position"] for one in options.get("positions") or []}


def run(type_name: str, *, source: Optional[Type[Source]] = None, sink: Optional[Type[Sink]] = None, title: str = "",
        doc: str = "") -> NoReturn:
    """What a program `dataflow-connector-<type_name>` consists of. Ends the process.

    Standard input and output are kept for the protocol: `print` goes to standard error, as a log line."""
    if source is None and sink is None:
        raise TypeError("run: a source, a sink or both")
    commands, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin, sys.stdout = open(0, closefd=False), sys.stderr
    if os.isatty(commands):
        sys.exit(f"This is a connector of DataFlow, which starts it for `type: {type_name}`; see docs/connector-protocol.md.")
    line = Line(commands, answers)
    program = Program(type_name, source, sink, title, doc, line)
    line.start()
    code = 0
    try:
        program.run()
    except Broken as error:
        line.answer("error", message=str(error), code="unknown")
        code = 1
    except BrokenPipeError:  # the pipeline is gone
        code = 1
    sys.exit(code)
