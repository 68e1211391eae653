"""The Kafka sink on a real broker: keys, headers, topics, what is refused."""
import json

from kafkacase import KafkaCase, Producer

MURMUR2 = {"partitioner": "murmur2_random"}


class Records(KafkaCase):
    def write(self, *rows, transformations=(), **config):
        out = self.topic("out")
        self.run_once(self.flow(self.from_file(*rows), self.sink(out, **config), transformations))
        return self.consume(out)

    def test_values(self):
        got = self.write('{"n": 1.10, "a" : [1,2]}', "12345678901234567890")
        self.assertEqual([r.value() for r in got], [b'{"n": 1.10, "a" : [1,2]}', b"12345678901234567890"])
        self.assertEqual([r.key() for r in got], [None, None])

    def test_key_field(self):
        got = self.write({"c": {"id": "x"}}, {"c": {"id": 12.50}}, {"c": {"id": [1]}}, {"c": {"id": ""}}, {"c": {"id": None}},
                         keyField="c.id")
        self.assertEqual([r.key() for r in got], [b"x", b"12.5", b"[1]", b"", None])

    def test_key_field_missing_is_poison(self):
        out, errors = self.topic("out"), self.file("errors.jsonl")
        self.run_once(self.flow(self.from_file({"id": 1}, {"x": 2}, {"id": 3}), self.sink(out, keyField="id"), errors=errors))
        self.assertEqual([r.key() for r in self.consume(out)], [b"1", b"3"])
        record, = self.lines("errors.jsonl")
        self.assertEqual(record["original_message"], {"x": 2})
        self.assertIn("keyField: id", record["error"]["message"])

    def test_key_from_metadata(self):
        import sqlite3
        with sqlite3.connect(self.dir / "t.db") as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, updated_at TEXT)")
            db.execute("INSERT INTO t VALUES (7, 'a', '2024-01-01T00:00:00Z'), (8, 'b', '2024-01-02T00:00:00Z')")
        out = self.topic("out")
        self.run_once(self.flow({"type": "sqlite", "config": {"path": str(self.dir / "t.db"), "table": "t"}}, self.sink(out)))
        self.assertEqual([r.key() for r in self.consume(out)], [b"7", b"8"])

    def test_headers_and_key_stay(self):
        topic, out = self.topic(), self.topic("out")
        headers = [("a", b"1"), ("b", None), ("a", b"2"), ("", b"\xff")]
        self.produce(topic, [{"value": b'{"v": 1}', "key": b"\x00\x01", "headers": headers}])
        self.run_once(self.flow(self.source(topic), self.sink(out), [{"type": "timestamp"}]))
        record, = self.consume(out)
        self.assertEqual((record.key(), record.headers()), (b"\x00\x01", headers))

    def test_same_partition_as_another_client(self):
        topic = self.topic("theirs", partitions=7)
        self.produce(topic, [{"key": f"key-{i}", "value": b"x"} for i in range(200)], partitioner="murmur2_random")
        theirs = {r.key(): r.partition() for r in self.consume(topic)}
        out = self.topic("out", partitions=7)
        rows = self.from_file(*({"k": f"key-{i}"} for i in range(200)))
        self.run_once(self.flow(rows, self.sink(out, keyField="k", partitioner="murmur2_random")))
        self.assertEqual({r.key(): r.partition() for r in self.consume(out)}, theirs)

    def test_default_partitioner(self):
        """FNV-1a of the key, sign dropped, modulo the number of partitions: the Go client's."""
        def fnv1a(key):
            h = 2166136261
            for byte in key:
                h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
            return abs(h - (1 << 32) if h >= 1 << 31 else h)
        out = self.topic("out", partitions=7)
        rows = self.from_file(*({"k": f"key-{i}"} for i in range(200)))
        self.run_once(self.flow(rows, self.sink(out, keyField="k")))
        self.assertEqual([(r.key(), r.partition()) for r in self.consume(out) if r.partition() != fnv1a(r.key()) % 7], [])

    def test_compressions(self):
        for compression in ("none", "gzip", "snappy", "lz4", "zstd"):
            with self.subTest(compression):
                out = self.topic(compression)
                self.run_once(self.flow(self.from_file(*([{"text": "a" * 100}] * 200)), self.sink(out, compression=compression)), "--reset-checkpoint")
                self.assertEqual(len(self.consume(out)), 200)

    def test_acks(self):
        for acks in ("local", "none"):
            with self.subTest(acks):
                out = self.topic(acks)
                self.run_once(self.flow(self.from_file(*({"i": i} for i in range(200))), self.sink(out, requiredAcks=acks, idempotent=False)), "--reset-checkpoint")
                self.assertEqual(sorted(json.loads(r.value())["i"] for r in self.consume(out)), list(range(200)))


