"""Messages on the wire, out and back."""
import json
from datetime import datetime, timedelta, timezone

import pytest
from dataflow_connector import Message
from dataflow_connector.message import decode_messages, encode


def back(text):
    messages, end = decode_messages(text, 0)
    assert end == len(text)
    return messages


def test_forms_of_payload():
    assert encode(Message({"id": 1, "a": "\u00e9"})) == '{"json":{"id":1,"a":"\u00e9"}}'
    assert encode(Message(None)) == '{"json":null}'
    assert encode(Message(encoded=b'{"n": 1.10}')) == '{"json":{"n": 1.10}}'
    assert encode(Message(encoded='{\n  "n":\r\n 1\n}')) == '{"json":{   "n":   1 }}'
    assert encode(Message(text="a\n\"b\"")) == '{"data":"a\\n\\"b\\""}'
    assert encode(Message(data=b"a\x00")) == '{"data":"a\\u0000"}'
    assert encode(Message(data=b"\xff\x00")) == '{"base64":"/wA="}'
    assert encode(Message()) == "{}"
    assert encode(Message(position=3)) == '{"position":3}'
    assert encode(Message(text="")) == '{"data":""}'


def test_everything_beside_the_payload():
    message = Message(1, key=b"k", headers=[("a", b"x"), ("b", None), ("c", b"\xff")], metadata={"operation": "delete"}, position={"lsn": "0/1"},
                      partition="p", joined=True, timestamp=datetime(2024, 1, 15, 10, 30, 0, 250000, timezone(timedelta(hours=2))))
    assert json.loads(encode(message)) == {
        "json": 1, "position": {"lsn": "0/1"}, "key": "k", "headers": [["a", "x"], ["b", None], ["c", None, "/w=="]], "partition": "p",
        "metadata": {"operation": "delete"}, "timestamp": "2024-01-15T08:30:00.250000Z", "joined": True}
    assert json.loads(encode(Message(key=b"\xff"))) == {"key_base64": "/w=="}
    assert json.loads(encode(Message(timestamp="1969-12-31T23:59:59.123456789Z"))) == {"timestamp": "1969-12-31T23:59:59.123456789Z"}


@pytest.mark.parametrize("message", [Message(float("nan")), Message(float("inf")), Message(object()), Message(timestamp=datetime(2024, 1, 1))])
def test_what_cannot_be_said_is_refused(message):
    with pytest.raises((ValueError, TypeError)):
        encode(message)


def test_a_json_payload_keeps_its_text():
    text = '{"b": 9007199254740993, "a": 1.10, "n": 1e400, "s":"\\u00e9\\ud800"}'
    message, = back('[{"json":' + text + ',"metadata":{"x":1}}]')
    assert message.text == text and message.payload == text.encode()
    assert message.json["b"] == 9007199254740993 and list(message.json) == ["b", "a", "n", "s"]
    assert message.metadata == {"x": 1}
    assert encode(message).startswith('{"json":' + text)


def test_what_comes_in():
    messages = back(' [ {"data":"x\\n"} , {"base64":"/wA=","key":"k"},{},{ "json" : [1 , 2] , "key_base64":"/w==", "new": {"a": "}"} } ]'[1:])
    assert [m.payload for m in messages] == [b"x\n", b"\xff\x00", b"", b"[1 , 2]"]
    assert [m.key for m in messages] == [None, b"k", None, b"\xff"]
    assert messages[3].json == [1, 2]
    assert [m.text for m in back('[{"json": 1.10},{"json":2 },{"json":3.0,"key":"k"}]')] == ["1.10", "2", "3.0"]
    headers, = back('[{"headers":[["a","x"],["b",null],["c",null,"/w=="]],"timestamp":"2024-01-15T10:30:00Z"}]')
    assert headers.headers == [("a", b"x"), ("b", None), ("c", b"\xff")]
    assert headers.timestamp == "2024-01-15T10:30:00Z"
    assert back("[]") == []


@pytest.mark.parametrize("text", ["{}", "[", "[1]", "[{]", "[{}", "[{}{}]", '[{"json"}]', '[{"json":}]', '[{"json":1 2}]', '[{"base64":"?"}]', '[{"json":1}'])
def test_what_is_no_list_of_messages_is_refused(text):
    with pytest.raises((ValueError, IndexError, TypeError)):
        back(text)


def test_payload_text_and_json_of_each_form():
    assert Message({"a": "\ud800"}).payload == b'{"a":"\\ud800"}'
    assert Message(data=b"[1]").json == [1] and Message(data=b"[1]").text == "[1]"
    assert Message(text="7").json == 7
    assert Message().text == "" and Message().payload == b""
    with pytest.raises(ValueError):
        Message(data=b"\xff").text
    with pytest.raises(ValueError):
        Message(text="x").json
    assert "b'x'" in repr(Message(text="x"))
