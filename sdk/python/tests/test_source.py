"""A source, seen from the pipeline."""
import time

from peer import Peer, program

NUMBERS = """
class Numbers(Source):
    def read(self, positions):
        for n in range(positions.get("", -1) + 1, 10):
            yield Message({"n": n}, position=n)
run("test", source=Numbers)
"""


def test_reads_are_the_credit_and_the_end_is_told(tmp_path):
    with Peer(program(tmp_path, NUMBERS)) as peer:
        assert peer.start("source") == {"type": "ready", "protocol": 2, "in_flight": 4}
        messages, done = peer.read(batch=7, limit=4)
        assert messages == [{"json": {"n": n}, "position": n} for n in range(4)]
        assert done == {"type": "done", "batch": 7}
        messages, done = peer.read(batch=8, limit=100)
        assert [m["position"] for m in messages] == [4, 5, 6, 7, 8, 9]
        assert done == {"type": "done", "batch": 8, "end": True}
        assert peer.read(batch=9) == ([], {"type": "done", "batch": 9, "end": True})
        assert peer.end() == 0


def test_a_batch_is_one_line(tmp_path):
    with Peer(program(tmp_path, NUMBERS)) as peer:
        peer.start("source")
        peer.send("read", batch=1, limit=10, wait=0)
        assert len(peer.answer()["messages"]) == 10
        assert peer.answer()["type"] == "done"


def test_reads_ahead_are_answered_in_order(tmp_path):
    with Peer(program(tmp_path, NUMBERS)) as peer:
        peer.start("source")
        for batch in (1, 2, 3):
            peer.send("read", batch=batch, limit=4, wait=0)
        seen = [peer.messages() for _ in range(3)]
        assert [[m["position"] for m in messages] for messages, _ in seen] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert [done["batch"] for _, done in seen] == [1, 2, 3]


def test_reading_goes_on_behind_the_saved_position(tmp_path):
    with Peer(program(tmp_path, NUMBERS)) as peer:
        peer.start("source", positions=[{"partition": "", "position": 6}])
        assert [m["position"] for m in peer.read()[0]] == [7, 8, 9]


FOLLOWS = """
class Follows(Source):
    poll_interval = 0.01
    def read(self, positions):
        self.log.info("reads")
        while True:
            if os.path.exists(os.environ["FOLLOWED"]):
                os.unlink(os.environ["FOLLOWED"])
                yield Message(text="new", position=1)
            yield None
    def ack(self, positions):
        self.log.info("acked %r", positions)
    def cancel(self):
        self.log.info("canceled")
    def close(self):
        self.log.info("closed")
run("test", source=Follows)
"""


def test_nothing_new_waits_as_long_as_it_may(tmp_path):
    with Peer(program(tmp_path, FOLLOWS), {"FOLLOWED": str(tmp_path / "new")}) as peer:
        assert peer.start("source")["features"] == ["ack"]
        started = time.monotonic()
        assert peer.read(wait=300) == ([], {"type": "done", "batch": 1})
        assert 0.25 < time.monotonic() - started < 5


def test_what_comes_while_a_read_waits_is_sent_at_once(tmp_path):
    with Peer(program(tmp_path, FOLLOWS), {"FOLLOWED": str(tmp_path / "new")}) as peer:
        peer.start("source")
        peer.send("read", batch=1, limit=10, wait=60000)
        time.sleep(0.1)
        (tmp_path / "new").touch()
        assert peer.messages() == ([{"data": "new", "position": 1}], {"type": "done", "batch": 1})


def test_a_run_with_an_end_does_not_wait(tmp_path):
    with Peer(program(tmp_path, FOLLOWS), {"FOLLOWED": str(tmp_path / "new")}) as peer:
        peer.start("source", once=True)
        assert peer.read(wait=60000) == ([], {"type": "done", "batch": 1})


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_acks_are_told_while_reads_wait(tmp_path):
    with Peer(program(tmp_path, FOLLOWS.replace("0.01", "60")), {"FOLLOWED": str(tmp_path / "new")}) as peer:
        peer.start("source")
        for batch in (1, 2, 3):
            peer.send("read", batch=batch, limit=10, wait=60000)
        peer.send("ack", positions=[{"partition": "", "position": 5}, {"partition": "b", "position": [1]}])
        wait_for(lambda: any("acked {'': 5, 'b': [1]}" in line for line in peer.log))


