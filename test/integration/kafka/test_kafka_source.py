"""The Kafka source on a real broker: what a message is, where reading begins and goes on, what the topic may do meanwhile."""
import base64
import itertools
import json
import time

from kafkacase import KafkaCase, NewPartitions, TopicPartition, wait_until

WITH_METADATA = [{"type": "insertField", "config": {"fields": {"topic": "${metadata.topic}"}}}]


class Messages(KafkaCase):
    def envelopes(self, topic, **config):
        """Reads the topic into a second one and gives payloads, keys, headers as the broker has them."""
        out = self.topic("out")
        self.run_once(self.flow(self.source(topic, **config), self.sink(out)))
        return self.consume(out)

    def metadata(self, topic):
        """The metadata of every message, as a table in raw mode stores them."""
        import sqlite3
        path = self.dir / "raw.db"
        self.run_once(self.flow(self.source(topic), {"type": "sqlite", "config": {
            "path": str(path), "table": "t", "autoCreateTable": True, "rawMode": True}}))
        with sqlite3.connect(path) as db:
            rows = db.execute("SELECT data, _metadata FROM t ORDER BY rowid").fetchall()
        return [(data, json.loads(meta)) for data, meta in rows]

    def test_metadata(self):
        topic = self.topic()
        self.produce(topic, [{"value": b'{"a": 1}', "key": b"k1", "timestamp": 1705314600123,
                              "headers": [("h", b"one"), ("h", b"two"), ("null", None)]},
                             {"value": b"not json", "timestamp": 1705314600007},
                             {"value": b"{}", "key": b"\xff\x00", "headers": [("b", b"\xfe")]}])
        rows = self.metadata(topic)
        self.assertEqual(rows[0][1], {"topic": topic, "partition": 0, "offset": 0, "key": "k1", "timestamp": "2024-01-15T10:30:00.123Z",
                                      "headers": {"h": "two", "null": None}})
        self.assertEqual(list(rows[0][1]), ["topic", "partition", "offset", "key", "timestamp", "headers"])
        self.assertEqual(rows[1][1], {"topic": topic, "partition": 0, "offset": 1, "timestamp": "2024-01-15T10:30:00.007Z"})
        self.assertEqual(rows[2][1]["key_base64"], base64.b64encode(b"\xff\x00").decode())
        self.assertEqual(rows[2][1]["headers_base64"], {"b": base64.b64encode(b"\xfe").decode()})
        self.assertNotIn("key", rows[2][1])

    def test_everything_survives(self):
        topic = self.topic()
        headers = [(f"h{i % 7}", bytes([i % 256]) * (i % 5)) for i in range(1000)]
        values = [b"", None, b"x", b"\x00\xff" * 450000, b'{"n": 12345678901234567890.10}']
        self.produce(topic, [{"value": v, "key": f"k{i}", "headers": headers if i == 2 else None} for i, v in enumerate(values)])
        got = self.envelopes(topic)
        self.assertEqual([r.value() for r in got], values)
        self.assertEqual([r.key() for r in got], [f"k{i}".encode() for i in range(5)])
        self.assertEqual(got[2].headers(), headers)
        self.assertIsNone(got[0].headers())

    def test_raw(self):
        topic = self.topic()
        self.produce(topic, [b'{"a": 1}', b"\xff\xfe", None])
        self.assertEqual([r.value() for r in self.envelopes(topic, format="raw")], [b'{"a": 1}', b"\xff\xfe", None])
        for encoding, want in (("text", ['{"a": 1}', "//4="]), ("base64", ["eyJhIjogMX0=", "//4="])):
            source = self.source(topic, format="raw", rawEncoding=encoding, consumerGroup=f"{self.name}-{encoding}")
            wrap = [{"type": "filter", "config": {"condition": "$ != null"}}, {"type": "hoistField", "config": {"field": "text"}}]
            self.run_once(self.flow(source, self.file(f"{encoding}.jsonl"), wrap))
            self.assertEqual([row["text"] for row in self.lines(f"{encoding}.jsonl") if "text" in row][:2], want)

    def test_tombstones_of_a_compacted_topic(self):
        topic = self.topic(cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio="0.01", delete_retention_ms=600000)
        for round_number in range(3):
            self.produce(topic, [{"key": json.dumps({"id": k}), "value": None if k == 2 and round_number == 2 else
                                  json.dumps({"payload": {"op": "u", "after": {"id": k, "v": round_number}}})} for k in range(4)])
            time.sleep(0.3)
        unwrap = [{"type": "debeziumUnwrap", "config": {"inferDeleteFromTombstone": True, "addOperationFields": True}}]
        self.run_once(self.flow(self.source(topic), self.file(), unwrap))
        last = {row["id"]: row for row in self.lines()}
        self.assertEqual({k: row.get("v") for k, row in last.items()}, {0: 2, 1: 2, 2: None, 3: 2})


