"""What the sink makes of messages: tables, columns, conversions, keys, tokens."""
import json
import unittest

from clickhouse_kit import ClickHouseTest, everywhere

HOSTILE = ["a`b", "a\\b", "a'b", 'a"b', "a b", "a;--", "\u00e4\u00f6", "DROP TABLE x", "a)(", "1"]


class Created(ClickHouseTest):
    @everywhere
    def test_columns_are_inferred_from_the_whole_batch(self, server, transport):
        self.drop(server, "made")
        rows = [{"id": 1, "name": "a", "price": 1.5, "at": "2024-01-02T03:04:05Z", "ok": True, "o": {"a": 1}, "big": 1},
                {"id": 2, "price": 2, "at": "2024-01-02T03:04:06Z", "big": 18446744073709551615, "more": None}]
        self.assertEqual(self.load(server, rows, transport, table="made", autoCreateTable=True), [])
        types = dict(row[:2] for row in server.rows("DESCRIBE TABLE made"))
        self.assertEqual(types["id"], "Int64")
        self.assertEqual(types["price"], "Nullable(Float64)")
        self.assertEqual(types["created_at"], "DateTime")
        self.assertIn("String", types["more"])
        if server.old:
            self.assertEqual((types["ok"], types["big"]), ("Nullable(UInt8)", "Nullable(Decimal(38, 0))"))
        else:
            self.assertEqual((types["ok"], types["big"], types["at"]),
                             ("Nullable(Bool)", "Nullable(Int128)", "Nullable(DateTime64(6, \\'UTC\\'))"))
        self.assertEqual(server.rows("SELECT id, name, price, o, big, more FROM made ORDER BY id"),
                         [["1", "a", "1.5", '{"a":1}', "1", "\\N"], ["2", "\\N", "2", "\\N", "18446744073709551615", "\\N"]])

    def test_engine_and_key(self):
        rows = [{"k": 1, "v": 1, "x": "old"}, {"k": 1, "v": 2, "x": "new"}]
        self.drop(self.new, "replaced")
        self.load(self.new, rows, table="replaced", autoCreateTable=True, upsertMode=True, conflictKey="k", replacingVersionColumn="v")
        engine = self.new.sql("SELECT engine_full FROM system.tables WHERE name = 'replaced'")
        self.assertRegex(engine, r"ReplacingMergeTree\(v\) ORDER BY \(?k\)?")
        self.assertEqual(self.new.rows("SELECT x FROM replaced FINAL"), [["new"]])
        for config, text in (({"upsertMode": True}, "set conflictKey"), ({"upsertMode": True, "conflictKey": "nokey"}, "nokey"),
                             ({"upsertMode": True, "conflictKey": "k", "replacingVersionColumn": "x"}, "as version")):
            self.drop(self.new, "refused")
            self.load(self.new, rows, expect=1, errors=False, table="refused", autoCreateTable=True, **config)
            self.assertIn(text, self.done.err)
            self.assertEqual(self.new.sql("EXISTS TABLE refused").strip(), "0")

    @everywhere
    def test_raw_mode(self, server, transport):
        self.drop(server, "raw")
        self.load(server, ['{"a": 1.50}', '{"value": {"x": 1}, "_metadata": {"k": "v"}}', "not json"], transport, table="raw", rawMode=True,
                  autoCreateTable=True)
        data = sorted(row[0] for row in server.rows("SELECT data FROM raw"))
        self.assertEqual(len(data), 3)
        wrapped = [json.loads(text.replace("\\\\", "\\")) for text in data]
        self.assertIn({"value": {"x": 1}, "_metadata": {"k": "v"}}, wrapped)
        self.assertIn('{"a": 1.50}', "".join(data))
        self.assertEqual([w["value"] for w in wrapped if isinstance(w["value"], str)], ["not json"])
        self.create(server, "raw", "data String, _metadata String")
        self.load(server, ['{"value": {"x": 1}, "_metadata": {"k": "v"}}'], transport, table="raw", rawMode=True)
        self.assertEqual(server.rows("SELECT data, _metadata FROM raw"), [['{"x":1}', '{"k":"v"}']])

    @everywhere
    def test_flattened_metadata(self, server, transport):
        self.drop(server, "flat")
        rows = ['{"value": {"x": 1}, "_metadata": {"offset": 5, "partition": 1, "key": "k"}}',
                '{"value": {"x": 2}, "_metadata": {"offset": 6, "partition": 1, "later": {"a": 1}}}']
        self.load(server, rows, transport, table="flat", rawMode=True, autoCreateTable=True, flattenMetadataColumns=True,
                  flattenMetadataColumnsPrefix="m_")
        types = dict(row[:2] for row in server.rows("DESCRIBE TABLE flat"))
        self.assertEqual((types["data"], types["m_offset"], types["m_partition"], types["m_key"]),
                         ("String", "Nullable(Int64)", "Nullable(Int32)", "Nullable(String)"))
        self.assertEqual(server.rows("SELECT data, m_offset, m_later FROM flat ORDER BY m_offset"),
                         [['{"x":1}', "5", "\\N"], ['{"x":2}', "6", '{"a":1}']])


