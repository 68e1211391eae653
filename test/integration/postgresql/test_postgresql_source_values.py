"""PostgreSQL source: every type's values, exact."""
import json
import math
import random
import struct
import unittest

import postgresql_kit
from postgresql_kit import rows, sql, superuser
from postgresql_reading import SourceTest


def setUpModule():
    postgresql_kit.start()


# type: [(literal, JSON text)]; a literal that is no SQL text is given whole.
MATRIX = {
    "int2": [("-32768", "-32768"), ("32767", "32767"), ("0", "0")],
    "int4": [("-2147483648", "-2147483648"), ("2147483647", "2147483647")],
    "int8": [("-9223372036854775808", "-9223372036854775808"), ("9223372036854775807", "9223372036854775807")],
    "oid": [("4294967295", "4294967295"), ("0", "0")],
    "xid": [("4294967295", "4294967295")],
    "xid8": [("18446744073709551615", "18446744073709551615"), ("7", "7")],
    "numeric": [("0", "0"), ("-0.00", "0.00"), ("10.50", "10.50"), ("1e-20", "0.00000000000000000001"), ("1e30", "1" + "0" * 30),
                ("-12345678901234567890.000100", "-12345678901234567890.000100"), ("0.0001", "0.0001"), ("10000", "10000"),
                ("9999.9999", "9999.9999"), ("100000000", "100000000"), ("NaN", '"NaN"'), ("Infinity", '"Infinity"'),
                ("-Infinity", '"-Infinity"'), ("1" + "0" * 131071, "1" + "0" * 131071), ("1e-16383", "0." + "0" * 16382 + "1")],
    "numeric(12,2)": [("1234.5", "1234.50")],
    "float4": [("0.1", "0.1"), ("3.4028235e38", "3.4028235e+38"), ("1e-45", "1e-45"), ("16777216", "16777216"), ("NaN", '"NaN"'),
               ("Infinity", '"Infinity"'), ("-Infinity", '"-Infinity"')],
    "float8": [("0.1", "0.1"), ("1.7976931348623157e308", "1.7976931348623157e+308"), ("5e-324", "5e-324"), ("1e22", "1e+22"),
               ("123456789012345680", "123456789012345680"), ("-0", "-0"), ("NaN", '"NaN"'), ("Infinity", '"Infinity"')],
    "bool": [("true", "true"), ("false", "false")],
    "text": [("", '""'), ('a"b\\c\n', '"a\\"b\\\\c\\n"'), ("héllo 🐘", '"héllo 🐘"'), ("E'\\x01\\x7f'", '"\\u0001\x7f"')],
    "varchar(10)": [("abc  ", '"abc  "')],
    "bpchar(5)": [("ab", '"ab   "')],
    "name": [("x", '"x"')],
    '"char"': [("z", '"z"'), ("", '""'), ("E'\\\\377'", '"\\\\377"')],
    "citext": [("CiText", '"CiText"')],
    "bytea": [("\\x00ff10", '"AP8Q"'), ("\\x", '""')],
    "date": [("2024-02-29", '"2024-02-29"'), ("0001-01-01", '"0001-01-01"'), ("9999-12-31", '"9999-12-31"'),
             ("10000-01-01", '"+10000-01-01"'), ("5874897-12-31", '"+5874897-12-31"'), ("0001-12-31 BC", '"+0000-12-31"'),
             ("0044-03-15 BC", '"-0043-03-15"'), ("4714-11-24 BC", '"-4713-11-24"'), ("infinity", '"infinity"'),
             ("-infinity", '"-infinity"')],
    "time": [("00:00:00", '"00:00:00"'), ("23:59:59.999999", '"23:59:59.999999"'), ("24:00:00", '"24:00:00"'),
             ("12:34:56.700", '"12:34:56.7"')],
    "timetz": [("12:34:56.789+05:30", '"12:34:56.789+05:30"'), ("00:00:00-15:59:59", '"00:00:00-15:59:59"'),
               ("01:02:03Z", '"01:02:03+00"'), ("24:00:00-08", '"24:00:00-08"')],
    "timestamp": [("2024-01-01 10:00:00.5", '"2024-01-01T10:00:00.5Z"'), ("4713-01-01 00:00:00 BC", '"-4712-01-01T00:00:00Z"'),
                  ("0001-01-01 BC", '"+0000-01-01T00:00:00Z"'), ("294276-12-31 23:59:59.999999", '"+294276-12-31T23:59:59.999999Z"'),
                  ("1999-12-31 23:59:59.999999", '"1999-12-31T23:59:59.999999Z"'), ("infinity", '"infinity"'),
                  ("-infinity", '"-infinity"')],
    "timestamptz": [("2024-01-01 12:00:00.123456+02", '"2024-01-01T10:00:00.123456Z"'), ("infinity", '"infinity"'),
                    ("0044-03-15 12:00:00+00 BC", '"-0043-03-15T12:00:00Z"')],
    "interval": [("1 year 2 mons -3 days 04:05:06.789", '"P1Y2M-3DT4H5M6.789S"'), ("0", '"PT0S"'), ("-1.5 seconds", '"PT-1.5S"'),
                 ("-00:00:00.000001", '"PT-0.000001S"'), ("1 month", '"P1M"'), ("-1 year -1 mon", '"P-1Y-1M"'),
                 ("2562047788:00:54.775807", '"PT2562047788H54.775807S"'), ("-178000000 years", '"P-178000000Y"')],
    "uuid": [("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"')],
    "json": [('{"b": 1.50, "a": [1e400, null]}', '{"b":1.50,"a":[1e400,null]}'), ('"x"', '"x"'), ("null", "null")],
    "jsonb": [('{"b": 1.50, "a": 1}', '{"a":1,"b":1.50}'), ("12345678901234567890.10", "12345678901234567890.10")],
    "int4[]": [("{1,NULL,3}", "[1,null,3]"), ("{}", "[]"), ("[5:6]={1,2}", "[1,2]"), ("{{1,2},{3,4}}", "[[1,2],[3,4]]")],
    "text[]": [('{"a b",NULL,"NULL",""}', '["a b",null,"NULL",""]'), ("{{{a}},{{b}}}", '[[["a"]],[["b"]]]')],
    "numeric[]": [("{1.50,NaN}", '[1.50,"NaN"]')],
    "timestamptz[]": [('{"2024-01-01 00:00:00+00"}', '["2024-01-01T00:00:00Z"]')],
    "jsonb[]": [('{"{\\"a\\": 1}"}', '[{"a":1}]')],
    "mood": [('o"k', '"o\\"k"')],
    "mood[]": [('{sad,NULL}', '["sad",null]')],
    "posint": [("5", "5")],
    "posint[]": [("{5,6}", "[5,6]")],
    "pair": [('(1,"a,b")', '"(1,\\"a,b\\")"'), ("(,)", '"(,)"')],
    "pair[]": [('{"(1,x)",NULL}', '["(1,x)",null]')],
    "int4range": [("[1,10)", '"[1,10)"'), ("empty", '"empty"')],
    "tstzrange": [("[2024-01-01 00:00+00,)", '"[\\"2024-01-01 00:00:00+00\\",)"')],
    "int4multirange": [("{[1,3),[5,7)}", '"{[1,3),[5,7)}"')],
    "int4range[]": [('{"[1,10)"}', '["[1,10)"]')],
    "hstore": [("a=>1, b=>NULL", '"\\"a\\"=>\\"1\\", \\"b\\"=>NULL"')],
    "inet": [("192.168.1.1", '"192.168.1.1"'), ("192.168.1.1/24", '"192.168.1.1/24"'), ("::/0", '"::/0"'), ("::1", '"::1"'),
             ("::ffff:1.2.3.4", '"::ffff:1.2.3.4"'), ("1:0:0:2::3", '"1:0:0:2::3"'), ("2001:db8::/32", '"2001:db8::/32"')],
    "cidr": [("10.0.0.0/8", '"10.0.0.0/8"'), ("2001:db8::/32", '"2001:db8::/32"'), ("1.2.3.4/32", '"1.2.3.4/32"')],
    "inet[]": [("{::1,1.2.3.4/8}", '["::1","1.2.3.4/8"]')],
    "macaddr": [("08:00:2b:01:02:03", '"08:00:2b:01:02:03"')],
    "macaddr8": [("08:00:2b:01:02:03:04:05", '"08:00:2b:01:02:03:04:05"')],
    "bit(5)": [("10101", '"10101"')],
    "varbit": [("101", '"101"'), ("", '""'), ("1111111100000000111", '"1111111100000000111"')],
    "money": [("$1,234.50", '"$1,234.50"')],
    "money[]": [("{$1.00,NULL}", '["$1.00",null]')],
    "xml": [("<a>x &amp; y</a>", '"<a>x &amp; y</a>"')],
    "tsvector": [("fat cat", '"\'cat\' \'fat\'"')],
    "tsquery": [("fat & cat", '"\'fat\' & \'cat\'"')],
    "point": [("(1,2.5)", '"(1,2.5)"')],
    "polygon": [("((0,0),(1,1),(1,0))", '"((0,0),(1,1),(1,0))"')],
    "pg_lsn": [("16/B374D848", '"16/B374D848"')],
    "int2vector": [("1 2 3", '"1 2 3"')],
    "ltree": [("Top.Science", '"Top.Science"')],
    "regclass": [("pg_class", '"pg_class"')],
    "jsonpath": [("$.a", '"$.\\"a\\""')],
}

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'o"k', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
"""


def quoted(literal):
    return literal if literal.startswith("E'") else "'" + literal.replace("'", "''") + "'"


class Values(SourceTest):
    def setUp(self):
        super().setUp()
        superuser("CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree")
        sql(TYPES)

    def test_matrix(self):
        """Each type in a column of its own; the line is compared as text, so that digits and forms are exact."""
        columns = ", ".join(f'c{i} {kind}' for i, kind in enumerate(MATRIX))
        depth = max(len(cases) for cases in MATRIX.values())
        sql(f"CREATE TABLE t (id int PRIMARY KEY, {columns})")
        expected = []
        for n in range(depth):
            members, values = [f'"id":{n}'], [str(n)]
            for i, (kind, cases) in enumerate(MATRIX.items()):
                literal, text = cases[n] if n < len(cases) else (None, "null")
                values.append(f"{quoted(literal)}::{kind}" if literal is not None else "NULL")
                members.append(f'"c{i}":{text}')
            sql(f"INSERT INTO t VALUES ({', '.join(values)})")
            expected.append(members)
        lines = self.text_read()
        self.assertEqual(len(lines), depth)
        for line, members in zip(lines, expected):
            whole = "{" + ",".join(members) + "}"
            if line != whole:
                theirs, ours = json.loads(whole, parse_float=str), json.loads(line, parse_float=str)
                self.assertEqual({k: (list(MATRIX)[int(k[1:])], v) for k, v in ours.items() if k != "id" and v != theirs[k]}, {})
            self.assertEqual(line, whole)

    def check_server(self, kind, make, by):
        """Random values of a type: our text is what the server says in its way."""
        rng = random.Random(7)
        values = ", ".join(f"({i}, {quoted(make(rng))}::{kind})" for i in range(400))
        sql(f"CREATE TABLE t (id int PRIMARY KEY, v {kind}); INSERT INTO t VALUES {values}")
        theirs = [row["w"] for row in rows(f"SELECT {by} AS w FROM t ORDER BY id")]
        ours = [row["v"] for row in self.read()]
        self.assertEqual(ours, theirs)

    def test_random_numeric(self):
        def make(rng):
            digits = "".join(rng.choice("0000123456789") for _ in range(rng.randint(1, 40)))
            point = rng.randint(0, len(digits))
            return rng.choice(["", "-"]) + (digits[:point] or "0") + ("." + digits[point:] if point < len(digits) else "")

        rng = random.Random(3)
        values = [make(rng) for _ in range(500)]
        sql("CREATE TABLE t (id int PRIMARY KEY, v numeric); INSERT INTO t VALUES " +
            ", ".join(f"({i}, {v})" for i, v in enumerate(values)))
        theirs = [row["w"] for row in rows("SELECT v::text AS w FROM t ORDER BY id")]
        self.assertEqual([str(row["v"]) for row in self.read()], theirs)

    def test_random_timestamps(self):
        self.check_server("timestamptz", lambda r: f"{r.randint(1, 9999):04}-{r.randint(1, 12):02}-{r.randint(1, 28):02} "
                          f"{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}.{r.randint(0, 999999)}+00",
                          "regexp_replace(to_json(v) #>> '{}', '\\+00:00$', 'Z')")

    def test_random_dates(self):
        self.check_server("date", lambda r: f"{r.randint(1, 9999):04}-{r.randint(1, 12):02}-{r.randint(1, 28):02}", "v::text")

    def test_random_intervals(self):
        sql("ALTER ROLE dataflow SET intervalstyle = 'iso_8601'")
        self.addCleanup(sql, "ALTER ROLE dataflow RESET intervalstyle")
        self.check_server("interval", lambda r: f"{r.randint(-3000, 3000)} months {r.randint(-99, 99)} days "
                          f"{r.randint(-10 ** 12, 10 ** 12) * r.choice([0, 1, 1000000])} microseconds", "v::text")

    def test_random_inet(self):
        def make(r):
            groups = [r.choice(["0", "0", "0", "ffff", "1", "abcd", "10"]) for _ in range(8)]
            return ":".join(groups) + r.choice(["", "", f"/{r.randint(0, 128)}"])

        self.check_server("inet", make, "textin(inet_out(v))")

    def test_random_doubles(self):
        rng = random.Random(5)
        values = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(600)]
        values = [v for v in values if math.isfinite(v)]
        singles = [rng.uniform(-1, 1) * 10 ** rng.randint(-30, 30) for _ in values]
        sql("CREATE TABLE t (id int PRIMARY KEY, v float8, f float4); INSERT INTO t VALUES " +
            ", ".join(f"({i}, '{v!r}'::float8, {singles[i]!r}::float4)" for i, v in enumerate(values)))
        singles = [row["w"] for row in rows("SELECT f::text AS w FROM t ORDER BY id")]
        for row, value, single in zip(self.read(), values, singles):
            self.assertEqual(float(row["v"]), value)
            self.assertLessEqual(len(repr(float(row["v"]))), len(repr(value)))
            self.assertEqual(struct.pack("<f", float(row["f"])), struct.pack("<f", float(single)))

    def test_metadata(self):
        sql("""CREATE TABLE t (id int PRIMARY KEY, created_at timestamp, updated_at timestamptz);
               INSERT INTO t VALUES (1, '2024-01-01', '2024-01-01'), (2, '2024-01-01', '2024-01-02'), (3, NULL, '2024-01-03'),
                                    (4, '2024-01-04', NULL)""")
        seen = [(row["id"], row["_table"], row["_operation"], row["_id"]) for row in self.read(table="public.t", metadata=True)]
        self.assertEqual(seen, [(1, "public.t", "insert", "1"), (2, "public.t", "update", "2"), (3, "public.t", "insert", "3"),
                                (4, "public.t", "insert", "4")])

    def test_texts_that_are_not_utf8(self):
        """Of a database that does not care."""
        superuser("DROP DATABASE IF EXISTS ascii")
        superuser("CREATE DATABASE ascii OWNER dataflow ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        self.addCleanup(superuser, "DROP DATABASE ascii WITH (FORCE)")
        url = postgresql_kit.PG["POSTGRESQL_URL"].rsplit("/", 1)[0] + "/ascii"
        sql("CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'ok', E'A\\xff')", url)
        self.assertEqual(self.read(url=url), [{"id": 1, "a": "ok", "b": "Qf8="}])
        sql("""DO $$ BEGIN EXECUTE 'ALTER TABLE t ADD COLUMN "a' || chr(233) || '" int'; END $$""", url)
        self.assertIn('\\"a?\\" is not valid UTF-8', self.run_flow(self.flow({"type": "discard"}, self.source(url=url))).stderr)

    def test_documents_too_deep_are_errors_of_their_rows(self):
        deep = "[" * 3000 + "]" * 3000
        sql(f"CREATE TABLE t (id int PRIMARY KEY, j json); INSERT INTO t VALUES (1, '1'), (2, '{deep}'), (3, '3')")
        sink = {"type": "file", "config": {"path": str(self.dir / "out.jsonl")}}
        done = self.run_flow(self.flow(sink, self.source(), errors="errors.jsonl"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.out_ids(), [1, 3])
        self.assertIn("column j", json.dumps(self.lines("errors.jsonl")))

    def test_wide_rows(self):
        names = ", ".join(f"c{i}" for i in range(1500))
        sql(f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(f'c{i} int2' for i in range(1500))});"
            f"INSERT INTO t (id, {names}) VALUES (1, {', '.join(str(i) for i in range(1500))})")
        self.assertEqual(self.read(), [{"id": 1, **{f"c{i}": i for i in range(1500)}}])

    def test_long_values(self):
        sql("CREATE TABLE t (id int PRIMARY KEY, a text, b bytea); INSERT INTO t VALUES "
            "(1, repeat('x', 5000000), decode(repeat('00', 3000000), 'hex')), (2, 'short', '')")
        got = self.read()
        self.assertEqual([(len(row["a"]), len(row["b"])) for row in got], [(5000000, 4000000), (5, 0)])


if __name__ == "__main__":
    unittest.main()
