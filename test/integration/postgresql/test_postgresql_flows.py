"""Whole flows: table to table, table to file to table; every type comes out as it went in."""
import unittest

from postgresql_kit import PG, PostgresTest, sql, start, superuser

setUpModule = start

# column type: values, as SQL literals
TYPES = {
    "int2": ["-32768", "32767", "0"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807"],
    "oid": ["4294967295"],
    "numeric": ["0", "0.00", "-12345678901234567890.1234567890", "1e400", "'NaN'", "'Infinity'", "'-Infinity'", "1e-400", "10000.0001"],
    "numeric(12,3)": ["123456789.125", "-0.001", "'NaN'"],
    "float4": ["'NaN'", "'-Infinity'", "3.4028235e38", "1.1754944e-38", "1e-45", "0.1", "'-0'"],
    "float8": ["'NaN'", "'Infinity'", "1.7976931348623157e308", "5e-324", "0.1", "0.30000000000000004", "'-0'"],
    "bool": ["true", "false"],
    "text": ["''", "'x'", "E'tab\\tnewline\\nquote\\'\"backslash\\\\'", "'日本語 \U0001F600'", "repeat('long ', 20000)"],
    "varchar(10)": ["'0123456789'", "'é'"],
    "char(5)": ["'ab'", "'abcde'"],
    "name": ["'a name'"],
    "\"char\"": ["'x'"],
    "bytea": ["''", "'\\x00ff10'", "decode(repeat('00ff', 5000), 'hex')"],
    "date": ["'2024-02-29'", "'infinity'", "'-infinity'", "'0044-03-15 BC'", "'12345-01-01'", "'4714-11-24 BC'", "'5874897-12-31'"],
    "time": ["'00:00:00'", "'23:59:59.999999'", "'24:00:00'"],
    "timetz": ["'12:34:56.789+05:30'", "'00:00:00-11'", "'01:02:03+00:00:07'"],
    "timestamp": ["'2024-02-29 12:34:56.123456'", "'infinity'", "'-infinity'", "'0044-03-15 12:00:00 BC'", "'294276-12-31 23:59:59.999999'"],
    "timestamptz": ["'2024-02-29 12:34:56.123456+02'", "'infinity'", "'-infinity'", "'4714-11-24 00:00:00+00 BC'"],
    "timestamptz(3)": ["'2024-02-29 12:34:56.123+02'"],
    "interval": ["'1 year 2 mons 3 days 04:05:06.789'", "'-1 year +3 days -00:00:00.000001'", "'0'", "'178000000 years'"],
    "uuid": ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
    "json": ["'{\"b\":1.0,\"a\":[1e400,null,\"x\"]}'", "'\"text\"'", "'1.50'", "'null'"],
    "jsonb": ["'{\"b\": 1.0, \"a\": [1e40, null, \"x\"]}'", "'\"text\"'", "'[]'", "'null'"],
    "int4[]": ["'{}'", "'{1,NULL,3}'", "'{{1,2},{3,4}}'"],
    "text[]": ["'{a,\"b c\",NULL,\"NULL\",\"\"}'", "'{{a},{b}}'"],
    "numeric(6,2)[]": ["'{1.50,NULL}'"],
    "timestamptz[]": ["'{2024-01-01T00:00:00Z,infinity}'"],
    "jsonb[]": ["ARRAY['{\"a\": 1}', '[1, 2]', NULL]::jsonb[]"],
    "inet[]": ["'{10.0.0.1/8,::1}'"],
    "bytea[]": ["ARRAY['\\x00', NULL]::bytea[]"],
    "bool[]": ["'{t,f,NULL}'"],
    "uuid[]": ["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"],
    "mood": ["'happy'", "'so so'"],
    "mood[]": ["'{happy,NULL}'"],
    "positive": ["7.25"],
    "pair": ["'(1,\"a,b\")'", "'(,)'"],
    "int4range": ["'[1,10)'", "'empty'"],
    "int4multirange": ["'{[1,3),[5,7)}'"],
    "hstore": ["'a=>1, b=>NULL, \"c d\"=>\"\"'"],
    "citext": ["'Mixed Case'"],
    "inet": ["'10.0.0.1'", "'::1/64'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "macaddr8": ["'08:00:2b:01:02:03:04:05'"],
    "bit(5)": ["B'10101'"],
    "varbit": ["B''", "B'1'"],
    "money": ["'$1,234.56'", "'-$0.01'"],
    "xml": ["'<a>1</a>'"],
    "tsvector": ["to_tsvector('simple', 'a fat cat')"],
    "tsquery": ["'fat & cat'"],
    "point": ["'(1.5,-2)'"],
    "polygon": ["'((0,0),(1,1),(1,0))'"],
    "pg_lsn": ["'16/B374D848'"],
}


class Matrix(PostgresTest):
    def setUp(self):
        super().setUp()
        superuser("CREATE EXTENSION hstore SCHEMA public; CREATE EXTENSION citext SCHEMA public")
        sql("CREATE TYPE mood AS ENUM ('happy', 'so so'); CREATE DOMAIN positive AS numeric(5, 2) CHECK (VALUE > 0);"
            "CREATE TYPE pair AS (a int, b text)")
        self.names = [f"c{i}" for i in range(len(TYPES))]
        columns = ", ".join(f"{n} {t}" for n, t in zip(self.names, TYPES))
        for table in ("source", "heap", "keyed"):
            key = "" if table == "heap" else " PRIMARY KEY"
            sql(f"CREATE TABLE {table} (id int{key}, updated_at timestamptz DEFAULT '2024-01-01', {columns})")
        inserts, row = ["INSERT INTO source (id) VALUES (0);"], 1
        for name, values in zip(self.names, TYPES.values()):
            for value in values:
                inserts.append(f"INSERT INTO source (id, {name}) VALUES ({row}, {value});")
                row += 1
        sql("\n".join(inserts))
        self.count = row

    def source(self, **config):
        return {"type": "postgresql", "config": {"connectionString": PG["POSTGRESQL_URL"], "table": "source", **config}}

    def differences(self, table):
        """EXCEPT both ways; types without equality, or whose equality overlooks something (1.0, -0, json), by their text."""
        columns = ", ".join(f"{n}::text" for n in self.names)
        one = f"SELECT id, updated_at, {columns} FROM source"
        other = f"SELECT id, updated_at, {columns} FROM {table}"
        ids = sql(f"SELECT id FROM (({one} EXCEPT {other}) UNION ({other} EXCEPT {one})) x ORDER BY id").split()
        out = []
        for i in sorted(set(ids), key=int):
            for name, kind in zip(self.names, TYPES):
                a, b = (sql(f"SELECT {name}::text FROM {t} WHERE id = {i}") for t in ("source", table))
                if a != b:
                    out.append(f"{kind}: {a[:60]} became {b[:60]}")
        return out

    def test_table_to_table(self):
        """Small and large flushes, straight and upserted. Padded, so that the large ones go by COPY."""
        for table, size, upsert in (("heap", 3, False), ("heap", 5000, False), ("keyed", 3, True), ("keyed", 5000, True)):
            with self.subTest(table=table, batchSize=size):
                sql(f"TRUNCATE {table}")
                done = self.run_flow(self.flow(self.sink(table, batchSize=size, upsertMode=upsert), source=self.source()))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(sql(f"SELECT count(*) FROM {table}"), str(self.count))
                self.assertEqual(self.differences(table), [])

    def test_table_to_file_to_table(self):
        """Through JSON text, where the column's type is all that is known."""
        out = {"type": "file", "config": {"path": str(self.dir / "out.jsonl")}}
        self.assertEqual(self.run_flow(self.flow(out, source=self.source(), name="out")).returncode, 0)
        lines = self.lines("out.jsonl")
        self.assertEqual(len(lines), self.count)
        self.assertEqual(list(lines[0]), ["id", "updated_at", *self.names])
        back = {"type": "file", "config": {"path": str(self.dir / "out.jsonl")}}
        done = self.run_flow(self.flow(self.sink("keyed", upsertMode=True), source=back, name="back"))
        self.assertEqual(done.returncode, 0, done.stderr)
        # JSON text has one null for both.
        self.assertEqual(self.differences("keyed"), ["json: null became ", "jsonb: null became "])

    def test_created_table(self):
        """autoCreateTable behind a PostgreSQL source: logical types become columns of the like."""
        sql("CREATE TABLE few (id int, i int8, n numeric(5,2), f float8, d date, t time, ts timestamp, tz timestamptz, iv interval, u uuid,"
            " b bytea, o bool, s text, j jsonb, a int[], updated_at timestamptz DEFAULT now());"
            "INSERT INTO few VALUES (1, 2, 1.50, 0.5, '2024-01-01', '12:00', '2024-01-01', '2024-01-01', '1 day', "
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00', true, 'x', '{\"a\": 1}', '{1,2}')")
        source = {"type": "postgresql", "config": {"connectionString": PG["POSTGRESQL_URL"], "table": "few"}}
        done = self.run_flow(self.flow(self.sink("made", autoCreateTable=True), source=source))
        self.assertEqual(done.returncode, 0, done.stderr)
        made = dict(line.split("|") for line in sql("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'made'").splitlines())
        self.assertEqual(made, {"a": "jsonb", "b": "bytea", "d": "date", "f": "double precision", "i": "bigint", "id": "integer", "iv": "interval",
                                "j": "jsonb", "n": "numeric", "o": "boolean", "s": "text", "t": "time without time zone",
                                "ts": "timestamp without time zone", "tz": "timestamp with time zone", "u": "uuid",
                                "updated_at": "timestamp with time zone", "created_at": "timestamp without time zone"})
        self.assertEqual(sql("SELECT i, n, f, d, t, ts, iv, u, b, o, s, j, a FROM made"),
                         '2|1.50|0.5|2024-01-01|12:00:00|2024-01-01 00:00:00|1 day|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|\\x00|t|x|{"a": 1}|[1, 2]')


if __name__ == "__main__":
    unittest.main()
