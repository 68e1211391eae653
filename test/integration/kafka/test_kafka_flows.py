"""Whole flows: every transformation between two topics, and PostgreSQL on the other side."""
import json
import subprocess

from kafkacase import KafkaCase, services

TRANSFORMATIONS = [
    {"type": "debeziumUnwrap", "config": {"addOperationFields": True}},
    {"type": "filter", "config": {"condition": "status == 'active'"}},
    {"type": "flatten", "config": {"field": "items"}},
    {"type": "headersToPayload", "config": {"mappings": ["trace:traceId"]}},
    {"type": "insertField", "config": {"fields": {"origin": "${metadata.topic}", "version": "json:2"}}},
    {"type": "mask", "config": {"fields": ["email"], "keepLength": True}},
    {"type": "replaceField", "config": {"renames": ["orderId:id"]}},
    {"type": "cast", "config": {"spec": {"id": "string"}}},
    {"type": "timezone", "config": {"timezone": "Europe/Berlin", "fields": ["at"]}},
    {"type": "select", "config": {"fields": ["id", "email", "item", "traceId", "origin", "version", "at", "address", "secret", "sku"]}},
    {"type": "remove", "config": {"fields": ["secret"]}},
    {"type": "structFlatten", "config": {"delimiter": "_"}},
    {"type": "camelCase", "config": {"deep": True}},
    {"type": "snakeCase", "config": {"deep": True}},
    {"type": "hoistField", "config": {"field": "order"}},
    {"type": "extractField", "config": {"field": "order"}},
    {"type": "timestamp"},
]


class Chain(KafkaCase):
    def test_every_transformation(self):
        topic, out, closed = self.topic(), self.topic("out"), self.topic("closed")
        order = {"orderId": 7, "status": "active", "email": "a@b.c", "items": [{"sku": "x"}, {"sku": "y"}], "secret": 1,
                 "at": "2024-01-15T10:30:00Z", "address": {"zip": "1"}}
        self.produce(topic, [{"key": b"k", "headers": [("trace", b"t-1")],
                              "value": json.dumps({"payload": {"op": "c", "before": None, "after": dict(order, status=s)}})}
                             for s in ("active", "closed")])
        router = {"type": "router", "config": {"routes": [{"condition": "sku == 'y'", "sink": self.sink(closed)}]}}
        self.run_once(self.flow(self.source(topic), self.sink(out), [*TRANSFORMATIONS, router]))
        record, = self.consume(out)
        row = json.loads(record.value())
        self.assertEqual((record.key(), record.headers()), (b"k", [("trace", b"t-1")]))
        self.assertEqual((row["id"], row["trace_id"], row["origin"], row["version"], row["address_zip"]), ("7", "t-1", topic, 2, "1"))
        self.assertIn("created_at", row)
        self.assertEqual(len(self.consume(closed)), 1)
        self.assertEqual(self.committed(self.name, topic), {0: 2})


class Database(KafkaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kafka = services.use("kafka", "postgresql")
        cls.url = cls.kafka["POSTGRESQL_URL"]

    def sql(self, text):
        done = subprocess.run(["psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", self.url, "-c", text], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def table(self, columns):
        name = "t_" + self.name.replace("-", "_")[-20:]
        self.sql(f"CREATE TABLE {name} ({columns})")
        self.addCleanup(self.sql, f"DROP TABLE {name}")
        return name

    def test_topic_into_table(self):
        topic, table = self.topic(partitions=3), self.table("id int PRIMARY KEY, name text")
        self.produce(topic, [{"key": f"{i}", "value": json.dumps({"id": i, "name": f"n{i}"})} for i in range(5000)])
        sink = {"type": "postgresql", "config": {"connectionString": self.url, "table": table, "upsertMode": True}}
        self.run_once(self.flow(self.source(topic), sink))
        self.assertEqual(self.sql(f"SELECT count(*), sum(id) FROM {table}"), f"5000|{sum(range(5000))}")
        self.assertEqual(self.committed(self.name, topic), self.ends(topic))

    def test_compacted_topic_into_table_with_soft_delete(self):
        topic = self.topic(cleanup_policy="compact")
        table = self.table("id int PRIMARY KEY, name text, deleted_at timestamptz")
        envelope = [{"key": json.dumps({"id": i}), "value": json.dumps({"payload": {"op": "c", "after": {"id": i, "name": f"n{i}"}}})} for i in range(5)]
        self.produce(topic, [*envelope, {"key": json.dumps({"id": 3}), "value": None}])
        sink = {"type": "postgresql", "config": {"connectionString": self.url, "table": table, "upsertMode": True,
                                                 "softDeleteColumn": "deleted_at"}}
        unwrap = [{"type": "debeziumUnwrap", "config": {"inferDeleteFromTombstone": True}}]
        self.run_once(self.flow(self.source(topic), sink, unwrap))
        self.assertEqual(self.sql(f"SELECT string_agg(id::text, ',' ORDER BY id) FROM {table} WHERE deleted_at IS NOT NULL"), "3")
        self.assertEqual(self.sql(f"SELECT count(*) FROM {table}"), "5")

    def test_table_into_topic(self):
        table, out = self.table("id int PRIMARY KEY, name text, updated_at timestamptz DEFAULT now()"), self.topic("out", partitions=2)
        self.sql(f"INSERT INTO {table} SELECT i, 'n' || i FROM generate_series(1, 2000) i")
        source = {"type": "postgresql", "config": {"connectionString": self.url, "table": table}}
        self.run_once(self.flow(source, self.sink(out)))
        records = self.consume(out)
        self.assertEqual(sorted(json.loads(r.value())["id"] for r in records), list(range(1, 2001)))
        self.assertEqual({(r.key(), json.loads(r.value())["id"]) for r in records}, {(b"%d" % i, i) for i in range(1, 2001)})
