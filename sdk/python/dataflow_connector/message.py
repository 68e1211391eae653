"""Messages, and their form on the wire (docs/connector-protocol.md, section 3)."""
from __future__ import annotations

import base64
import json as _json
import re
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

_NOTHING: Any = object()
_encoder = _json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_decoder = _json.JSONDecoder()

# How JSON text becomes bytes: what UTF-8 cannot say is half of a surrogate pair, and its escape in Python is that of JSON.
ESCAPED = "backslashreplace"

Headers = Sequence[Tuple[str, Optional[bytes]]]


class Message:
    """A payload and what belongs to it. Give it one of
    `json`: a value (dict, list, ...);  `encoded`: JSON text that goes out as it is, which is faster and keeps all digits;
    `text`;  `data`: bytes;  none of them: an empty payload (a tombstone).

    Whatever it was made of, `payload` is its bytes, `text` the same as text, and `json` the value."""

    __slots__ = ("_json", "_text", "_data", "_is_json", "key", "headers", "metadata", "timestamp", "position", "partition", "joined")

    def __init__(self, json: Any = _NOTHING, *, encoded: Union[str, bytes, None] = None, text: Optional[str] = None,
                 data: Optional[bytes] = None, key: Optional[bytes] = None, headers: Headers = (), metadata: Optional[Dict[str, Any]] = None,
                 timestamp: Union[datetime, str, None] = None, position: Any = None, partition: str = "", joined: bool = False) -> None:
        self._json = json
        self._text = text
        self._data = data
        self._is_json = json is not _NOTHING
        if encoded is not None:
            self._is_json = True
            self._text = encoded if isinstance(encoded, str) else str(encoded, "utf-8")
        self.key = key
        self.headers = headers
        self.metadata = metadata
        self.timestamp = timestamp
        self.position = position  # where reading goes on behind it
        self.partition = partition  # which of several independent streams the position belongs to
        self.joined = joined  # the next message has the same position

    @property
    def payload(self) -> bytes:
        if self._data is not None:
            return self._data
        return self.text.encode("utf-8", ESCAPED if self._is_json else "surrogatepass")

    @property
    def text(self) -> str:
        """Also of a JSON payload, digit for digit as it came. UnicodeDecodeError (a ValueError): the payload is not UTF-8."""
        if self._text is None:
            if self._data is not None:
                self._text = str(self._data, "utf-8")
            else:
                self._text = _dumps(self._json) if self._is_json else ""
        return self._text

    @property
    def json(self) -> Any:
        """ValueError: the payload is not JSON. Fractions are Python's floats; `text` has all their digits."""
        if self._json is _NOTHING:
            self._json = _decoder.decode(self.text)
        return self._json

    def __repr__(self) -> str:
        return f"Message({self.payload[:100]!r}, position={self.position!r})"


def _dumps(value: Any) -> str:
    return _encoder.encode(value)


# ---- out -----------------------------------------------------------------------------------------------------

def encode(message: Message) -> str:
    """One object of a `messages` line. ValueError, TypeError: something in it cannot be said in JSON."""
    if message._is_json:
        line = '"json":' + message.text
        if "\n" in line or "\r" in line:  # blanks between tokens, in JSON that is laid out for people
            line = line.replace("\n", " ").replace("\r", " ")
    elif message._data is not None:
        line = _text_or_base64("data", "base64", message._data)
    elif message._text is not None:
        line = '"data":' + _dumps(message._text)
    else:
        line = ""
    position = message.position
    if position is not None:
        line += ',"position":' + (str(position) if type(position) is int else _dumps(position))
    if message.key is not None:
        line += "," + _text_or_base64("key", "key_base64", message.key)
    if message.headers or message.metadata or message.timestamp is not None or message.partition or message.joined:
        line += "," + _dumps(_extras(message))[1:-1]
    return "{" + line.lstrip(",") + "}"


def _text_or_base64(as_text: str, as_base64: str, data: bytes) -> str:
    """A member of the object, in the form that the bytes allow."""
    try:
        return f'"{as_text}":{_dumps(str(data, "utf-8"))}'
    except UnicodeDecodeError:
        return f'"{as_base64}":"{base64.b64encode(data).decode("ascii")}"'