class Parts(ClickHouseTest):
    def test_too_many_parts_are_waited_out_with_larger_flushes(self):
        self.create(self.new, "parts", "id UInt64", "MergeTree ORDER BY id SETTINGS parts_to_delay_insert = 1000, parts_to_throw_insert = 5")
        self.new.sql("SYSTEM STOP MERGES parts")
        self.jsonl("in.jsonl", [{"id": i} for i in range(2000)])
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "clickhouse", self.sink(self.new, table="parts", batchSize=50))
        running = self.begin("--once")
        running.wait_log('"code":"252"')
        running.wait_log("flushes are of up to 100 rows")
        self.new.sql("SYSTEM START MERGES parts")
        self.new.sql("OPTIMIZE TABLE parts FINAL")
        self.new.sql("ALTER TABLE parts MODIFY SETTING parts_to_throw_insert = 3000")
        self.assertEqual(running.wait(), 0, running.text()[-2000:])
        self.assertEqual(self.new.rows("SELECT count(), uniqExact(id) FROM parts"), [["2000", "2000"]])


class Columns(ClickHouseTest):
    @everywhere
    def test_defaults_computed_columns_and_missing_keys(self, server, transport):
        self.create(server, "defaults", "id UInt64, d UInt32 DEFAULT id * 10, m UInt64 MATERIALIZED id + 1, a UInt64 ALIAS id + 2, "
                    "n Nullable(Int8), s String")
        errors = self.load(server, [{"id": 1}, {"id": 2, "d": None, "n": None}, {"id": 3, "d": 5}, {"id": 4, "s": None}, {"id": 5, "m": 1},
                                    {"id": 6, "nope": 1}, {}], transport, table="defaults", batchSize=100)
        self.assertEqual(server.rows("SELECT id, d, m, a, n, s FROM defaults ORDER BY id"),
                         [["1", "10", "2", "3", "\\N", ""], ["2", "20", "3", "4", "\\N", ""], ["3", "5", "4", "5", "\\N", ""]])
        texts = [e["error"]["message"] for e in errors]
        self.assertEqual(len(texts), 4, texts)
        for text in ('column "s" String: null', 'column "m" is computed', 'no column for the key "nope"', "no key that is a column"):
            self.assertTrue(any(text in t for t in texts), (text, texts))

    @everywhere
    def test_what_does_not_fit_exactly_is_refused_with_row_and_column(self, server, transport):
        self.create(server, "strict", "id UInt64, i8 Int8, u16 UInt16, d Decimal(9, 2), f Float32, dt DateTime, day Date, e Enum8('a' = 1), "
                    "u UUID, fs FixedString(2), arr Array(UInt8)")
        bad = [{"i8": 128}, {"i8": 1.5}, {"u16": -1}, {"d": 1.234}, {"d": 12345678.9}, {"f": 0.123456789}, {"dt": "1960-01-01T00:00:00Z"},
               {"dt": "tomorrow"}, {"day": "2024-01-01T00:00:01Z"}, {"e": "b"}, {"u": "x"}, {"fs": "abc"}, {"arr": [1, 300]}, {"arr": 5},
               {"i8": "x"}, {"i8": {"a": 1}}]
        good = [{"i8": 5.0}, {"i8": "7"}, {"i8": True}, {"d": 1.230}, {"d": "1.5"}, {"f": 0.1}, {"dt": 1700000000}, {"dt": 1700000000123},
                {"dt": "2024-01-01T02:00:00+02:00"}, {"day": "2024-01-01"}, {"e": 1}, {"arr": []}]
        rows = [{"id": i, **row} for i, row in enumerate(bad + good)]
        errors = self.load(server, rows, transport, table="strict", batchSize=1000)
        self.assertEqual([e["original_message"]["id"] for e in errors], list(range(len(bad))))
        for record, row in zip(errors, bad):
            self.assertIn(f'column "{next(iter(row))}"', record["error"]["message"])
            self.assertEqual(record["error"]["type"], "invalid_data")
        self.assertEqual(server.rows("SELECT count() FROM strict"), [[str(len(good))]])
        self.assertEqual(server.rows("SELECT toString(dt) FROM strict WHERE dt != toDateTime(0) ORDER BY id"),
                         [["2023-11-14 22:13:20"], ["2023-11-14 22:13:20"], ["2024-01-01 00:00:00"]])

    @everywhere
    def test_hostile_names(self, server, transport):
        for name in HOSTILE:
            quoted = "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
            self.drop(server, quoted)
            table = '"' + name.replace('"', '""') + '"'
            self.load(server, [{name: "x", "id": 1}], transport, table=table, autoCreateTable=True)
            self.assertEqual(server.rows(f"SELECT {quoted} FROM {quoted}"), [["x"]], name)
            rows = self.read(server, transport, table=table)
            self.assertEqual([row[name] for row in rows], ["x"], name)

    @everywhere
    def test_one_insert_per_set_of_columns(self, server, transport):
        self.create(server, "sets", "id UInt64, a Nullable(Int8), b Nullable(Int8)")
        rows = [{"id": i, ("a", "b")[i % 2]: i % 100} for i in range(1000)]
        self.load(server, rows, transport, table="sets", batchSize=1000)
        self.assertEqual(server.rows("SELECT count(), count(a), count(b) FROM sets"), [["1000", "500", "500"]])
        self.assertLessEqual(int(server.rows("SELECT count() FROM system.parts WHERE table = 'sets'")[0][0]), 2)

    def test_rows_of_one_key_keep_their_order(self):
        self.create(self.new, "ordered", "id UInt64, a Nullable(Int64), b Nullable(Int64)", "ReplacingMergeTree ORDER BY id")
        rows = []
        for i in range(50):
            rows += [{"id": 1, "a": i}, {"id": 1, "b": i}, {"id": 100 + i, "a": 1}]
        self.load(self.new, rows, table="ordered", batchSize=1000, upsertMode=True, conflictKey="id")
        self.assertEqual(self.new.rows("SELECT a, b FROM ordered FINAL WHERE id = 1"), [["\\N", "49"]])

    def test_deletes(self):
        self.create(self.new, "deleted", "id UInt64, v UInt64, x String, gone UInt8", "ReplacingMergeTree(v, gone) ORDER BY id")
        self.write("in.jsonl", '{"id": 1, "v": 1, "x": "a"}\n{"id": 2, "v": 1, "x": "b"}\n{"payload": {"op": "d", "before": {"id": 1, "v": 2}, "after": null}}\n')
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "clickhouse", self.sink(self.new, table="deleted"),
                  transformations=[{"type": "debeziumUnwrap", "config": {}}])
        self.run_flow("--reset-checkpoint")
        self.assertEqual(self.new.rows("SELECT id FROM deleted FINAL"), [["2"]])

    @everywhere
    def test_a_table_that_changes_is_looked_at_again(self, server, transport):
        self.create(server, "changing", "id UInt64")
        self.assertEqual(len(self.load(server, [{"id": 1, "x": 1}], transport, table="changing")), 1)
        server.sql("ALTER TABLE changing ADD COLUMN x UInt8")
        self.assertEqual(self.load(server, [{"id": 1, "x": 1}], transport, table="changing"), [])


