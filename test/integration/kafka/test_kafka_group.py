"""Several processes of one group: members come, go and are killed while messages flow; exactly once, kafka to kafka.

DATAFLOW_LONG=1: 100,000 messages instead of 30,000, and every strategy.
"""
import json
import random
import signal
import threading
import time
import unittest
from collections import Counter

from kafkacase import KafkaCase, LONG, Producer, wait_until

MESSAGES = 100000 if LONG else 30000
KEYS = 200
FAST = {"sessionTimeoutSeconds": 6, "heartbeatIntervalSeconds": 1}


class Group(KafkaCase):
    def feed(self, topic, seconds):
        """Produces MESSAGES numbered per key, spread over the time, from a thread of its own."""
        def run():
            producer = Producer({"bootstrap.servers": self.brokers, "linger.ms": 5, "enable.idempotence": True, "log_level": 0})
            start = time.monotonic()
            for i in range(MESSAGES):
                while True:
                    try:
                        producer.produce(topic, json.dumps({"n": i}), f"k{i % KEYS}")
                        break
                    except BufferError:
                        producer.poll(0.1)
                if i % 500 == 0:
                    producer.poll(0)
                    time.sleep(max(0, start + seconds * i / MESSAGES - time.monotonic()))
            producer.flush(60)
        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def member(self, manifest, number):
        return self.start(manifest, POD_NAME=f"pod-{number}")

    def churn(self, manifest, feeding, stop=signal.SIGTERM, seed=1):
        """Three members; while the messages come, one after the other is stopped or killed and comes back, and a fourth joins."""
        chance = random.Random(seed)
        members = {n: self.member(manifest, n) for n in range(3)}
        time.sleep(1)
        members[3] = self.member(manifest, 3)
        while feeding.is_alive():
            n = chance.randrange(4)
            members[n].send_signal(stop)
            code = members[n].wait(60)
            self.assertEqual(code, 0 if stop == signal.SIGTERM else -stop, members[n].log()[-2000:])
            time.sleep(chance.uniform(0.1, 1.0))
            members[n] = self.member(manifest, n)
            time.sleep(chance.uniform(0.5, 1.5))
        return members

    def finish(self, members, topic, seconds=90):
        wait_until(lambda: self.committed(self.name, topic) == {p: end for p, end in self.ends(topic).items() if end}, seconds,
                   "the group at the end of the topic")
        for process in members.values():
            self.stop(process)

    def check(self, records, doubled=None):
        """Nothing missing; of a key, first appearances in order."""
        seen, last = Counter(), {}
        for record in records:
            n = json.loads(record.value())["n"]
            if not seen[n]:
                self.assertGreater(n, last.get(record.key(), -1), "order of a key")
                last[record.key()] = n
            seen[n] += 1
        self.assertEqual(len(set(range(MESSAGES)) - set(seen)), 0, "messages are missing")
        self.assertEqual(len(seen), MESSAGES)
        if doubled is not None:
            self.assertEqual(sum(c - 1 for c in seen.values()), doubled, "doubled")

    def run_group(self, stop, doubled, strategy="roundrobin", exactly_once=False, isolation="read_committed"):
        topic, out = self.topic(partitions=6), self.topic("out", partitions=4)
        sink = self.sink(out, exactlyOnce=exactly_once)
        manifest = self.flow(self.source(topic, assignmentStrategy=strategy, **FAST), sink, [{"type": "timestamp"}])
        members = self.churn(manifest, self.feed(topic, 25 if LONG else 12), stop)
        self.finish(members, topic)
        self.check(self.consume(out, isolation), doubled)

    def test_sigterm_doubles_nothing(self):
        self.run_group(signal.SIGTERM, 0)

    def test_killed_cooperative(self):
        self.run_group(signal.SIGKILL, None, "cooperative-sticky")

    @unittest.skipUnless(LONG, "a long form: DATAFLOW_LONG=1")
    def test_sigterm_cooperative(self):
        self.run_group(signal.SIGTERM, 0, "cooperative-sticky")

    @unittest.skipUnless(LONG, "a long form: DATAFLOW_LONG=1")
    def test_killed(self):
        self.run_group(signal.SIGKILL, None)

    def test_exactly_once_killed(self):
        self.run_group(signal.SIGKILL, 0, exactly_once=True)

    @unittest.skipUnless(LONG, "a long form: DATAFLOW_LONG=1")
    def test_exactly_once_sigterm(self):
        self.run_group(signal.SIGTERM, 0, "cooperative-sticky", exactly_once=True)


