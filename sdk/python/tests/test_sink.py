"""A sink, seen from the pipeline."""
import json

import pytest
from peer import Peer, program

KEEPS = """
class Keeps(Sink):
    in_flight = 2
    def write(self, messages):
        failures = {}
        for index, message in enumerate(messages):
            if message.payload == b"bad":
                failures[index] = ConstraintViolation("it is bad")
            self.log.info("%r", message.payload)
        return failures
    def close(self):
        self.log.info("closed")
run("test", sink=Keeps)
"""


def test_done_and_failed_messages(tmp_path):
    with Peer(program(tmp_path, KEEPS)) as peer:
        assert peer.start("sink") == {"type": "ready", "protocol": 2, "in_flight": 2}
        peer.send("write", batch=1, messages=[{"json": {"id": 1}}, {"data": "bad"}, {}, {"base64": "/w=="}])
        peer.send("write", batch=2, messages=[])
        assert peer.answer() == {"type": "done", "batch": 1, "failed": [{"index": 1, "message": "it is bad", "code": "constraint_violation"}]}
        assert peer.answer() == {"type": "done", "batch": 2}
        assert peer.end() == 0
        assert [json.loads(line)["msg"] for line in peer.log] == ["b'{\"id\":1}'", "b'bad'", "b''", "b'\\xff'", "closed"]


@pytest.mark.parametrize("raised, answer", [
    ("TimedOut('no answer in 5 s')", {"message": "no answer in 5 s", "code": "timeout"}),
    ("KeyError('id')", {"message": "KeyError: 'id'", "code": "invalid_data"}),
    ("OSError(28, 'No space left on device')", {"message": "OSError: [Errno 28] No space left on device", "code": "transient"}),
    ("BrokenPipeError(32, 'Broken pipe')", {"message": "BrokenPipeError: [Errno 32] Broken pipe", "code": "connection_error"}),
    ("Exception()", {"message": "Exception"}),
])
def test_an_exception_fails_the_whole_write(tmp_path, raised, answer):
    with Peer(program(tmp_path, f"""
            class Raises(Sink):
                def write(self, messages):
                    raise {raised}
            run("test", sink=Raises)
            """)) as peer:
        peer.start("sink")
        assert peer.ask("write", batch=1, messages=[{"data": "x"}]) == {"type": "error", "batch": 1, **answer}
        assert peer.ask("write", batch=2, messages=[])["batch"] == 2


def test_print_does_not_reach_the_pipeline_and_input_is_empty(tmp_path):
    with Peer(program(tmp_path, """
            import subprocess
            class Prints(Sink):
                def write(self, messages):
                    print("printed")
                    os.write(1, b"written\\n")
                    subprocess.run(["echo", "of a child"])
                    assert subprocess.run(["cat"], capture_output=True).stdout == b""
                    assert sys.stdin.read() == ""
            run("test", sink=Prints)
            """)) as peer:
        peer.start("sink")
        assert peer.ask("write", batch=1, messages=[{}]) == {"type": "done", "batch": 1}
        assert peer.end() == 0
        assert sorted(peer.log) == ["of a child", "printed", "written"]


def test_protocol_1(tmp_path):
    with Peer(program(tmp_path, KEEPS)) as peer:
        assert peer.start("sink", protocol=None) == {"type": "ready"}
        assert peer.ask("write", messages=[{"data": "good", "metadata": {}}]) == {"type": "done"}
        assert peer.ask("write", messages=[{"data": "bad"}]) == {"type": "error", "message": "it is bad", "code": "constraint_violation"}


@pytest.mark.parametrize("line", [b"garbage\n", b"[]\n", b'{"cmd":1}\n', b'{"cmd":"write","messages":[{"json":\n', b'{"cmd":"write","messages":{}}\n',
                                  b'{"cmd":"write","messages":[1]}\n', b'{"cmd":"write","messages":[{"base64":"?"}]}\n', b"\xff\n"])
def test_a_broken_line_ends_the_program_with_an_error(tmp_path, line):
    with Peer(program(tmp_path, KEEPS)) as peer:
        peer.start("sink")
        peer.send_line(line)
        assert peer.answer()["type"] == "error"
        assert peer.answer() is None
        assert peer.process.wait(10) == 1


def test_blank_lines_and_unknown_commands(tmp_path):
    with Peer(program(tmp_path, KEEPS)) as peer:
        peer.start("sink")
        peer.send_line("\n  \n")
        assert peer.ask("compress", batch=3) == {"type": "error", "message": "unknown command compress", "code": "unknown", "batch": 3}
        assert peer.ask("read", batch=4)["type"] == "error"
        assert peer.end() == 0


def test_a_line_of_32_mib(tmp_path):
    with Peer(program(tmp_path, KEEPS.replace('self.log.info("%r", message.payload)', 'self.log.info("%d", len(message.payload))'))) as peer:
        peer.start("sink")
        assert peer.ask("write", batch=1, messages=[{"data": "x" * (32 << 20)}]) == {"type": "done", "batch": 1}
        assert peer.end() == 0
        assert json.loads(peer.log[0])["msg"] == str(32 << 20)


def test_log_level_and_warnings(tmp_path):
    text = """
        import warnings
        class Logs(Sink):
            def write(self, messages):
                self.log.debug("fine")
                self.log.warning("odd %d", 7)
                warnings.warn("old")
                try:
                    1 / 0
                except ZeroDivisionError:
                    self.log.exception("failed")
        run("test", sink=Logs)
        """
    with Peer(program(tmp_path, text), {"LOG_LEVEL": "debug"}) as peer:
        peer.start("sink")
        peer.ask("write", batch=1, messages=[])
        assert peer.end() == 0
        lines = [json.loads(line) for line in peer.log]
        assert [line["level"] for line in lines] == ["debug", "warn", "warn", "error"]
        assert lines[1]["msg"] == "odd 7" and lines[3]["msg"].endswith("ZeroDivisionError: division by zero")
    with Peer(program(tmp_path, text), {"LOG_LEVEL": "error"}) as peer:
        peer.start("sink")
        peer.ask("write", batch=1, messages=[])
        assert peer.end() == 0
        assert len(peer.log) == 1
