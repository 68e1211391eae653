"""From Kafka to Trino: records into a table, once each over two runs of the group, and what is no row into the error sink."""
import json
import unittest
import uuid

import peers
import services
from trino_kit import TrinoTest

peers.need("confluent-kafka==2.16.1")
from confluent_kafka import Producer  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402


class FromKafka(TrinoTest):
    @classmethod
    def setUpClass(cls):
        cls.server = services.use("trino", "kafka")
        cls.brokers = cls.server["KAFKA_BROKERS"]

    def produce(self, topic, first, count, *more):
        producer = Producer({"bootstrap.servers": self.brokers, "log_level": 0})
        for i in range(first, first + count):
            producer.produce(topic, json.dumps({"id": i, "name": f"it's {i}", "price": f"{i}.10", "at": "2024-01-15T10:30:00.5Z"}), str(i))
        for value in more:
            producer.produce(topic, value)
        self.assertEqual(producer.flush(30), 0)

    def test_records_into_a_table(self):
        topic = f"to-trino-{uuid.uuid4().hex[:8]}"
        admin = AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})
        admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(30)
        self.drop("memory.default.from_kafka")
        self.sql("CREATE TABLE memory.default.from_kafka (id bigint, name varchar, price decimal(20, 2), at timestamp(3) with time zone)")
        self.flow("kafka", {"brokers": [self.brokers], "topic": topic, "consumerGroup": topic}, "trino",
                  self.connection(table="from_kafka", batchSize=200),
                  extra=f"  errors:\n    type: file\n    config: {{path: {self.dir}/errors.jsonl}}\n")
        self.produce(topic, 0, 1000, b"no JSON", b'{"id": "no number"}')
        self.run_flow()
        self.produce(topic, 1000, 500)
        self.run_flow()
        self.assertEqual(self.sql("SELECT count(*), count(DISTINCT id), CAST(sum(price) AS varchar), max(name), "
                                  "CAST(max(at) AS varchar) FROM memory.default.from_kafka"),
                         [[1500, 1500, f"{sum(range(1500)) + 150}.00", "it's 999", "2024-01-15 10:30:00.500 UTC"]])
        records = [json.loads(line) for line in (self.dir / "errors.jsonl").read_text().splitlines()]
        self.assertEqual(len(records), 2)
        self.assertEqual({r["error"]["metadata"]["topic"] for r in records}, {topic})


if __name__ == "__main__":
    unittest.main()