class Tokens(ClickHouseTest):
    WINDOW = "MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"

    def test_the_same_block_is_inserted_once(self):
        for transport in ("native", "http"):
            self.create(self.new, "once", "id UInt64, s String", self.WINDOW)
            rows = [{"id": i, "s": "x" * (i % 100)} for i in range(5000)]
            for _ in range(3):  # the second and third runs are what a restart without its checkpoint does
                self.load(self.new, rows, transport, table="once", batchSize=1000)
            self.assertEqual(self.new.rows("SELECT count() FROM once"), [["5000"]])

    def test_equal_rows_that_are_not_the_same_stay(self):
        """Equal children of one message, each in a block of its own, are rows and no repetition."""
        self.create(self.new, "equal", "v UInt64", "MergeTree ORDER BY v SETTINGS non_replicated_deduplication_window = 100")
        self.load(self.new, [{"items": [{"v": 1}, {"v": 1}, {"v": 1}]}, {"items": [{"v": 1}]}], table="equal", batchSize=1,
                  transformations=[{"type": "flatten", "config": {"field": "items"}}])
        self.assertEqual(self.new.rows("SELECT count() FROM equal"), [["4"]])

    def test_async_insert_by_a_setting(self):
        self.create(self.new, "asynchronous", "id UInt64")
        for transport in ("native", "http"):
            self.load(self.new, [{"id": i} for i in range(100)], transport, table="asynchronous", batchSize=10,
                      parameters={"async_insert": "1", "wait_for_async_insert": "1"})
        self.assertEqual(self.new.rows("SELECT count() FROM asynchronous"), [["200"]])

    def test_unknown_settings_of_an_old_server_are_not_sent(self):
        self.create(self.old, "old_settings", "id UInt64")
        for transport in ("native", "http"):
            self.load(self.old, [{"id": 1}], transport, table="old_settings", parameters={"async_insert": "1"})
            self.assertIn("has no setting async_insert", self.done.err)
        self.assertEqual(self.old.rows("SELECT count() FROM old_settings"), [["2"]])


if __name__ == "__main__":
    unittest.main()
