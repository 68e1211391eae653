"""Every type, read and written, over both transports, compressed and not. The server's own text form is the judge."""
import json
import unittest

from clickhouse_kit import ClickHouseTest, everywhere

# name, type, SQL of a value, JSON text that we must read. Both servers.
OLD = [
    ("i8", "Int8", "-128", "-128"), ("i16", "Int16", "-32768", "-32768"), ("i32", "Int32", "-2147483648", "-2147483648"),
    ("i64", "Int64", "-9223372036854775808", "-9223372036854775808"), ("u8", "UInt8", "255", "255"),
    ("u16", "UInt16", "65535", "65535"), ("u32", "UInt32", "4294967295", "4294967295"),
    ("u64", "UInt64", "18446744073709551615", "18446744073709551615"),
    ("f32", "Float32", "0.1", "0.1"), ("f64", "Float64", "-1.5e300", "-1.5e+300"), ("infinite", "Float64", "-inf", '"-Infinity"'),
    ("d32", "Decimal(9, 2)", "toDecimal32('1234567.80', 2)", "1234567.80"),
    ("d64", "Decimal(18, 4)", "toDecimal64('-12345678901234.5678', 4)", "-12345678901234.5678"),
    ("d128", "Decimal(38, 10)", "toDecimal128('1234567890123456789012345678.0123456789', 10)",
     "1234567890123456789012345678.0123456789"),
    ("s", "String", "'h\\u00e9llo \\n\"'".encode().decode("unicode_escape").replace("\n", "\\n"), '"h\u00e9llo \\n\\""'),
    ("fs", "FixedString(5)", "'abc'", '"abc"'), ("bytes", "String", "unhex('ff00')", '"/wA="'),
    ("u", "UUID", "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", '"61f0c404-5cb3-11e7-907b-a6006ad3dba0"'),
    ("d", "Date", "toDate('2016-07-18')", '"2016-07-18"'),
    ("dt", "DateTime('Europe/Berlin')", "toDateTime('2024-06-01 12:00:00', 'Europe/Berlin')", '"2024-06-01T10:00:00Z"'),
    ("e8", "Enum8('a' = -1, 'b\\'x' = 2)", "'b\\'x'", '"b\'x"'), ("e16", "Enum16('q' = 1000)", "'q'", '"q"'),
    ("arr", "Array(Nullable(Int32))", "[1, NULL, 3]", "[1,null,3]"), ("arr2", "Array(Array(String))", "[['a'], [], ['b', 'c']]",
                                                                       '[["a"],[],["b","c"]]'),
    ("tup", "Tuple(Int8, String)", "(toInt8(1), 'x')", '[1,"x"]'), ("n", "Nullable(String)", "NULL", "null"),
    ("nn", "Nullable(Int64)", "5", "5"), ("lc", "LowCardinality(String)", "'low'", '"low"'),
    ("lcn", "LowCardinality(Nullable(String))", "NULL", "null"), ("alc", "Array(LowCardinality(String))", "['a', 'b', 'a']",
                                                                   '["a","b","a"]'),
]
NEW = [
    ("i128", "Int128", "toInt128('-170141183460469231731687303715884105728')", "-170141183460469231731687303715884105728"),
    ("i256", "Int256", "toInt256('-57896044618658097711785492504343953926634992332820282019728792003956564819968')",
     "-57896044618658097711785492504343953926634992332820282019728792003956564819968"),
    ("u128", "UInt128", "toUInt128('340282366920938463463374607431768211455')", "340282366920938463463374607431768211455"),
    ("u256", "UInt256", "toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935')",
     "115792089237316195423570985008687907853269984665640564039457584007913129639935"),
    ("bf", "BFloat16", "toBFloat16(1.5)", "1.5"), ("d256", "Decimal(76, 20)", "toDecimal256('-1.00000000000000000001', 20)",
                                                   "-1.00000000000000000001"),
    ("b", "Bool", "true", "true"), ("dd", "Date32", "toDate32('1900-01-01')", '"1900-01-01"'),
    ("dt64", "DateTime64(3)", "toDateTime64('2024-06-01 12:00:00.120', 3)", '"2024-06-01T12:00:00.12Z"'),
    ("dt9", "DateTime64(9, 'UTC')", "toDateTime64('1969-12-31 23:59:59.123456789', 9, 'UTC')", '"1969-12-31T23:59:59.123456789Z"'),
    ("t", "Time", "'-12:34:56'", '"-12:34:56"'), ("t6", "Time64(6)", "'23:59:59.123456'", '"23:59:59.123456"'),
    ("v4", "IPv4", "toIPv4('1.2.3.4')", '"1.2.3.4"'), ("v6", "IPv6", "toIPv6('2001:db8::1')", '"2001:db8::1"'),
    ("ntup", "Tuple(a Int8, `b c` String)", "(2, 'y')", '{"a":2,"b c":"y"}'),
    ("m", "Map(String, UInt64)", "map('k', 1, 'l', 2)", '{"k":1,"l":2}'),
    ("mi", "Map(Int32, Array(String))", "map(5, ['p'])", '{"5":["p"]}'),
    ("saf", "SimpleAggregateFunction(max, UInt64)", "7", "7"), ("v1", "Variant(Array(Int8), String, UInt64)", "'text'", '"text"'),
    ("v2", "Variant(Array(Int8), String, UInt64)", "12::UInt64", "12"),
    ("v3", "Variant(Array(Int8), String, UInt64)", "[1, 2]::Array(Int8)", "[1,2]"),
    ("v0", "Variant(Array(Int8), String, UInt64)", "NULL", "null"),
    ("pt", "Point", "(1, 2.5)", "[1,2.5]"), ("pg", "Polygon", "[[(0, 0), (1, 1)]]", "[[[0,0],[1,1]]]"),
    ("j", "JSON", "'{\"a\": 1, \"b\": {\"c\": \"x\"}}'", '{"a":1,"b":{"c":"x"}}'),
    ("ja", "Array(JSON)", "['{\"x\": 1}']::Array(JSON)", '[{"x":1}]'), ("nj", "Nullable(JSON)", "NULL", "null"),
]
# Rows that exercise what one value does not: many values of a dictionary, empty arrays, blocks that end anywhere.
MANY = 5000


