"""`processor` as a pod runs it: the volume that the kubelet mounts, Secrets that change, last words, what the environment says."""
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

from cli import DATAFLOW, ROOT, CliTest

sys.path.insert(0, str(ROOT / "test"))
from ports import free_port  # noqa: E402
from waiting import wait_until  # noqa: E402

SECRET = "kanarienvogel"  # part of every value; nobody may ever say it


class PodTest(CliTest):
    def setUp(self):
        super().setUp()
        self.volume = self.dir / "volume"
        self.volume.mkdir()
        self.written = 0
        self.port = free_port()
        self.processes = []
        self.addCleanup(self.end_all)
        self.words = self.write("termination-log", "")

    def end_all(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def mount(self, spec, **secrets):
        """As the kubelet writes a projected volume: a new folder, to which the link ..data switches in one step."""
        self.written += 1
        fresh = self.volume / f"..version_{self.written}"
        fresh.mkdir()
        (fresh / "spec.json").write_text(json.dumps(spec))
        for path, value in secrets.items():
            secret, key = path.split("__")
            (fresh / "secrets" / secret).mkdir(parents=True, exist_ok=True)
            (fresh / "secrets" / secret / key).write_bytes(value if isinstance(value, bytes) else value.encode())
        (self.volume / "..data_tmp").symlink_to(fresh.name)
        os.rename(self.volume / "..data_tmp", self.volume / "..data")
        for name in ("spec.json", "secrets"):
            if not (self.volume / name).is_symlink():
                (self.volume / name).symlink_to(f"..data/{name}")

    def spec(self, source=None, sink=None, **more):
        return {"source": source or {"type": "generate", "config": {"rate": 500, "template": '{"n": ${counter}}'}},
                "sink": sink or {"type": "sqlite", "config": {"path": str(self.dir / "out.db"), "autoCreateTable": True,
                                                              "tableSecretRef": {"name": "db", "key": "table"}}},
                "checkpointSaveInterval": "1s", **more}

    def start(self, *args, **env):
        log = self.dir / f"log-{len(self.processes)}"
        with open(log, "w") as out:
            process = subprocess.Popen([DATAFLOW, "processor", f"--spec-path={self.volume}/spec.json", "--namespace=team", "--name=flow",
                                        f"--secrets={self.volume}/secrets", f"--metrics=127.0.0.1:{self.port}", f"--state-dir={self.dir}/state",
                                        f"--termination-log={self.words}", "--secrets-interval=1", *args], stderr=out, env=self.env(**env))
        process.log = log.read_text
        self.processes.append(process)
        return process

    def run_once(self, *args, **env):
        process = self.start("--once", *args, **env)
        process.wait(30)
        return process

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        return process.wait(20)

    def last_words(self):
        return json.loads(self.words.read_text())

    def fetch(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""

    def samples(self):
        """Every sample of a counter or a histogram: {name with labels: value}."""
        text = self.fetch("/metrics")[1]
        counters = {m[1] for m in re.finditer(r"^# TYPE (\S+) (?:counter|histogram)$", text, re.M)}
        found = {}
        for line in text.splitlines():
            name = re.match(r"[a-z0-9_]+", line)
            if name and (name[0] in counters or re.sub(r"_(bucket|sum|count)$", "", name[0]) in counters):
                found[line.rsplit(" ", 1)[0]] = float(line.rsplit(" ", 1)[1])
        return found

    def rows(self, table):
        with sqlite3.connect(f"file:{self.dir}/out.db?mode=ro", uri=True, timeout=10) as db:
            try:
                return [n for n, in db.execute(f'SELECT n FROM "{table}" ORDER BY rowid')]
            except sqlite3.OperationalError:
                return []

    def there(self, table, more_than=0):
        return (self.dir / "out.db").exists() and len(self.rows(table)) > more_than


class Rotation(PodTest):
    def test_goes_on_with_the_new_value_and_counts_on(self):
        self.mount(self.spec(transformations=[{"type": "filter", "config": {"condition": "$.n"}}]), db__table="a" + SECRET)
        process = self.start()
        wait_until(lambda: self.there("a" + SECRET, 300), 20, process.log)
        before, ready = self.samples(), []
        self.mount(self.spec(), db__table="b" + SECRET + "\n")
        end = time.monotonic() + 15
        while not self.there("b" + SECRET, 300):
            self.assertLess(time.monotonic(), end, process.log())
            now = self.samples()
            back = {name: (before[name], now.get(name)) for name in before if now.get(name, -1) < before[name]}
            self.assertEqual(back, {}, "no counter goes back, and none is gone")
            before = now
            ready.append((self.fetch("/readyz")[0], self.fetch("/livez")[0]))
        self.assertEqual(set(ready), {(200, 200)}, "a pod that was ready stays so")
        self.assertEqual(self.end(process), 0, process.log())
        first, second = self.rows("a" + SECRET), self.rows("b" + SECRET)
        self.assertEqual(first + second, list(range(1, len(first + second) + 1)), "nothing twice, nothing missing")
        self.assertIn('Secret \\"db\\", key \\"table\\" has changed', process.log())
        words = self.last_words()
        self.assertEqual((words["exit"], words["processed"], words["errors"]), (0, len(first + second), 0))
        self.assertNotIn(SECRET, process.log() + self.words.read_text())

    def test_again_and_again(self):
        self.mount(self.spec(), db__table="t1")
        process = self.start()
        for i in range(1, 4):
            wait_until(lambda: self.there(f"t{i}", 50), 20, process.log)
            self.mount(self.spec(), db__table=f"t{i + 1}")
        wait_until(lambda: self.there("t4", 50), 20, process.log)
        self.assertEqual(self.end(process), 0, process.log())
        rows = [n for i in range(1, 5) for n in self.rows(f"t{i}")]
        self.assertEqual(rows, list(range(1, len(rows) + 1)))
        self.assertEqual(self.last_words()["processed"], len(rows))

    def test_a_value_that_cannot_be_used_changes_nothing(self):
        self.mount(self.spec(), db__table="a")
        process = self.start()
        wait_until(lambda: self.there("a"), 20, process.log)
        for value, why in ((b"", "the value is empty"), (b"\n", "the value is empty"), (b"a\0b", "a NUL byte"), (b"\xff", "not UTF-8"), (None, "not found")):
            self.mount(self.spec(), **({} if value is None else {"db__table": value}))
            wait_until(lambda: why in process.log(), 10, f"a warning: {why}")
            last = process.log().splitlines()[-1]
            for text in ("the flow goes on with the old value", "spec.sink.config.tableSecretRef", 'Secret \\"db\\"', 'key \\"table\\"', '"level":"warn"'):
                self.assertIn(text, last)
            seen = len(self.rows("a"))
            wait_until(lambda: self.there("a", seen + 100), 10, "it still writes")
        lines = len(process.log().splitlines())
        time.sleep(2.5)
        self.assertEqual(len(process.log().splitlines()), lines, "one trouble is told once")
        self.mount(self.spec(), db__table="b")
        wait_until(lambda: self.there("b"), 10, process.log)
        self.assertEqual(self.end(process), 0, process.log())

    def test_only_values_count(self):
        """A new version of the volume with the same values, and a spec that only a new pod shall have."""
        self.mount(self.spec(), db__table="a")
        process = self.start()
        wait_until(lambda: self.there("a"), 20, process.log)
        other = self.spec()
        other["sink"]["config"]["path"] = str(self.dir / "other.db")
        self.mount(other, db__table="a\n", db__more="x")
        time.sleep(2.5)
        self.assertNotIn("has changed", process.log())
        self.mount(other, db__table="b")
        wait_until(lambda: self.there("b"), 10, process.log)
        self.assertFalse((self.dir / "other.db").exists())
        self.assertEqual(self.end(process), 0, process.log())

    def test_a_run_with_an_end_that_would_begin_anew(self):
        source = {"type": "generate", "config": {"rate": 100, "count": 350, "template": '{"n": ${counter}}'}}
        self.mount(self.spec(source, checkpointPersistence=False), db__table="a")
        process = self.start("--once")
        wait_until(lambda: self.there("a"), 20, process.log)
        self.mount(self.spec(source, checkpointPersistence=False), db__table="b")
        self.assertEqual(process.wait(20), 0, process.log())
        self.assertEqual(self.rows("a"), list(range(1, 351)))

    def test_stop_and_change_at_once(self):
        for _ in range(3):
            self.mount(self.spec(), db__table="a")
            process = self.start()
            wait_until(lambda: self.fetch("/readyz")[0] == 200, 20, process.log)
            self.mount(self.spec(), db__table="b")
            time.sleep(0.9)
            self.assertEqual(self.end(process), 0, process.log())
        rows = sorted(self.rows("a") + self.rows("b"))
        self.assertEqual(rows, list(range(1, len(rows) + 1)))


class LastWords(PodTest):
    def test_in_peace(self):
        self.mount(self.spec({"type": "generate", "config": {"count": 10, "template": '{"n": ${counter}}'}},
                             transformations=[{"type": "filter", "config": {"condition": "$.n > 4"}}]), db__table="a")
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.assertEqual(self.run_once().returncode, 0)
        words = self.last_words()
        self.assertGreaterEqual(words.pop("lastProcessedTime"), began)
        self.assertEqual(words, {"exit": 0, "processed": 10, "errors": 0})

    def test_a_message_that_stops_it(self):
        self.mount(self.spec({"type": "generate", "config": {"count": 10, "template": '{"n": "${counter}"}'}}, errors=None,
                             transformations=[{"type": "cast", "config": {"spec": {"n": "bool"}}}]), db__table="a" + SECRET)
        process = self.run_once()
        words = self.last_words()
        self.assertEqual(process.returncode, 1, process.log())
        self.assertEqual((words["exit"], words["error_type"], words["errors"]), (1, "invalid_data", 1))
        self.assertIn("transformer_0", words["message"])
        self.assertNotIn(SECRET, self.words.read_text())

    def test_no_connection(self):
        self.mount(self.spec(sink={"type": "sqlite", "config": {"path": str(self.dir / "no" / "out.db"), "tableSecretRef": {"name": "db", "key": "table"}}}),
                   db__table="t" + SECRET)
        process = self.run_once()
        self.assertEqual((process.returncode, self.last_words()["exit"]), (1, 1), process.log())
        self.assertEqual(self.last_words()["processed"], 0)
        self.assertNotIn("lastProcessedTime", self.last_words())

    def test_refused(self):
        for spec, secrets, text in (
                (self.spec(sink={"type": "nosuch"}), {}, "nosuch"),
                (self.spec(), {}, "spec.sink.config.tableSecretRef"),
                (self.spec(), {"db__other": SECRET}, 'Secret "db", key "table"'),
                (self.spec(), {"db__table": ""}, "the value is empty"),
                (self.spec(), {"db__table": b"x" * ((1 << 20) + 1)}, "larger than 1 MiB"),
                (self.spec(sink={"type": "\x01" * 700}), {}, "spec.sink.type: ")):
            with self.subTest(text=text):
                self.mount(spec, **secrets)
                self.words.write_text("what was there before, and is longer " * 200)
                process = self.run_once()
                words = self.last_words()
                self.assertEqual(process.returncode, words["exit"], process.log())
                self.assertEqual((words["exit"], words["error_type"], words["processed"]), (2, "unknown", 0))
                self.assertIn(text, words["message"])
                self.assertLessEqual(self.words.stat().st_size, 4096)
                self.assertNotIn(SECRET, self.words.read_text() + process.log())

    def test_a_million_bytes_are_a_value(self):
        """Up to 1 MiB is read; for what, is the field's business."""
        self.mount(self.spec({"type": "generate", "config": {"count": 1, "template": '{"n": 1}'}}), db__table="x" * (1 << 20))
        process = self.run_once()
        self.assertNotIn("larger than", process.log())
        self.assertEqual(process.returncode, 0, process.log()[:2000])

    def test_it_is_never_made(self):
        self.words.unlink()
        self.mount(self.spec({"type": "generate", "config": {"count": 10, "template": '{"n": 1}'}}), db__table="a")
        self.assertEqual(self.run_once().returncode, 0)
        self.assertFalse(self.words.exists())


class Environment(PodTest):
    def test_memory_limit(self):
        self.mount(self.spec(), db__table="a")
        process = self.start(DATAFLOW_MEMORY_LIMIT_BYTES="104857600")
        wait_until(lambda: "dataflow_memory_bytes" in self.fetch("/metrics")[1], 20, process.log)
        self.assertIn('area="limit"} 52428800\n', self.fetch("/metrics")[1])
        self.end(process)
        self.mount(self.spec(memoryLimit="10Mi"), db__table="a")
        process = self.start(DATAFLOW_MEMORY_LIMIT_BYTES="104857600")
        wait_until(lambda: "dataflow_memory_bytes" in self.fetch("/metrics")[1], 20, process.log)
        self.assertIn('area="limit"} 10485760\n', self.fetch("/metrics")[1], "the manifest's own wins")
        self.assertEqual(self.end(process), 0, process.log())

    def test_sentry_is_accepted(self):
        self.mount(self.spec({"type": "generate", "config": {"count": 1, "template": '{"n": 1}'}}), db__table="a")
        process = self.run_once(SENTRY_DSN=f"https://{SECRET}@example.org/1", SENTRY_ENVIRONMENT="test")
        self.assertEqual(process.returncode, 0, process.log())
        self.assertEqual(process.log().count("SENTRY_DSN is set"), 1)
        self.assertNotIn(SECRET, process.log())

    def test_a_grace_period_that_is_over(self):
        """A reader of the pipe that never reads: what is in flight cannot be flushed."""
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.mount(self.spec({"type": "generate", "config": {"template": '{"n": ${counter}}'}}, {"type": "file", "config": {"path": str(fifo)}}))
        process = self.start(DATAFLOW_SHUTDOWN_GRACE_SECONDS="1")
        wait_until(lambda: self.fetch("/readyz")[0] == 200, 20, process.log)
        time.sleep(0.5)
        began = time.monotonic()
        code = self.end(process)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual((code, self.last_words()["exit"], self.last_words()["error_type"]), (1, 1, "timeout"), process.log())
