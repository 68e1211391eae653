"""The worked example when the server, the network or the program itself fails: nothing lost, and nothing doubled where that can be."""
import random
import time

from mydb_kit import REDIS, MydbTest, redis, services, start
from proxy import Proxy

setUpModule = start


def through(proxy):
    return REDIS["REDIS_URL"].replace(REDIS["REDIS_PORT"], str(proxy.port))


class Trouble(MydbTest):
    def counting(self, count, rate=0):
        return {"type": "generate", "config": {"count": count, "rate": rate, "template": '{"id": ${counter}, "n": ${random:1000}}'}}

    def hash_sink(self, url=None, **config):
        return self.mydb(url, hash="h", conflictKey="id", upsertMode=True, **config)

    def test_restart_of_the_server(self):
        """A flow into the stream and a flow out of it go on; every row arrives."""
        into = self.begin(self.counting(4000, rate=2000), self.mydb(stream="s"), "--once", name="into")
        out = self.begin(self.mydb(stream="s", pollInterval=1), self.sqlite_sink(), name="out")
        for _ in range(2):
            time.sleep(0.5)
            services.script("redis", "stop")
            services.script("redis", "start")
        self.assertEqual(into.wait(timeout=60), 0, self.log())
        self.wait_for(lambda: self.rows("SELECT count(*), min(id), max(id) FROM t"), [(4000, 1, 4000)], out)
        self.end(out)

    def test_kill_of_the_program(self):
        """At any instant, again and again: through a stream into a hash, complete."""
        chance = random.Random(5)
        for source, sink, name in ((self.counting(100_000), self.mydb(stream="s"), "into"),
                                   (self.mydb(stream="s"), self.hash_sink(), "out")):
            for _ in range(3):
                process = self.begin(source, sink, "--once", name=name, checkpointPersistence={"saveIntervalSeconds": 1})
                time.sleep(chance.uniform(0.05, 0.6))
                process.kill()
                process.wait()
            self.run_flow(source, sink, name=name)
        self.assertEqual(redis("hlen", "h"), 100_000)
        self.assertGreaterEqual(redis("xlen", "s"), 100_000)

    def test_cut_in_the_middle(self):
        """Towards the server and from it: the hash is complete, and no write is there by half in the stream."""
        self.jsonl([{"id": i, "filler": "x" * 100} for i in range(3000)])
        points = [("cut_after", n) for n in (10, 90, 1500, 70_000, 100_000)] + [("cut_after_answer", n) for n in (3, 20, 6000, 9_000)]
        for limit, at in points:
            with self.subTest(**{limit: at}), Proxy((REDIS["REDIS_HOST"], int(REDIS["REDIS_PORT"]))) as proxy:
                redis("flushall")
                setattr(proxy, limit, at)
                self.run_flow(self.file_source(), self.hash_sink(through(proxy), batchSize=1000), name=f"hash-{at}")
                self.assertEqual(redis("hlen", "h"), 3000)
                setattr(proxy, limit, at)
                self.run_flow(self.file_source(), self.mydb(through(proxy), stream="s", batchSize=1000), name=f"stream-{at}")
                self.assertIn(redis("xlen", "s"), (3000,) if limit == "cut_after" else (3000, 4000))

    def test_a_source_that_is_cut(self):
        for i in range(3):
            redis("eval", f"for i = 1, 1000 do redis.call('xadd', 's', '*', 'data', '{{\"id\":' .. ({i} * 1000 + i) .. '}}') end", "0")
        for i, at in enumerate((5, 300, 20_000)):
            with self.subTest(at=at), Proxy((REDIS["REDIS_HOST"], int(REDIS["REDIS_PORT"]))) as proxy:
                proxy.cut_after_answer = at
                self.run_flow(self.mydb(through(proxy), stream="s"), self.sqlite_sink(path=str(self.dir / f"{i}.db")), name=f"cut-{i}")
                self.assertEqual(self.rows("SELECT count(*), max(id) FROM t", f"{i}.db"), [(3000, 3000)])

    def test_out_of_memory(self):
        """The server refuses the transaction; what was refused is written when there is room, once."""
        self.jsonl([{"id": i} for i in range(2000)])
        redis("config", "set", "maxmemory", 1)
        self.addCleanup(redis, "config", "set", "maxmemory", "256mb")
        process = self.begin(self.file_source(), self.mydb(stream="s", batchSize=500), "--once")
        self.wait_for(lambda: "OOM" in self.log(), True, process)
        self.assertEqual(redis("xlen", "s"), 0)
        redis("config", "set", "maxmemory", "256mb")
        self.assertEqual(process.wait(timeout=60), 0, self.log())
        self.assertEqual(redis("xlen", "s"), 2000)
        self.assertIn("transient", self.log())

    def test_waiting_for_entries_ends_at_the_signal(self):
        process = self.begin(self.mydb(stream="s", pollInterval=60), self.file_sink())
        time.sleep(0.5)
        redis("xadd", "s", "*", "data", '{"id":1}')
        self.wait_for(lambda: self.lines("out.jsonl"), [{"id": 1}], process)
        started = time.monotonic()
        self.end(process)
        self.assertLess(time.monotonic() - started, 20)