class Types(ClickHouseTest):
    def table(self, server, name):
        columns = OLD if server.old else OLD + NEW
        self.create(server, name, "id UInt64, created_at DateTime, " + ", ".join(f"{n} {t}" for n, t, _, _ in columns))
        return columns

    def test_every_type_is_read(self):
        for server in (self.old, self.new):
            columns = self.table(server, "type_matrix")
            server.sql("INSERT INTO type_matrix SELECT 1, toDateTime(1700000000), " + ", ".join(v for _, _, v, _ in columns))
            for transport in ("native", "http"):
                for compress in ("none", "lz4", "zstd"):
                    with self.subTest(server=server.name, transport=transport, compress=compress):
                        self.read(server, transport, table="type_matrix", parameters={"compress": compress})
                        text = (self.dir / "out.jsonl").read_text()
                        expected = '{"id":1,"created_at":"2023-11-14T22:13:20Z",' + ",".join(
                            f'"{n}":{j}' for n, _, _, j in columns) + "}\n"
                        self.assertEqual(text, expected)

    def test_what_is_read_is_written_the_same(self):
        for server in (self.old, self.new):
            columns = self.table(server, "type_matrix")
            self.table(server, "type_copy")
            server.sql("INSERT INTO type_matrix SELECT number, toDateTime(1700000000 + number), " +
                       ", ".join(f"{v} AS v_{n}" for n, _, v, _ in columns) + f" FROM numbers({MANY})")
            server.sql("INSERT INTO type_matrix (id, lc, alc, arr, s, nn) SELECT 100000 + number, toString(number % 300), "
                       "arrayMap(x -> toString(x), range(number % 4)), arrayMap(x -> toInt32(x), range(number % 3)), "
                       f"toString(number), if(number % 2, number, NULL) FROM numbers({MANY})")
            whole = server.sql("SELECT * FROM type_matrix ORDER BY id FORMAT TSV")
            for transport in ("native", "http"):
                for compress in ("none", "lz4"):
                    with self.subTest(server=server.name, transport=transport, compress=compress):
                        server.sql("TRUNCATE TABLE type_copy")
                        self.flow("clickhouse", {"connectionString": server.url(transport), "table": "type_matrix"}, "clickhouse",
                                  self.sink(server, transport, {"compress": compress}, table="type_copy", batchSize=3000))
                        self.run_flow("--reset-checkpoint")
                        self.assertTrue(server.sql("SELECT * FROM type_copy ORDER BY id FORMAT TSV") == whole)

    @everywhere
    def test_json_text_gives_the_same_columns(self, server, transport):
        """Through a file nothing is left but JSON: the columns' types say what it means."""
        self.table(server, "type_copy")
        columns = [c for c in self.table(server, "type_matrix") if c[0] != "bytes"]
        names = ", ".join(n for n, _, _, _ in columns)
        errors = self.load(server, ["{" + ",".join(f'"{n}":{j}' for n, _, _, j in columns) + "}"], transport, table="type_matrix")
        self.assertEqual(errors, [])
        server.sql(f"INSERT INTO type_copy ({names}) SELECT " + ", ".join(v for _, _, v, _ in columns))
        self.assertEqual(server.sql(f"SELECT {names} FROM type_matrix FORMAT TSKV"), server.sql(f"SELECT {names} FROM type_copy FORMAT TSKV"))

    def test_dynamic(self):
        self.create(self.new, "dyn", "id UInt64, created_at DateTime, d Dynamic, s String")
        self.new.sql("INSERT INTO dyn VALUES (1, now(), 42, 'a'), (2, now(), 'text', 'b'), (3, now(), [1, 2], 'c')")
        rows = self.read(self.new, table="dyn")
        self.assertEqual([row["d"] for row in rows], [42, "text", [1, 2]])
        values = [1, -(2**63), 2**64 - 1, 0.5, "12", "text", True, None, "2024-01-15T10:30:00Z"]
        for transport in ("native", "http"):
            self.new.sql("TRUNCATE TABLE dyn")
            self.load(self.new, [{"id": i, "d": d} for i, d in enumerate(values)] + [{"id": 99, "d": {"a": [1, 2]}}], transport, table="dyn")
            self.assertEqual([row["d"] for row in self.read(self.new, transport, table="dyn", orderByColumn="id")], [*values, '{"a":[1,2]}'])
            self.assertEqual(self.new.rows("SELECT DISTINCT dynamicType(d) AS t FROM dyn ORDER BY t"),
                             [["Bool"], ["Float64"], ["Int64"], ["None"], ["String"], ["UInt64"]])

    @everywhere
    def test_aggregate_states_are_refused_with_the_way_out(self, server, transport):
        self.create(server, "agg", "id UInt64, created_at DateTime, a AggregateFunction(sum, UInt64)")
        self.read(server, transport, expect=1, table="agg")
        self.assertIn("finalizeAggregation", self.done.err)

    @everywhere
    def test_nested_columns_and_empty_tables(self, server, transport):
        self.create(server, "nst", "id UInt64, created_at DateTime, n Nested(k String, v Int8)")
        self.assertEqual(self.read(server, transport, table="nst"), [])
        self.load(server, [{"id": 1, "n.k": ["a", "b"], "n.v": [1, 2]}], transport, table="nst")
        self.assertEqual([r["n.v"] for r in self.read(server, transport, table="nst")], [[1, 2]])

    def test_maps_with_equal_keys_fail_alone(self):
        self.create(self.new, "maps", "id UInt64, created_at DateTime DEFAULT now(), m Map(String, UInt8)")
        self.new.sql("INSERT INTO maps (id, m) VALUES (1, map('a', 1)), (2, mapFromArrays(['a', 'a'], [1, 2]))")
        poison = self.dir / "errors.jsonl"
        self.flow("clickhouse", {"connectionString": self.new.url(), "table": "maps"}, "file", {"path": str(self.dir / "out.jsonl")},
                  extra=f"  errors:\n    type: file\n    config: {{path: {poison}}}\n")
        self.run_flow("--reset-checkpoint")
        self.assertEqual(len(self.read_jsonl("out.jsonl")), 1)
        record = json.loads(poison.read_text())
        self.assertIn("one key twice", record["error"]["message"])


if __name__ == "__main__":
    unittest.main()
