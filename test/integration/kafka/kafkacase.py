"""What the Kafka tests share: topics and records through an independent client (confluent-kafka), flows through ours."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "test/integration"), str(ROOT / "test")]
import peers  # noqa: E402
from rows import json_lines
import services  # noqa: E402
from waiting import wait_until  # noqa: E402

DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
LONG = bool(os.environ.get("DATAFLOW_LONG"))  # the long forms: 100,000 messages, a broker that stands still for 30 s

peers.need("confluent-kafka==2.16.1")
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # noqa: E402


class KafkaCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = services.use("kafka")
        cls.brokers = cls.kafka["KAFKA_BROKERS"]
        cls.admin = AdminClient({"bootstrap.servers": cls.brokers, "log_level": 0})

    def setUp(self):
        holder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)
        self.name = f"{self._testMethodName.removeprefix('test_').replace('_', '-')}-{uuid.uuid4().hex[:6]}"
        self.running = []
        self.addCleanup(self.stop_all)

    # ---- topics and records

    def topic(self, suffix="in", partitions=1, **config):
        """A new topic, named after the test."""
        name = f"{self.name}-{suffix}"
        future = self.admin.create_topics([NewTopic(name, partitions, 1, config={k.replace("_", "."): str(v)
                                                                                 for k, v in config.items()})])
        future[name].result(30)
        return name

    def produce(self, topic, records, **config):
        """Records are values, or dicts with value, key, headers, partition, timestamp."""
        producer = Producer({"bootstrap.servers": self.brokers, "linger.ms": 5, "log_level": 0, **config})
        failed = []
        for record in records:
            record = record if isinstance(record, dict) else {"value": record}
            while True:
                try:
                    producer.produce(topic, on_delivery=lambda err, _: failed.append(err) if err else None, **record)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        producer.flush(60)
        self.assertEqual(failed, [])

    def ends(self, topic):
        """partition -> end offset; None while the broker cannot say."""
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "look"})
        try:
            partitions = consumer.list_topics(topic, 10).topics[topic].partitions
            return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), 10)[1] for p in partitions}
        except KafkaException:
            return None
        finally:
            consumer.close()

    def consume(self, topic, isolation="read_committed", seconds=60):
        """Every record of the topic up to its end."""
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": f"read-{uuid.uuid4()}", "enable.partition.eof": True,
                             "isolation.level": isolation, "auto.offset.reset": "earliest", "enable.auto.commit": False})
        partitions = [TopicPartition(topic, p, 0) for p in consumer.list_topics(topic, 10).topics[topic].partitions]
        consumer.assign(partitions)
        records, ended, deadline = [], set(), time.monotonic() + seconds
        try:
            while len(ended) < len(partitions):
                self.assertLess(time.monotonic(), deadline, f"{topic} was not read to its end")
                for record in consumer.consume(1000, 0.2):
                    if not record.error():
                        records.append(record)
                    elif record.error().code() == KafkaError._PARTITION_EOF:
                        ended.add(record.partition())
        finally:
            consumer.close()
        return records

    def committed(self, group, topic, tries=3):
        """partition -> committed offset of the group, without those that have none; none, too, when the broker does not say."""
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": group})
        try:
            partitions = [TopicPartition(topic, p) for p in consumer.list_topics(topic, 10).topics[topic].partitions]
            return {t.partition: t.offset for t in consumer.committed(partitions, 10) if t.offset >= 0}
        except KafkaException:  # a broker that just came back, or is busy
            return self.committed(group, topic, tries - 1) if tries else {}
        finally:
            consumer.close()

    # ---- flows

    def source(self, topic, **config):
        return {"type": "kafka", "config": {"brokers": [self.brokers], "topic": topic, "consumerGroup": self.name, **config}}

    def sink(self, topic, **config):
        return {"type": "kafka", "config": {"brokers": [self.brokers], "topic": topic, **config}}

    def file(self, name="out.jsonl"):
        return {"type": "file", "config": {"path": str(self.dir / name)}}

    def from_file(self, *lines):
        (self.dir / "in.jsonl").write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return {"type": "file", "config": {"path": str(self.dir / "in.jsonl")}}

    def lines(self, name="out.jsonl"):
        path = self.dir / name
        return json_lines(path)

    def flow(self, source, sink, transformations=(), name="flow", **spec):
        path = self.dir / f"{name}.yaml"
        path.write_text(json.dumps({"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": name},
                                    "spec": {"source": source, "transformations": list(transformations), "sink": sink, **spec}}))
        return path

    def environment(self, **more):
        return {k: v for k, v in os.environ.items() if k not in ("LOG_LEVEL", "POD_NAME")} | {
            "DATAFLOW_STATE_DIR": str(self.dir / f"state-{more.get('POD_NAME', '')}"), **more}

    def start(self, manifest, *args, **environment):
        """The program in the background; its log is process.log."""
        log = open(self.dir / f"log-{len(self.running)}.txt", "w+")
        process = subprocess.Popen([DATAFLOW, "run", "--progress", "none", "--log-format", "json", *args, manifest],
                                   stdout=subprocess.DEVNULL, stderr=log, env=self.environment(**environment))
        process.log_path = pathlib.Path(log.name)
        process.log = process.log_path.read_text
        log.close()
        self.running.append(process)
        return process

    def stop(self, process, seconds=60):
        process.send_signal(signal.SIGTERM)
        code = process.wait(seconds)
        self.assertEqual(code, 0, process.log()[-3000:])

    def stop_all(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()

    def run_once(self, manifest, *args, seconds=60, code=0, **environment):
        """Runs to the end; returns the log."""
        process = self.start(manifest, "--once", *args, **environment)
        try:
            got = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.fail(f"no end within {seconds} s: {process.log()[-3000:]}")
        self.assertEqual(got, code, process.log()[-3000:])
        return process.log()

    def await_lines(self, n, name="out.jsonl", seconds=30):
        path = self.dir / name
        wait_until(lambda: path.exists() and path.read_bytes().count(b"\n") >= n, seconds, f"{n} lines of {name}")