class ExactlyOnce(KafkaCase):
    def test_one_process_killed_again_and_again(self):
        topic, out = self.topic(partitions=3), self.topic("out")
        self.produce(topic, [{"key": f"k{i % 7}", "value": json.dumps({"n": i})} for i in range(20000)])
        manifest = self.flow(self.source(topic, **FAST), self.sink(out, exactlyOnce=True), [{"type": "timestamp"}])
        for round_number in range(5):
            process = self.start(manifest, POD_NAME="pod")
            time.sleep(0.4 + round_number * 0.1)
            process.kill()
            process.wait()
        self.run_once(manifest, POD_NAME="pod", seconds=90)
        numbers = [json.loads(r.value())["n"] for r in self.consume(out)]
        self.assertEqual(Counter(numbers), Counter(range(20000)))

    def test_poison_is_taken_out(self):
        topic, out = self.topic(), self.topic("out", max_message_bytes=2000)
        self.produce(topic, [json.dumps({"n": i, "text": "x" * (3000 if i == 50 else 10)}) for i in range(100)])
        self.run_once(self.flow(self.source(topic), self.sink(out, exactlyOnce=True), errors=self.file("errors.jsonl")))
        self.assertEqual([json.loads(r.value())["n"] for r in self.consume(out)], [i for i in range(100) if i != 50])
        self.assertEqual(self.lines("errors.jsonl")[0]["original_message"]["n"], 50)
        self.assertEqual(self.committed(self.name, topic), {0: 100})

    def test_fenced(self):
        """A second process with the transactional id shuts the first one out, which stops."""
        topic, out = self.topic(partitions=2), self.topic("out")
        manifest = self.flow(self.source(topic, **FAST), self.sink(out, exactlyOnce=True, transactionalId=self.name))
        first = self.start(manifest, POD_NAME="one")
        self.produce(topic, [{"value": json.dumps({"n": i}), "partition": i % 2} for i in range(100)])
        wait_until(lambda: sum(self.committed(self.name, topic).values()) == 100)
        second = self.start(manifest, POD_NAME="two")
        wait_until(lambda: "the group gives" in second.log())
        time.sleep(1)
        self.produce(topic, [{"value": json.dumps({"n": i}), "partition": i % 2} for i in range(100, 200)])
        self.assertEqual(first.wait(30), 1)
        self.assertIn("transactionalId", first.log())
        wait_until(lambda: sum(self.committed(self.name, topic).values()) == 200, 60, "the second does it all")
        self.stop(second)
        numbers = [json.loads(r.value())["n"] for r in self.consume(out)]
        self.assertEqual(Counter(numbers), Counter(range(200)))

    def test_needs_a_kafka_source(self):
        log = self.run_once(self.flow(self.from_file({"n": 1}), self.sink(self.topic("out"), exactlyOnce=True)), code=2)
        self.assertIn("spec.sink.config.exactlyOnce: exactlyOnce of a kafka sink needs a kafka source", log)


class Static(KafkaCase):
    def test_a_member_that_comes_back_causes_no_rebalance(self):
        topic = self.topic(partitions=2)
        source = self.source(topic, groupInstanceId="flow-${POD_NAME}", sessionTimeoutSeconds=20, heartbeatIntervalSeconds=1)
        out = self.topic("out")
        manifest = self.flow(source, self.sink(out))
        one = self.start(manifest, POD_NAME="one")
        wait_until(lambda: "gives 2 partitions" in one.log())
        two = self.start(manifest, POD_NAME="two")
        wait_until(lambda: "gives 1 partition" in two.log())
        self.stop(two)
        before = one.log().count("the group")
        two = self.start(manifest, POD_NAME="two")
        wait_until(lambda: "gives 1 partition" in two.log())
        self.produce(topic, [{"value": b'{"i": 0}', "partition": 0}, {"value": b'{"i": 1}', "partition": 1}])
        wait_until(lambda: self.ends(out) == {0: 2})
        self.assertEqual(one.log().count("the group"), before)
        self.stop(one)
        self.stop(two)
