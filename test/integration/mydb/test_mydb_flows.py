"""The worked example in pipelines: what is written, what is read, what is refused."""
import base64
import json
import subprocess

from mydb_kit import REDIS, ROOT, MydbTest, entries, redis, start

setUpModule = start


class Examples(MydbTest):
    """As the README says, but with the server and the folder of the test."""

    def run_example(self, name):
        text = (ROOT / "examples/connector-mydb" / name).read_text()
        text = text.replace("redis://127.0.0.1:6379", REDIS["REDIS_URL"]).replace("path: examples", f"path: {ROOT}/examples")
        done = subprocess.run(self.command(self.write(name, text), "--once"), capture_output=True, text=True, timeout=60, cwd=self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("warning", done.stderr)

    def test_to_redis(self):
        self.run_example("to-redis.yaml")
        rows = [json.loads(row) for row in redis("hvals", "earthquakes")]
        self.assertEqual((len(rows), set(rows[0])), (1707, {"id", "place", "mag"}))

    def test_from_redis(self):
        redis("xadd", "orders", "*", "id", "1", "customer", "Ada")
        self.run_example("from-redis.yaml")
        self.assertEqual(self.rows("SELECT id, customer FROM orders", "orders.db"), [("1", "Ada")])


class Streams(MydbTest):
    def test_file_to_stream_to_sqlite(self):
        rows = [{"id": i, "name": f"row {i}"} for i in range(1, 3001)]
        self.jsonl(rows)
        self.assertEqual(self.run_flow(self.file_source(), self.mydb(stream="s"))["written"], 3000)
        self.assertEqual([json.loads(fields["data"]) for _, fields in entries("s")], rows)
        self.run_flow(self.mydb(stream="s", readBatchSize=7), self.sqlite_sink(), name="out")
        self.assertEqual(self.rows("SELECT id, name FROM t ORDER BY rowid"), [(r["id"], r["name"]) for r in rows])
        # And then only what is new.
        redis("xadd", "s", "*", "data", '{"id":3001,"name":"new"}')
        self.assertEqual(self.run_flow(self.mydb(stream="s"), self.sqlite_sink(), name="out")["read"], 1)

    def test_any_json_comes_back_as_it_was(self):
        lines = ['{"id":1,"n":9223372036854775807,"d":0.12345678901234567890123456789012345678,"e":1e400,"s":"","z":null}',
                 '{"id":2,"t":"\\u0000 \\ud800 \U0001f600 \\"","nested":{"a":[1,{"b":[]}]}}', '[1,2]', '"text"', "7", "not JSON"]
        self.jsonl(lines)
        self.run_flow(self.file_source(), self.mydb(stream="s"))
        self.run_flow(self.mydb(stream="s"), self.file_sink(), name="out")
        self.assertEqual((self.dir / "out.jsonl").read_text().splitlines(), lines)

    def test_entries_of_others(self):
        redis("xadd", "s", "5-1", "id", "1", "name", "a\u00e9")
        redis("xadd", "s", "5-2", "data", "{}", "more", "x")  # not ours: one field too many
        redis("xadd", "s", "6-0", "data", '{"id":3}', "_metadata", "no JSON")
        self.run_flow(self.mydb(stream="s"), self.file_sink())
        self.assertEqual(self.lines("out.jsonl"), [{"id": "1", "name": "a\u00e9"}, {"data": "{}", "more": "x"},
                                                   {"data": '{"id":3}', "_metadata": "no JSON"}])

    def test_bytes_that_are_no_text(self):
        redis("eval", "redis.call('xadd', 's', '1-0', 'v', '\\255\\0')", "0")
        redis("eval", "redis.call('xadd', 's', '2-0', '\\255', 'v')", "0")
        redis("xadd", "s", "3-0", "v", "after")
        summary = self.run_flow(self.mydb(stream="s"), self.file_sink())
        self.assertEqual(self.lines("out.jsonl"), [{"v": base64.b64encode(b"\xff\0").decode()}, {"v": "after"}])
        self.assertEqual(summary["error_sinked"], 1, summary)
        self.assertIn("the name of field 1 is not valid UTF-8", (self.dir / "flow-errors.jsonl").read_text())

    def test_raw_mode_keeps_metadata(self):
        redis("xadd", "s", "7-3", "data", '{"id":1}')
        self.run_flow(self.mydb(stream="s"), self.mydb(stream="copy", rawMode=True))
        (_, fields), = entries("copy")
        self.assertEqual((json.loads(fields["data"]), json.loads(fields["_metadata"])), ({"id": 1}, {"stream": "s", "id": "7-3"}))
        self.run_flow(self.mydb(stream="copy"), self.mydb(stream="again", rawMode=True), name="again")
        (_, fields), = entries("again")
        self.assertEqual(json.loads(fields["_metadata"])["stream"], "copy")

    def test_start_id(self):
        for i in range(1, 6):
            redis("xadd", "s", f"{i}-0", "data", json.dumps({"id": i}))
        self.run_flow(self.mydb(stream="s", startId="3-0"), self.file_sink())
        self.assertEqual(self.lines("out.jsonl"), [{"id": 4}, {"id": 5}])

    def test_a_stream_that_is_not_there_yet(self):
        self.assertEqual(self.run_flow(self.mydb(stream="s"), self.file_sink())["read"], 0)

    def test_a_stream_that_was_made_anew(self):
        redis("xadd", "s", "9-0", "data", '{"id":1}')
        self.run_flow(self.mydb(stream="s"), self.file_sink())
        redis("del", "s")
        redis("xadd", "s", "5-0", "data", '{"id":2}')
        self.assertIn("checkpointReset", self.fails(self.mydb(stream="s"), self.file_sink()))
        redis("del", "s")  # gone is not made anew
        self.assertEqual(self.run_flow(self.mydb(stream="s"), self.file_sink())["read"], 0)


class Hashes(MydbTest):
    def sink(self, **config):
        return self.mydb(hash="h", conflictKey="id", **config)

    def test_upsert(self):
        self.jsonl([{"id": i % 100, "n": i} for i in range(1000)])
        self.run_flow(self.file_source(), self.sink(upsertMode=True))
        self.assertEqual({k: json.loads(v)["n"] for k, v in redis("hgetall", "h").items()}, {str(i): 900 + i for i in range(100)})

    def test_insert_skips_and_counts_what_is_there(self):
        self.jsonl([{"id": 1, "n": 1}, {"id": 2, "n": 1}, {"id": 1, "n": 2}])
        self.assertEqual(self.run_flow(self.file_source(), self.sink())["unchanged"], 1)
        self.assertEqual(json.loads(redis("hget", "h", "1")), {"id": 1, "n": 1})

    def test_delete(self):
        redis("hset", "h", "1", "{}", "2", "{}")
        self.jsonl([{"payload": {"op": "d", "before": {"id": 1}}}, {"payload": {"op": "c", "after": {"id": 3}}}])
        self.run_flow(self.file_source(), self.sink(upsertMode=True), transformations=[{"type": "debeziumUnwrap", "config": {}}])
        self.assertEqual(sorted(redis("hkeys", "h")), ["2", "3"])

    def test_poison_fails_alone(self):
        rows = [{"id": i} for i in range(1000)]
        rows[0], rows[500], rows[999] = {"name": "no id"}, {"id": None}, [1]
        rows[1] = {"id": {"a": 1}}
        self.jsonl(rows)
        summary = self.run_flow(self.file_source(), self.sink(batchSize=1000))
        self.assertEqual((summary["error_sinked"], redis("hlen", "h")), (4, 996))
        said = (self.dir / "flow-errors.jsonl").read_text()
        for what in ("missing", "null", "an object", "an array"):
            self.assertIn(what, said)
        self.assertIn("invalid_data", said)


class Refused(MydbTest):
    def test_another_type_at_the_name(self):
        redis("set", "s", "text")
        self.jsonl([{"id": 1}])
        for source, sink in ((self.file_source(), self.mydb(stream="s")), (self.mydb(stream="s"), self.file_sink())):
            self.assertIn("WRONGTYPE", self.fails(source, sink, errors=False))

    def test_no_right(self):
        self.jsonl([{"id": 1}])
        self.assertIn("NOPERM", self.fails(self.file_source(), self.mydb(REDIS["REDIS_READER_URL"], stream="s"), errors=False))
        self.assertEqual(redis("exists", "s"), 0)

    def test_wrong_password(self):
        self.jsonl([{"id": 1}])
        for password, said in (("wr%6fng", "WRONGPASS"), (None, "NOAUTH")):
            url = REDIS["REDIS_URL"].replace("dataflow:dataflow-secret@", f"dataflow:{password}@" if password else "")
            process = self.begin(self.file_source(), self.mydb(url, stream="s"), "--once")
            self.wait_for(lambda said=said: said in self.log(), True, process)
            process.kill()
        self.assertIn("auth_error", self.log())
        self.assertNotIn("wrong", self.log())

    def test_database(self):
        self.jsonl([{"id": 1}])
        self.run_flow(self.file_source(), self.mydb(REDIS["REDIS_URL"] + "/3", stream="s"))
        self.assertEqual(redis("-n", 3, "xlen", "s"), 1)
        self.assertIn("DB index is out of range", self.fails(self.file_source(), self.mydb(REDIS["REDIS_URL"] + "/99", stream="s")))
