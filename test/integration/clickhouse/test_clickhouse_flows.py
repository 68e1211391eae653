"""Whole pipelines: files and the other stores, in and out, with digits, times and order kept."""
import json
import os
import subprocess
import time
import unittest

import services
from clickhouse_kit import ClickHouseTest, everywhere

ROW = {"id": 1, "name": "h\u00e9llo", "price": 10.5, "at": "2024-01-02T03:04:05.123456Z", "ok": True, "tags": ["a", "b"]}


class Flows(ClickHouseTest):
    @everywhere
    def test_file_to_clickhouse_to_file(self, server, transport):
        kinds = "id UInt64, name String, price Decimal(18, 4), at " + ("String" if server.old else "DateTime64(6)") + \
            ", ok UInt8, tags Array(String), created_at DateTime"
        self.create(server, "flow_table", kinds)
        rows = [{**ROW, "id": i, "created_at": "2024-01-01T00:00:00Z"} for i in range(10000)]
        self.load(server, rows, transport, table="flow_table", batchSize=3000)
        back = self.read(server, transport, table="flow_table")
        self.assertEqual([r["id"] for r in back], list(range(10000)))
        self.assertEqual({k: v for k, v in back[7].items() if k in ROW}, {**ROW, "id": 7, "ok": 1})
        self.assertIn('"price":10.5000', (self.dir / "out.jsonl").read_text().splitlines()[0])

    def test_old_to_new_and_back(self):
        columns = "id UInt64, created_at DateTime, s String, d Decimal(18, 4), n Nullable(Int32), a Array(String)"
        self.create(self.old, "travel", columns)
        self.create(self.new, "travel", columns)
        self.create(self.old, "travel_back", columns)
        self.old.sql("INSERT INTO travel SELECT number, toDateTime(1700000000 + number), toString(number), toDecimal64(number, 4) / 8, "
                     "if(number % 3 = 0, NULL, number), [toString(number), 'x'] FROM numbers(20000)")
        for source, sink, table, target, ways in ((self.old, self.new, "travel", "travel", ("native", "http")),
                                                  (self.new, self.old, "travel", "travel_back", ("http", "native"))):
            self.flow("clickhouse", {"connectionString": source.url(ways[0], compress="lz4"), "table": table}, "clickhouse",
                      self.sink(sink, ways[1], {"compress": "lz4"}, table=target, batchSize=7000))
            self.run_flow("--reset-checkpoint")
        self.assertTrue(self.old.sql("SELECT * FROM travel_back ORDER BY id FORMAT TSV") ==
                        self.old.sql("SELECT * FROM travel ORDER BY id FORMAT TSV"))

    def test_error_sink_in_clickhouse(self):
        """Records of what failed, in a table that is made for them."""
        self.create(self.new, "strict", "id UInt8")
        self.drop(self.new, "failures")
        self.jsonl("in.jsonl", [{"id": 1}, {"id": 1000}, {"id": 2}])
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "clickhouse", self.sink(self.new, table="strict"), extra=(
            "  errors:\n    type: clickhouse\n    config: " + json.dumps(self.sink(self.new, table="failures", autoCreateTable=True)) + "\n"))
        self.run_flow("--reset-checkpoint")
        self.assertEqual(self.new.rows("SELECT id FROM strict ORDER BY id"), [["1"], ["2"]])
        error, original = self.new.rows("SELECT error, original_message FROM failures")[0]
        self.assertEqual(json.loads(original), {"id": 1000})
        self.assertIn("out of range", json.loads(error.replace('\\\\', '\\'))["message"])


class Others(ClickHouseTest):
    """From the other stores; they run beside both servers for as long as this takes."""

    def test_postgresql_to_clickhouse(self):
        env = services.use("clickhouse", "clickhouse-modern", "postgresql")
        sql = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", env["POSTGRESQL_URL"], "-c"]
        subprocess.run(sql + ["DROP TABLE IF EXISTS travel"], check=True)
        subprocess.run(sql + ["CREATE TABLE travel (id bigint PRIMARY KEY, updated_at timestamptz, wall timestamp, amount numeric(20, 5), doc jsonb, "
                              "u uuid, b bytea, d date, f double precision, t text, ok boolean)"], check=True)
        subprocess.run(sql + ["INSERT INTO travel SELECT i, timestamptz '2024-01-01 00:00:00.123456+02' + i * interval '1 s', "
                              "timestamp '2024-01-01', i / 8.0, '{\"a\": 1.50}', '61f0c404-5cb3-11e7-907b-a6006ad3dba0', 'ab', "
                              "'1950-01-01', 0.1, 'text', true FROM generate_series(1, 5000) i"], check=True)
        for server in (self.old, self.new):
            with self.subTest(server=server.name):
                self.drop(server, "travelled")
                self.flow("postgresql", {"connectionString": env["POSTGRESQL_URL"], "table": "travel"}, "clickhouse",
                          self.sink(server, table="travelled", autoCreateTable=True, batchSize=1000,
                                    **({"unknownFields": "ignore"} if server.old else {})),
                          # Date begins in 1970 there.
                          transformations=[{"type": "remove", "config": {"fields": ["d", "updated_at"]}}] if server.old else [])
                self.run_flow("--reset-checkpoint")
                self.assertEqual(server.rows("SELECT count(), sum(id), sum(amount) FROM travelled"),
                                 [["5000", "12502500", "1562812.50000"] if server.old else ["5000", "12502500", "1562812.5"]])
        types = dict(row[:2] for row in self.new.rows("DESCRIBE TABLE travelled"))
        self.assertEqual({k: types[k] for k in ("id", "updated_at", "wall", "amount", "doc", "u", "d", "f", "ok")}, {
            "id": "Int64", "updated_at": "Nullable(DateTime64(6, \\'UTC\\'))", "wall": "Nullable(DateTime64(6, \\'UTC\\'))",
            "amount": "Nullable(Decimal(38, 5))", "doc": "Nullable(String)", "u": "Nullable(UUID)", "d": "Nullable(Date32)",
            "f": "Nullable(Float64)", "ok": "Nullable(Bool)"})
        self.assertEqual(self.new.rows("SELECT updated_at, wall, doc, d, b FROM travelled WHERE id = 1"),
                         [["2023-12-31 22:00:01.123456", "2024-01-01 00:00:00.000000", '{"a":1.50}', "1950-01-01", "ab"]])

    def test_kafka_to_clickhouse(self):
        env = services.use("clickhouse", "clickhouse-modern", "kafka")
        topic = f"clickhouse-{os.getpid()}-{time.monotonic_ns()}"
        kafka = {"brokers": env["KAFKA_BROKERS"].split(","), "topic": topic}
        self.jsonl("in.jsonl", [{"id": i, "name": f"n{i}", "at": "2024-01-02T03:04:05.5Z"} for i in range(20000)])
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "kafka", {**kafka, "autoCreateTopic": True})
        self.run_flow("--reset-checkpoint")
        for server in (self.old, self.new):
            with self.subTest(server=server.name):
                self.create(server, "from_kafka", "id UInt64, name LowCardinality(String), at " + ("String" if server.old else "DateTime64(3)"))
                self.flow("kafka", {**kafka, "consumerGroup": f"{topic}-{server.name}"}, "clickhouse",
                          self.sink(server, table="from_kafka", batchSize=5000))
                self.run_flow()
                self.assertEqual(server.rows("SELECT count(), uniqExact(id), min(toString(at)) FROM from_kafka")[0][:2], ["20000", "20000"])


if __name__ == "__main__":
    unittest.main()