def test_cancel_ends_reads_that_wait_and_close_follows(tmp_path):
    with Peer(program(tmp_path, FOLLOWS.replace("0.01", "60")), {"FOLLOWED": str(tmp_path / "new")}) as peer:
        peer.start("source")
        for batch in (1, 2):
            peer.send("read", batch=batch, limit=10, wait=60000)
        peer.send("cancel")
        assert [peer.answer()["batch"] for _ in range(2)] == [1, 2]
        assert peer.end() == 0
        assert any("canceled" in line for line in peer.log) and any("closed" in line for line in peer.log)


def test_the_end_of_the_input_closes_and_exits(tmp_path):
    with Peer(program(tmp_path, FOLLOWS), {"FOLLOWED": str(tmp_path / "new")}) as peer:
        peer.start("source")
        peer.send("read", batch=1, limit=10, wait=60000)
        assert peer.eof() == 0
        assert any("closed" in line for line in peer.log)


def test_ping_is_answered_while_a_read_waits(tmp_path):
    with Peer(program(tmp_path, FOLLOWS), {"FOLLOWED": str(tmp_path / "new")}) as peer:
        peer.start("source")
        peer.send("read", batch=1, limit=10, wait=60000)
        assert peer.ask("ping") == {"type": "pong"}


def test_a_program_that_is_stuck_does_not_outlive_the_pipeline(tmp_path):
    with Peer(program(tmp_path, """
            class Stuck(Source):
                def read(self, positions):
                    time.sleep(1000)
                    yield None
            run("test", source=Stuck)
            """)) as peer:
        peer.start("source")
        peer.send("read", batch=1, limit=10, wait=0)
        assert peer.eof() == 1


FAILS = """
class Fails(Source):
    tries = 0
    def read(self, positions):
        self.tries += 1
        yield Message({}, position=positions.get("", 0) + 1)
        raise [ConnectionFailed("server is gone"), ConnectionResetError(104, "reset"), ValueError("odd"),
               ConnectorError("busy", code="E17", retryable=True)][self.tries - 1]
run("test", source=Fails)
"""


def test_errors_have_a_code_and_reading_goes_on_behind_what_was_sent(tmp_path):
    with Peer(program(tmp_path, FAILS)) as peer:
        peer.start("source")
        answers = [peer.read(batch) for batch in range(4)]
        assert [messages[0]["position"] for messages, _ in answers] == [1, 2, 3, 4]
        assert [answer for _, answer in answers] == [
            {"type": "error", "batch": 0, "message": "server is gone", "code": "connection_error"},
            {"type": "error", "batch": 1, "message": "ConnectionResetError: [Errno 104] reset", "code": "connection_error"},
            {"type": "error", "batch": 2, "message": "ValueError: odd"},
            {"type": "error", "batch": 3, "message": "busy", "code": "E17", "retryable": True}]


def test_a_failed_connect_is_an_error(tmp_path):
    with Peer(program(tmp_path, """
            class Refused(Source):
                def connect(self):
                    raise AuthFailed("no such user")
                def close(self):
                    self.log.error("closed, but it was not connected")
            run("test", source=Refused)
            """)) as peer:
        assert peer.ask("init", role="source", options={"protocol": 2})["type"] == "ready"
        assert peer.ask("connect") == {"type": "error", "message": "no such user", "code": "auth_error"}
        assert peer.end() == 0
        assert peer.log == []


def test_long_batches_are_several_lines(tmp_path):
    with Peer(program(tmp_path, """
            class Long(Source):
                def read(self, positions):
                    for n in range(10):
                        yield Message(text="x" * (1 << 20), position=n)
            run("test", source=Long)
            """)) as peer:
        peer.start("source")
        peer.send("read", batch=1, limit=100, wait=0)
        counts = []
        while True:
            answer = peer.answer()
            if answer["type"] == "done":
                break
            counts.append(len(answer["messages"]))
        assert sum(counts) == 10 and max(counts) <= 5


def test_protocol_1(tmp_path):
    with Peer(program(tmp_path, NUMBERS)) as peer:
        assert peer.start("source", protocol=None) == {"type": "ready"}
        assert peer.ask("read", limit=2) == {"type": "message", "data": '{"n":0}', "metadata": {}}
        assert peer.answer() == {"type": "message", "data": '{"n":1}', "metadata": {}}
        checkpoint = peer.answer()
        assert checkpoint["type"] == "checkpoint"
        assert peer.answer() == {"type": "done"}
    with Peer(program(tmp_path, NUMBERS)) as peer:
        peer.start("source", protocol=None, checkpoint=checkpoint["data"])
        assert peer.ask("read", limit=1)["data"] == '{"n":2}'


def test_a_foreign_checkpoint_is_refused(tmp_path):
    with Peer(program(tmp_path, NUMBERS)) as peer:
        error = peer.start("source", protocol=None, checkpoint="42")
        assert error["code"] == "config" and "checkpointReset" in error["message"]
