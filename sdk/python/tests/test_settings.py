"""Settings: declared once, described, read and checked."""
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Dict, List, Optional

import pytest
from dataflow_connector import ConfigError, setting
from dataflow_connector.settings import fields_of, format_duration, parse_duration, read_settings, secrets_of
from peer import Peer, program


@dataclass
class All:
    address: str = setting(doc="HOST:PORT.", example="localhost:6379")
    password: Optional[str] = setting(None, secret=True)
    poll_interval: timedelta = setting(timedelta(seconds=1))
    batch: int = setting(100, min=1, max=1000)
    mode: str = setting("fast", values=["fast", "safe"])
    follow: bool = False
    hosts: List[str] = setting([], secret=True)
    labels: Dict[str, str] = setting({}, name="tags")
    filter: Any = None


def test_described():
    assert [field.describe() for field in fields_of(All)] == [
        {"name": "address", "type": "string", "required": True, "doc": "HOST:PORT.", "example": "localhost:6379"},
        {"name": "password", "type": "string", "secret": True},
        {"name": "pollInterval", "type": "duration", "default": "1s"},
        {"name": "batch", "type": "int64", "default": "100", "min": 1, "max": 1000},
        {"name": "mode", "type": "string", "default": "fast", "values": ["fast", "safe"]},
        {"name": "follow", "type": "bool"},
        {"name": "hosts", "type": "strings", "secret": True},
        {"name": "tags", "type": "map"},
        {"name": "filter", "type": "json"}]


def test_read():
    read = read_settings(All, {"batchSize": 7, "address": "a:1", "pollInterval": "1m30s", "hosts": ["x"], "tags": {"a": "b"}, "filter": [1], "password": None})
    assert read == All("a:1", None, timedelta(seconds=90), 100, "fast", False, ["x"], {"a": "b"}, [1])
    assert read_settings(All, {"address": "a:1"}).labels is not read_settings(All, {"address": "a:1"}).labels


@pytest.mark.parametrize("config, text", [
    ({}, "setting address is required"),
    ({"address": ""}, "setting address: empty"),
    ({"address": 1}, "setting address: not a text (1)"),
    ({"address": "a", "password": 7}, "setting password: not a text"),
    ({"address": "a", "batch": True}, "setting batch: not a whole number"),
    ({"address": "a", "batch": 1 << 63}, "setting batch: not a whole number"),
    ({"address": "a", "batch": 0}, "setting batch: less than 1 (0)"),
    ({"address": "a", "batch": 1001}, "setting batch: more than 1000"),
    ({"address": "a", "mode": "slow"}, "setting mode: not one of fast, safe ('slow')"),
    ({"address": "a", "follow": "yes"}, "setting follow: not true or false"),
    ({"address": "a", "pollInterval": "soon"}, "setting pollInterval: not a duration"),
    ({"address": "a", "pollInterval": 5}, "setting pollInterval: not a duration"),
    ({"address": "a", "hosts": "x"}, "setting hosts: not a list of texts"),
    ({"address": "a", "tags": []}, "setting tags: not a map"),
])
def test_wrong_settings_are_named(config, text):
    with pytest.raises(ConfigError) as caught:
        read_settings(All, config)
    assert str(caught.value).startswith(text)


def test_a_wrong_secret_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        read_settings(All, {"address": "a", "password": 123456})
    assert "123456" not in str(caught.value)


def test_a_type_that_no_setting_has():
    @dataclass
    class Wrong:
        ratio: float = 0.5
    with pytest.raises(TypeError):
        fields_of(Wrong)
    with pytest.raises(TypeError):
        fields_of(int)


def test_secrets():
    assert secrets_of(All, All("a", "s3cret", hosts=["h1", "h2"])) == ("s3cret", "h1", "h2")


@pytest.mark.parametrize("text, seconds", [("1m30s", 90), ("1.5h", 5400), ("250ms", 0.25), ("0s", 0), ("2d", 172800)])
def test_durations(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1s ", "-1s", "1x"])
def test_no_durations(text):
    with pytest.raises(ValueError):
        parse_duration(text)


SECRET = """
@dataclass
class Settings:
    password: str = setting(secret=True)
class Leaks(Sink):
    settings: Settings
    def connect(self):
        self.log.warning("password is %s", self.settings.password)
    def write(self, messages):
        if not messages:
            raise AuthFailed("refused: " + self.settings.password)
        return {0: InvalidData(self.settings.password + " is wrong")}
run("test", sink=Leaks, title="Leaks", doc="It leaks.")
"""


def test_a_secret_is_neither_in_log_lines_nor_in_errors(tmp_path):
    with Peer(program(tmp_path, SECRET)) as peer:
        peer.start("sink", {"password": "hunter2"})
        assert peer.ask("write", batch=1, messages=[])["message"] == "refused: ***"
        assert peer.ask("write", batch=2, messages=[{}])["failed"][0]["message"] == "*** is wrong"
        assert peer.end() == 0
        assert [json.loads(line)["msg"] for line in peer.log] == ["password is ***"]


def test_describe_and_wrong_settings(tmp_path):
    with Peer(program(tmp_path, SECRET)) as peer:
        assert peer.ask("describe") == {"type": "description", "protocol": 2, "title": "Leaks", "doc": "It leaks.",
                                        "sink": {"fields": [{"name": "password", "type": "string", "required": True, "secret": True}]}}
        assert peer.eof() == 0
    with Peer(program(tmp_path, SECRET)) as peer:
        assert peer.start("sink", {}) == {"type": "error", "message": "setting password is required", "code": "config"}
        assert peer.start("source", {})["message"] == "this program is no source, only a sink"
        assert peer.ask("connect")["type"] == "error"
        assert peer.end() == 0