class Topics(KafkaCase):
    def test_topic_from(self):
        one, two = self.topic("one"), self.topic("two")
        rows = [{"i": 0, "topic": two}, {"i": 1}, {"i": 2, "topic": two}, {"i": 3, "topic": one}]
        source = self.topic()
        self.produce(source, [{"value": json.dumps(row), "headers": [("to", row["topic"].encode())] if "topic" in row else None}
                              for row in rows])
        # The metadata `topic` names where a message comes from; a flow behind this one may send it elsewhere.
        self.run_once(self.flow(self.source(source), self.sink(one, topicFrom="topic")))
        self.assertEqual(len(self.consume(source)), 8)
        self.assertEqual(len(self.consume(one)), 0)

    def test_topic_from_creates(self):
        out = self.topic("out")
        (self.dir / "in.db").unlink(missing_ok=True)
        import sqlite3
        with sqlite3.connect(self.dir / "in.db") as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, updated_at TEXT)")
            db.executemany("INSERT INTO t VALUES (?, ?)", [(i, f"2024-01-0{i}") for i in range(1, 6)])
        source = {"type": "sqlite", "config": {"path": str(self.dir / "in.db"), "table": f"t"}}
        self.run_once(self.flow(source, self.sink(out, topicFrom="operation", autoCreateTopic=True)))
        self.assertEqual(len(self.consume(out)), 0)
        self.assertEqual(len(self.consume("insert")), 5)
        self.admin.delete_topics(["insert"])["insert"].result(30)

    def test_created_when_allowed(self):
        out = f"{self.name}-out"
        log = self.run_once(self.flow(self.from_file({"i": 1}), self.sink(out, autoCreateTopic=True, topicPartitions=5, topicReplication=1)))
        self.assertIn(f"topic `{out}` is there", log)
        self.assertEqual(len(self.ends(out)), 5)
        self.assertEqual(len(self.consume(out)), 1)

    def test_cannot_be_created(self):
        log = self.run_once(self.flow(self.from_file({"i": 1}), self.sink(f"{self.name}-out", autoCreateTopic=True, topicReplication=3)), code=1)
        self.assertIn("creating the topic", log)
        self.assertIn("INVALID_REPLICATION_FACTOR", log)

    def test_missing(self):
        sink = self.sink(f"{self.name}-out", extra={"topic.metadata.propagation.max.ms": "500"})
        log = self.run_once(self.flow(self.from_file({"i": 1}), sink), code=1)
        self.assertIn("does not exist: create it, or set autoCreateTopic", log)


class Refused(KafkaCase):
    def test_too_large(self):
        """Only that message is refused, not what would share its request."""
        out = self.topic("out", max_message_bytes=1000)
        rows = [{"i": 0}, {"i": 1, "text": "x" * 2000}, {"i": 2}, {"i": 3, "text": "y" * 1100000}, {"i": 4}]
        sink = self.sink(out, compression="none")
        self.run_once(self.flow(self.from_file(*rows), sink, errors=self.file("errors.jsonl")))
        self.assertEqual([json.loads(r.value())["i"] for r in self.consume(out)], [0, 2, 4])
        records = self.lines("errors.jsonl")
        self.assertEqual(sorted(r["original_message"]["i"] for r in records), [1, 3])
        self.assertEqual({(r["error"]["type"], r["error"]["code"]) for r in records}, {("invalid_data", "MSG_SIZE_TOO_LARGE")})

    def test_compacted_topic_without_key(self):
        out = self.topic("out", cleanup_policy="compact")
        self.run_once(self.flow(self.from_file({"id": 1}), self.sink(out), errors=self.file("errors.jsonl")))
        record, = self.lines("errors.jsonl")
        self.assertEqual(record["error"]["code"], "INVALID_RECORD")

    def test_extra(self):
        for extra, part in (({"enable.auto.commit": "true"}, "delivery depends on it"), ({"no.such": "1"}, "refuses the value of `no.such`")):
            with self.subTest(extra):
                log = self.run_once(self.flow(self.from_file({}), self.sink(self.topic(part[:2].strip()), extra=extra)), code=2 if "enable" in str(extra) else 1)
                self.assertIn(part, log)


class Order(KafkaCase):
    def test_of_a_key(self):
        """20,000 messages of 50 keys through chain and sink: none lost, none doubled, each key in order."""
        topic, out = self.topic(partitions=4), self.topic("out", partitions=3)
        self.produce(topic, [{"key": f"k{i % 50}", "value": json.dumps({"n": i})} for i in range(20000)])
        self.run_once(self.flow(self.source(topic), self.sink(out, compression="lz4"), [{"type": "timestamp"}]))
        last, seen = {}, []
        for record in self.consume(out):
            n = json.loads(record.value())["n"]
            self.assertGreater(n, last.get(record.key(), -1))
            last[record.key()] = n
            seen.append(n)
        self.assertEqual(sorted(seen), list(range(20000)))
