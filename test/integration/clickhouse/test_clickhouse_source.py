"""Reading tables and queries, and going on where it stood."""
import json
import unittest

from clickhouse_kit import ClickHouseTest, everywhere


class Source(ClickHouseTest):
    def checkpoint(self):
        return json.loads(next((self.dir / "state").rglob("checkpoint.json")).read_text())["clickhouse"]

    @everywhere
    def test_goes_on_where_it_stood(self, server, transport):
        self.create(server, "events", "id UInt64, created_at Nullable(DateTime), v String")
        server.sql("INSERT INTO events VALUES (2, toDateTime(1700000000), 'a'), (1, toDateTime(1700000000), 'b'), (3, NULL, 'c')")
        for batch in (0, 1, 2):
            with self.subTest(readBatchSize=batch):
                rows = self.read(server, transport, table="events", readBatchSize=batch)
                self.assertEqual([(r["id"], r["v"]) for r in rows], [(1, "b"), (2, "a"), (3, "c")])
        server.sql("INSERT INTO events VALUES (9, toDateTime(1700000000), 'd'), (0, toDateTime(1700000001), 'e'), (4, NULL, 'f')")
        rows = self.read(server, transport, table="events", readBatchSize=1, args=())
        self.assertEqual([r["v"] for r in rows], ["d", "e", "f"])
        self.assertEqual(self.checkpoint()["lastReadChangeTime"], "2023-11-14T22:13:21Z")
        self.assertEqual(self.checkpoint()["lastReadOrderByValue"], 0)
        self.assertEqual(self.read(server, transport, table="events", args=()), [])
        self.assertNotIn("error", self.done.err)

    @everywhere
    def test_many_equal_values_are_not_cut(self, server, transport):
        self.create(server, "ties", "id UInt64, created_at DateTime")
        server.sql("INSERT INTO ties SELECT intDiv(number, 7), toDateTime(1700000000) FROM numbers(100)")
        rows = self.read(server, transport, table="ties", readBatchSize=3)
        self.assertEqual([r["id"] for r in rows], sorted(i // 7 for i in range(100)))

    def test_any_type_can_be_a_position(self):
        types = [("Int128", "number * 10000000000000000000000"), ("UInt64", "18446744073709551610 + number"), ("Float64", "number / 3"),
                 ("Decimal(38, 10)", "number / 8"), ("Date", "toDate(19000 + number)"), ("Date32", "toDate32('1950-01-01') + number"),
                 ("DateTime64(9, 'UTC')", "toDateTime64('2024-01-01 00:00:00.123456789', 9, 'UTC') + number"),
                 ("String", "concat('it\\'s \\\\ ', toString(number))"), ("FixedString(4)", "toString(1000 + number)"),
                 ("UUID", "toUUID(concat('61f0c404-5cb3-11e7-907b-a6006ad3dba', toString(number)))"),
                 ("IPv4", "toIPv4(concat('10.0.0.', toString(number)))"), ("LowCardinality(String)", "toString(number)"),
                 ("Enum8('a' = 0, 'b' = 1, 'c' = 2, 'd' = 3, 'e' = 4, 'f' = 5)", "number")]
        for kind, value in types:
            with self.subTest(type=kind):
                self.create(self.new, "positions", f"k {kind}, v UInt64")
                self.new.sql(f"INSERT INTO positions SELECT {value}, number FROM numbers(3)")
                config = dict(table="positions", changeTrackingColumn="k", orderByColumn="v", readBatchSize=2)
                self.assertEqual([r["v"] for r in self.read(self.new, **config)], [0, 1, 2])
                self.new.sql(f"INSERT INTO positions SELECT {value}, number FROM numbers(3, 3)")
                self.assertEqual([r["v"] for r in self.read(self.new, args=(), **config)], [3, 4, 5])

    @everywhere
    def test_queries(self, server, transport):
        self.create(server, "base", "id UInt64, created_at DateTime, v UInt64")
        server.sql("INSERT INTO base SELECT number, toDateTime(1700000000 + number), number * 2 FROM numbers(10)")
        query = "SELECT id, created_at, v + 1 AS w FROM base WHERE v < 10 -- a comment;"
        rows = self.read(server, transport, query=query, changeTrackingColumn="created_at")
        self.assertEqual([r["w"] for r in rows], [1, 3, 5, 7, 9])
        server.sql("INSERT INTO base VALUES (100, toDateTime(1700001000), 0)")
        rows = self.read(server, transport, args=(), query=query, changeTrackingColumn="created_at")
        self.assertEqual([r["id"] for r in rows], [100])
        rows = self.read(server, transport, query="SELECT id, created_at FROM base WHERE id > 7 ORDER BY id DESC;")
        self.assertEqual([r["id"] for r in rows], [8, 9, 100])
        rows = self.read(server, transport, query="SELECT 1 AS one")
        self.assertEqual(rows, [{"one": 1}])
        self.assertIn("the order in which the server has them", self.done.err)

    @everywhere
    def test_errors_name_the_place_and_the_fix(self, server, transport):
        self.create(server, "plain", "a UInt8, arr Array(UInt8)")
        cases = [({"table": "nothing_here"}, "doesn't exist" if server.old else "does not exist"),
                 ({"table": "nowhere.t"}, "nowhere"), ({"table": "plain"}, "set changeTrackingColumn or orderByColumn"),
                 ({"table": "plain", "orderByColumn": "arr"}, "must be a number, a text or a time"),
                 ({"query": "SELECT 1 AS a", "changeTrackingColumn": "t"}, "the query gives no column t"),
                 ({"query": "SELECT broken FROM"}, "ClickHouse error 62")]
        for config, text in cases:
            with self.subTest(text=text):
                self.read(server, transport, expect=1, **config)
                self.assertIn(text, self.done.err)
                self.assertNotIn("dataflow-secret", self.done.err)

    @everywhere
    def test_settings_reach_the_server(self, server, transport):
        rows = self.read(server, transport, query="SELECT value FROM system.settings WHERE name IN ('max_block_size', 'max_execution_time') "
                         "ORDER BY name", parameters={"max_block_size": "12345", "max_execution_time": "60"})
        self.assertEqual(sorted(r["value"] for r in rows), ["12345", "60"])

    def test_metadata_and_bytes(self):
        self.create(self.new, "meta", "id UInt64, created_at DateTime, s String")
        self.new.sql("INSERT INTO meta VALUES (7, now(), unhex('ff'))")
        self.flow("clickhouse", {"connectionString": self.new.url(), "table": "meta"}, "file",
                  {"path": str(self.dir / "out.jsonl")},
                  transformations=[{"type": "insertField", "config": {"fields": {"t": "${metadata.table}", "i": "${metadata.id}"}}}])
        self.run_flow("--reset-checkpoint")
        row = self.read_jsonl("out.jsonl")[0]
        self.assertEqual((row["s"], row["t"], row["i"]), ("/w==", "meta", "7"))

    @everywhere
    def test_names_that_are_not_utf8(self, server, transport):
        """Labels become bytes, and positions all the same; a column must get another name."""
        self.create(server, "latin", "k Enum8('a' = 0, '\\xe1' = 1, '\\xe2' = 2, 'z' = 3), v UInt64, `c\\xe9` UInt8")
        config = dict(query="SELECT k, v FROM latin", changeTrackingColumn="k", orderByColumn="v", readBatchSize=1)
        server.sql("INSERT INTO latin VALUES ('a', 1, 0)('\\xe1', 2, 0)('\\xe1', 3, 0)")
        self.assertEqual([r["k"] for r in self.read(server, transport, **config)], ["a", "4Q==", "4Q=="])
        server.sql("INSERT INTO latin VALUES ('\\xe1', 4, 0)('\\xe2', 5, 0)('z', 6, 0)")
        self.assertEqual([r["v"] for r in self.read(server, transport, args=(), **config)], [4, 5, 6])
        self.read(server, transport, expect=1, table="latin", orderByColumn="v")
        self.assertIn("is not valid UTF-8, so no document can hold it", self.done.err)

    def test_an_old_checkpoint_goes_on(self):
        self.create(self.new, "legacy", "id UInt64, created_at DateTime")
        self.new.sql("INSERT INTO legacy SELECT number, toDateTime(1700000000 + number) FROM numbers(5)")
        self.read(self.new, table="legacy")
        path = next((self.dir / "state").rglob("checkpoint.json"))
        whole = json.loads(path.read_text())
        whole["clickhouse"] = {"lastReadTime": "2023-11-14 22:13:22", "lastReadID": 2}
        path.write_text(json.dumps(whole))
        self.assertEqual([r["id"] for r in self.read(self.new, table="legacy", args=())], [3, 4])

    @everywhere
    def test_a_large_block(self, server, transport):
        """A million rows in one block, flat in memory before and after."""
        query = "SELECT number AS id, toDateTime(1700000000 + intDiv(number, 1000)) AS created_at, toString(number) AS s FROM numbers(1000000)"
        self.flow("clickhouse", {"connectionString": server.url(transport, max_block_size=1000000, max_threads=1), "query": query,
                                 "changeTrackingColumn": "created_at"}, "discard", {})
        done = self.run_flow("--reset-checkpoint", "--progress", "json")
        self.assertEqual(self.summary(done)["written"], 1000000)


if __name__ == "__main__":
    unittest.main()
