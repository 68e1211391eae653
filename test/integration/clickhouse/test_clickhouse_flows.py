"""Whole pipelines: files and the other stores, in and out, with digits, times and order kept."""
import json
import unittest

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


if __name__ == "__main__":
    unittest.main()