def _extras(message: Message) -> Dict[str, Any]:
    extras: Dict[str, Any] = {}
    if message.headers:
        extras["headers"] = [_header(name, value) for name, value in message.headers]
    if message.metadata:
        extras["metadata"] = message.metadata
    if message.timestamp is not None:
        extras["timestamp"] = _timestamp(message.timestamp)
    if message.partition:
        extras["partition"] = message.partition
    if message.joined:
        extras["joined"] = True
    return extras


def _header(name: str, value: Optional[bytes]) -> List[Optional[str]]:
    if value is None:
        return [name, None]
    try:
        return [name, str(value, "utf-8")]
    except UnicodeDecodeError:
        return [name, None, base64.b64encode(value).decode("ascii")]


def _timestamp(at: Union[datetime, str]) -> str:
    if isinstance(at, str):
        return at
    if at.tzinfo is None:
        raise ValueError(f"timestamp {at} has no time zone; give it one, such as timezone.utc")
    return at.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"


# ---- in ------------------------------------------------------------------------------------------------------

_BLANKS = re.compile(r"[ \t\r\n]*")
_FRACTION = re.compile(r"\.(\d+)")


_MOST = '{"json":'  # how most messages begin


def _skip(line: str, at: int) -> int:
    return _BLANKS.match(line, at).end() if line[at] in " \t\r\n" else at  # type: ignore[union-attr]


def decode_messages(line: str, at: int) -> Tuple[List[Message], int]:
    """The list that begins at line[at], and where it ends. By hand and not with one json.loads, so that a JSON payload keeps its text.
    ValueError."""
    messages: List[Message] = []
    if line[at] != "[":
        raise ValueError("messages is not a list")
    at = _skip(line, at + 1)
    while line[at] != "]":
        message, at = _decode(line, at)
        messages.append(message)
        at = _skip(line, at)
        if line[at] == ",":
            at = _skip(line, at + 1)
        elif line[at] != "]":
            raise ValueError("messages: , or ] is missing")
    return messages, at + 1


def _decode(line: str, at: int) -> Tuple[Message, int]:
    message = Message()
    scan = _decoder.raw_decode
    if line.startswith(_MOST, at):
        begin = _skip(line, at + len(_MOST))
        value, end = scan(line, begin)
        if line[end] == "}":
            message._is_json, message._json, message._text = True, value, line[begin:end]
            return message, end + 1
    if line[at] != "{":
        raise ValueError("a message is not an object")
    while line[at] != "}":
        at = _skip(line, at + 1)
        if line[at] == "}":
            break
        name, at = scan(line, at)
        at = _skip(line, at)
        if line[at] != ":":
            raise ValueError("a message: a colon is missing")
        begin = _skip(line, at + 1)
        value, end = scan(line, begin)
        if name == "json":
            message._is_json, message._json, message._text = True, value, line[begin:end]
        elif name in _MEMBERS:
            _MEMBERS[name](message, value)
        at = _skip(line, end)
        if line[at] not in ",}":
            raise ValueError("a message: , or } is missing")
    return message, at + 1


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _decode_header(header: Sequence[Any]) -> Tuple[str, Optional[bytes]]:
    if len(header) > 2:
        return header[0], _bytes(header[2])
    return header[0], None if header[1] is None else header[1].encode("utf-8", "surrogatepass")


def _setter(attribute: str, make: Any = lambda value: value) -> Any:
    return lambda message, value: setattr(message, attribute, make(value))


_MEMBERS = {
    "data": _setter("_text"),
    "base64": _setter("_data", _bytes),
    "key": _setter("key", lambda value: value.encode("utf-8", "surrogatepass")),
    "key_base64": _setter("key", _bytes),
    "headers": _setter("headers", lambda value: [_decode_header(header) for header in value]),
    "metadata": _setter("metadata"),
    "timestamp": _setter("timestamp"),
}