class Positions(KafkaCase):
    def test_goes_on_where_it_was(self):
        topic = self.topic(partitions=3)
        flow = self.flow(self.source(topic), self.file())
        self.produce(topic, [json.dumps({"i": i}) for i in range(300)])
        self.run_once(flow)
        self.assertEqual(self.committed(self.name, topic), self.ends(topic))
        self.produce(topic, [json.dumps({"i": i}) for i in range(300, 400)])
        self.run_once(flow)
        self.assertEqual(sorted(row["i"] for row in self.lines()), list(range(400)))

    def test_initial_offset_latest(self):
        topic = self.topic()
        self.produce(topic, [b'{"i": 0}'])
        process = self.start(self.flow(self.source(topic, initialOffset="latest"), self.file()))
        wait_until(lambda: "the group gives" in process.log())
        for i in itertools.count(1):  # until the end was asked for, what comes is before it
            self.produce(topic, [json.dumps({"i": i})])
            if self.lines():
                break
            self.assertLess(i, 300, process.log())
            time.sleep(0.1)
        wait_until(lambda: self.lines()[-1] == {"i": i})
        self.stop(process)
        found = [row["i"] for row in self.lines()]
        self.assertEqual(found, list(range(found[0], i + 1)))
        self.assertGreater(found[0], 0)

    def test_committed_while_it_runs(self):
        topic = self.topic()
        process = self.start(self.flow(self.source(topic), self.file()))
        self.produce(topic, [b"{}"] * 5)
        wait_until(lambda: self.committed(self.name, topic) == {0: 5}, 10, "the group's position")
        self.stop(process)

    def test_not_committed_before_it_is_done(self):
        topic = self.topic()
        self.produce(topic, [b'{"i": 0}', b'{"i": "no"}', b'{"i": 2}'])
        sink = {"type": "sqlite", "config": {"path": str(self.dir / "t.db"), "table": "t"}}
        import sqlite3
        with sqlite3.connect(self.dir / "t.db") as db:
            db.execute("CREATE TABLE t (i INTEGER)")
        self.run_once(self.flow(self.source(topic), sink), code=1)
        self.assertEqual(self.committed(self.name, topic), {0: 1})

    def delete_before(self, topic, offset):
        future = self.admin.delete_records([TopicPartition(topic, 0, offset)])
        next(iter(future.values())).result(30)

    def out_of_range(self, policy, **more):
        topic = self.topic()
        flow = self.flow(self.source(topic, offsetOutOfRange=policy), self.file())
        self.produce(topic, [b'{"i": 0}'])
        self.run_once(flow)
        self.produce(topic, [json.dumps({"i": i}) for i in range(1, 10)])
        self.delete_before(topic, 5)
        return topic, self.run_once(flow, **more)

    def test_out_of_range_earliest(self):
        _, log = self.out_of_range("earliest")
        self.assertEqual([row["i"] for row in self.lines()], [0, 5, 6, 7, 8, 9])
        self.assertIn("position 1 is not in partition 0", log)
        self.assertIn("reading goes on at 5", log)

    def test_out_of_range_latest(self):
        topic, log = self.out_of_range("latest")
        self.assertEqual([row["i"] for row in self.lines()], [0])
        self.assertIn("reading goes on at 10", log)

    def test_out_of_range_error(self):
        topic, log = self.out_of_range("error", code=1)
        self.assertIn("offsetOutOfRange", log)
        self.assertEqual(self.committed(self.name, topic), {0: 1})


class Topics(KafkaCase):
    def test_missing_then_made(self):
        topic = f"{self.name}-in"
        process = self.start(self.flow(self.source(topic), self.file()))
        wait_until(lambda: "does not exist" in process.log())
        self.topic()
        self.produce(topic, [b'{"i": 1}'])
        self.await_lines(1)
        self.stop(process)

    def test_grows(self):
        topic = self.topic()
        process = self.start(self.flow(self.source(topic, extra={"topic.metadata.refresh.interval.ms": "500"}), self.file()))
        self.produce(topic, [b'{"i": 0}'])
        self.await_lines(1)
        self.admin.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
        wait_until(lambda: len(self.ends(topic)) == 3)
        self.produce(topic, [{"value": b'{"i": 1}', "partition": 2}])
        self.await_lines(2)
        self.stop(process)
        self.assertEqual([row["i"] for row in self.lines()], [0, 1])

    def test_deleted_and_made_again(self):
        topic = self.topic()
        process = self.start(self.flow(self.source(topic, extra={"topic.metadata.refresh.interval.ms": "500"}), self.file()))
        self.produce(topic, [b'{"i": 0}'])
        self.await_lines(1)
        self.admin.delete_topics([topic])[topic].result(30)
        wait_until(lambda: "does not get on" in process.log(), what="a warning")
        wait_until(lambda: topic not in self.admin.list_topics(timeout=10).topics)
        self.assertIsNone(process.poll())
        self.topic()
        self.produce(topic, [b'{"i": 1}'])
        self.await_lines(2)
        self.stop(process)

    def test_open_transaction_is_not_read(self):
        from confluent_kafka import Producer
        topic = self.topic()
        producer = Producer({"bootstrap.servers": self.brokers, "transactional.id": self.name, "log_level": 0})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(topic, b'{"i": "aborted"}')
        producer.abort_transaction(30)
        producer.begin_transaction()
        producer.produce(topic, b'{"i": "committed"}')
        producer.commit_transaction(30)
        producer.begin_transaction()
        producer.produce(topic, b'{"i": "open"}')
        producer.flush(30)
        self.run_once(self.flow(self.source(topic), self.file()))
        producer.abort_transaction(30)
        self.assertEqual([row["i"] for row in self.lines()], ["committed"])
