"""A broker that stops, stands still, or is cut off in the middle; a sink that is slow. Nothing is lost, nothing reordered.

DATAFLOW_LONG=1: the broker stands still for 30 s and is away for a minute.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from collections import Counter

from kafkacase import DATAFLOW, KafkaCase, LONG, Producer, services, wait_until

from proxy import Proxy

sys.path.insert(0, str(services.ROOT / "test"))
from ports import free_port  # noqa: E402

AWAY = 60 if LONG else 4
STILL = 30 if LONG else 5


class Faults(KafkaCase):
    def feed(self, topic, count, seconds):
        def run():
            producer = Producer({"bootstrap.servers": self.brokers, "linger.ms": 5, "enable.idempotence": True, "log_level": 0})
            start = time.monotonic()
            for i in range(count):
                producer.produce(topic, json.dumps({"n": i}), f"k{i % 20}")
                if i % 100 == 0:
                    producer.poll(0)
                    time.sleep(max(0, start + seconds * i / count - time.monotonic()))
            producer.flush(200)
        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def check(self, out, count, doubled=0):
        seen, last = Counter(), {}
        for record in self.consume(out):
            n = json.loads(record.value())["n"]
            if not seen[n]:
                self.assertGreater(n, last.get(record.key(), -1), "order of a key")
                last[record.key()] = n
            seen[n] += 1
        self.assertEqual((len(seen), sum(seen.values()) - len(seen)), (count, doubled))

    def run_through(self, fault, doubled=0, count=20000):
        topic, out = self.topic(partitions=3), self.topic("out", partitions=2)
        process = self.start(self.flow(self.source(topic), self.sink(out), [{"type": "timestamp"}]))
        feeding = self.feed(topic, count, 3)
        time.sleep(1)
        fault()
        feeding.join()
        try:
            wait_until(lambda: self.committed(self.name, topic) == self.ends(topic), 90, "everything committed")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.committed(self.name, topic)} of {self.ends(topic)}\n{process.log()}") from None
        self.stop(process)
        self.check(out, count, doubled)
        return process.log()

    def test_broker_restarts(self):
        def restart():
            services.script("kafka", "stop")
            time.sleep(AWAY)
            services.script("kafka", "start")
        log = self.run_through(restart)
        self.assertIn("does not answer", log)
        self.assertIn("brokers answer again", log)
        self.assertLess(log.count("does not answer"), 5 + AWAY // 20)

    @unittest.skipUnless(LONG, "a long form: DATAFLOW_LONG=1")
    def test_broker_killed(self):
        def kill():
            os.kill(int(open(self.kafka["KAFKA_PID_FILE"]).read()), signal.SIGKILL)
            time.sleep(1)
            services.script("kafka", "start")
        self.run_through(kill)

    def test_broker_stands_still(self):
        def stand():
            pid = int(open(self.kafka["KAFKA_PID_FILE"]).read())
            os.kill(pid, signal.SIGSTOP)
            time.sleep(STILL)
            os.kill(pid, signal.SIGCONT)
        self.run_through(stand)

    def test_broker_missing_at_start(self):
        topic = self.topic()
        self.produce(topic, [b'{"n": 1}'])
        services.script("kafka", "stop")
        process = self.start(self.flow(self.source(topic), self.file()))
        wait_until(lambda: "does not answer" in process.log())
        services.script("kafka", "start")
        self.await_lines(1, seconds=60)
        self.stop(process)

    def test_metrics_tell_that_the_broker_is_away(self):
        """Also where no message comes afterwards."""
        port = free_port()

        def value(sample):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                lines = [line for line in answer.read().decode().splitlines() if all(part in line for part in sample)]
            return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

        connected = "dataflow_connector_connection_status{", 'connector_name="source"'
        errors = "dataflow_connector_errors_total{", 'connector_name="source"', 'operation="read"', 'error_type="connection_error"'
        process = self.start(self.flow(self.source(self.topic()), self.file()), "--metrics", str(port))
        wait_until(lambda: "the group gives" in process.log())
        self.assertEqual((value(connected), value(errors)), (1, 0))
        services.script("kafka", "stop")
        wait_until(lambda: value(errors) > 0, what="an error")
        self.assertEqual(value(connected), 0)
        services.script("kafka", "start")
        wait_until(lambda: value(connected) == 1, what="connected again")
        self.assertIn("brokers answer again", process.log())
        self.stop(process)

    def test_stops_at_once_without_a_broker(self):
        with Proxy(("127.0.0.1", 1)) as proxy:
            proxy.refuse = True
            source = {"type": "kafka", "config": {"brokers": [f"127.0.0.1:{proxy.port}"], "topic": "t", "consumerGroup": "g"}}
            process = self.start(self.flow(source, self.file()))
            wait_until(lambda: "does not answer" in process.log())
            before = time.monotonic()
            self.stop(process)
            self.assertLess(time.monotonic() - before, 30)

    def into_pipe(self, manifest, *args):
        """The program, whose standard output nobody reads yet."""
        log = open(self.dir / "log.txt", "w")
        process = subprocess.Popen([DATAFLOW, "run", "--progress", "none", "--log-format", "json", *args, manifest],
                                   stdout=subprocess.PIPE, stderr=log, env=self.environment(LOG_LEVEL="debug"))
        log.close()
        process.log = (self.dir / "log.txt").read_text
        self.running.append(process)
        return process

    def test_a_partition_that_comes_back_is_read_on(self):
        """Taken away while reading paused, given back when it does not: nobody pauses it any more."""
        topic, rows = self.topic(partitions=2), 4000
        self.produce(topic, [{"value": json.dumps({"n": i, "text": "x" * 500}), "partition": i % 2} for i in range(rows)])
        fast = {"sessionTimeoutSeconds": 6, "heartbeatIntervalSeconds": 1}
        process = self.into_pipe(self.flow(self.source(topic, **fast), {"type": "stdout", "config": {}}))
        wait_until(lambda: "reading pauses" in process.log(), what="a full pipe")
        other = self.start(self.flow(self.source(topic, **fast), self.file(), name="other"), POD_NAME="other")
        time.sleep(2)
        seen = []
        reading = threading.Thread(target=lambda: seen.extend(json.loads(line)["n"] for line in process.stdout), daemon=True)
        reading.start()
        wait_until(lambda: "gives 1 partition" in other.log(), 60, "a partition for the other")
        wait_until(lambda: sum(self.committed(self.name, topic).values()) == rows, 60, "everything is read")
        self.stop(other)
        wait_until(lambda: process.log().count("the group gives 2 partitions") == 2, 60, "both partitions again")
        self.produce(topic, [{"value": json.dumps({"n": rows + i}), "partition": i % 2} for i in range(10)])
        wait_until(lambda: {*range(rows, rows + 10)} <= set(seen), 20, "what comes later")
        self.stop(process)
        reading.join()
        process.stdout.close()

    def test_slow_sink_stays_in_the_group(self):
        """The sink stands still for longer than the poll interval: reading pauses, the membership is kept."""
        topic = self.topic()
        rows = 5000
        self.produce(topic, [json.dumps({"n": i, "text": "x" * 500}) for i in range(rows)])
        manifest = self.flow(self.source(topic, extra={"max.poll.interval.ms": "6000"}, sessionTimeoutSeconds=6, heartbeatIntervalSeconds=1),
                             {"type": "stdout", "config": {}})
        process = self.into_pipe(manifest, "--once")
        time.sleep(9)
        lines = process.stdout.read().splitlines()
        process.stdout.close()
        self.assertEqual(process.wait(30), 0, process.log()[-2000:])
        self.assertEqual([json.loads(line)["n"] for line in lines], list(range(rows)))
        self.assertIn("reading pauses", process.log())
        self.assertEqual(process.log().count("the group gives"), 1)
        self.assertEqual(self.committed(self.name, topic), {0: rows})
