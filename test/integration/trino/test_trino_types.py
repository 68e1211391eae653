"""Every type out of Trino and back into it, exactly."""
import json
import unittest

from trino_kit import TrinoTest

COLUMNS = """b boolean, t tinyint, s smallint, i integer, l bigint, r real, d double, dec decimal(38,10), dec2 decimal(5,2),
v varchar, v5 varchar(5), c char(4), vb varbinary, j json, dt date, t0 time(0), t6 time(6), t12 time(12),
tz time(3) with time zone, ts0 timestamp(0), ts6 timestamp(6), ts12 timestamp(12), tstz3 timestamp(3) with time zone,
tstz12 timestamp(12) with time zone, u uuid, ip ipaddress, a array(bigint), a2 array(array(decimal(20,5))), ab array(varbinary),
m map(varchar, double), mb map(bigint, varbinary), rw row(x bigint, "Y z" varchar, w row(q timestamp(6))),
rb row(x varbinary, y json)"""

FULL = r"""true, TINYINT '-128', SMALLINT '32767', -2147483647, BIGINT '-9223372036854775808', REAL '3.4028235E38',
DOUBLE '4.9E-324', DECIMAL '1234567890123456789012345678.0123456789', DECIMAL '-999.99',
'it''s \ "quoted" ' || U&'\0000\000A\00e9\+01F600', 'abc', 'ab', X'00ff10', JSON '{"a":[1,2.5,null],"b":"x"}',
DATE '0001-01-01', TIME '00:00:00', TIME '23:59:59.999999', TIME '01:02:03.123456789012', TIME '01:02:03.100 +05:30',
TIMESTAMP '1969-12-31 23:59:59', TIMESTAMP '2020-02-29 12:00:00.123456', TIMESTAMP '9999-12-31 23:59:59.999999999999',
TIMESTAMP '2020-07-01 12:00:00.123 Europe/Berlin', TIMESTAMP '1900-01-01 00:00:00.000000000001 UTC',
UUID '12151fd2-7586-11e9-8f9e-2a86e4085a59', IPADDRESS '2001:db8::1', ARRAY[1,null,3],
ARRAY[ARRAY[DECIMAL '1.50000', null], null], ARRAY[X'61', null], MAP(ARRAY['k','q"'''], ARRAY[nan(), infinity()]),
MAP(ARRAY[5], ARRAY[X'00']), ROW(1, 'a,b', ROW(TIMESTAMP '2020-01-01 00:00:00.5')), ROW(X'ff', JSON '[1]')"""

EXPECTED = {
    "id": 1, "b": True, "t": -128, "s": 32767, "i": -2147483647, "l": -9223372036854775808, "r": 3.4028235e38, "d": 5e-324,
    "v": "it's \\ \"quoted\" \0\n\u00e9\U0001F600", "v5": "abc", "c": "ab  ", "vb": "AP8Q", "j": {"a": [1, 2.5, None], "b": "x"},
    "dt": "0001-01-01", "t0": "00:00:00", "t6": "23:59:59.999999", "t12": "01:02:03.123456789012", "tz": "01:02:03.1+05:30",
    "ts0": "1969-12-31T23:59:59Z", "ts6": "2020-02-29T12:00:00.123456Z", "ts12": "9999-12-31T23:59:59.999999999999Z",
    "tstz3": "2020-07-01T10:00:00.123Z", "tstz12": "1900-01-01T00:00:00.000000000001Z",
    "u": "12151fd2-7586-11e9-8f9e-2a86e4085a59", "ip": "2001:db8::1", "a": [1, None, 3],
    "ab": ["YQ==", None], "m": {"k": "NaN", "q\"'": "Infinity"}, "mb": {"5": "AA=="},
    "rw": {"x": 1, "Y z": "a,b", "w": {"q": "2020-01-01T00:00:00.5Z"}}, "rb": {"x": "/w==", "y": [1]},
}


class Types(TrinoTest):
    def setUp(self):
        super().setUp()
        self.drop("memory.default.matrix", "memory.default.copy")
        self.sql(f"CREATE TABLE memory.default.matrix (id bigint, {COLUMNS})")
        self.sql(f"INSERT INTO memory.default.matrix VALUES (1, {FULL})")
        self.sql("INSERT INTO memory.default.matrix (id) VALUES (2)")

    def test_every_type_is_read_exactly(self):
        self.flow("trino", self.connection(table="matrix"), "file", {"path": str(self.dir / "out.jsonl")})
        self.run_flow()
        lines = (self.dir / "out.jsonl").read_text().splitlines()
        self.assertEqual(len(lines), 2)
        # Decimals keep their digits and scale, which Python's floats would not show.
        self.assertIn('"dec":1234567890123456789012345678.0123456789,"dec2":-999.99,', lines[0])
        self.assertIn('"a2":[[1.50000,null],null]', lines[0])
        row = json.loads(lines[0])
        for key in ("dec", "dec2", "a2"):
            row.pop(key)
        self.assertEqual(row, EXPECTED)
        null = json.loads(lines[1])
        self.assertEqual(null.pop("id"), 2)
        self.assertTrue(all(value is None for value in null.values()), null)

    def test_every_type_is_written_exactly(self):
        self.sql(f"CREATE TABLE memory.default.copy (id bigint, {COLUMNS})")
        self.flow("trino", self.connection(table="matrix"), "trino", self.connection(table="copy", batchSize=10))
        self.run_flow()
        for one, other in (("matrix", "copy"), ("copy", "matrix")):
            # Maps and documents have no order, so EXCEPT takes their text; of them and all else nothing may differ.
            columns = "id, " + ", ".join(
                f"json_format(CAST({c} AS json))" if c in ("m", "a2", "a", "rw") else
                f"json_format({c})" if c == "j" else
                f"transform({c}, x -> to_hex(x))" if c == "ab" else
                f"transform_values({c}, (k, v) -> to_hex(v))[5]" if c == "mb" else
                f"to_hex({c}.x) || json_format({c}.y)" if c == "rb" else c
                for c in [part.split()[0] for part in COLUMNS.replace("\n", " ").split(", ")
                          if part.split()[0] in EXPECTED or part.split()[0] in ("dec", "dec2", "a2")])
            self.assertEqual(self.sql(f"SELECT {columns} FROM memory.default.{one} EXCEPT "
                                      f"SELECT {columns} FROM memory.default.{other}"), [])

    def test_what_does_not_fit_is_refused_alone(self):
        self.sql("CREATE TABLE memory.default.copy (id bigint, t tinyint, dec decimal(5,2), v3 varchar(3), dt date, u uuid, "
                 "r real, j json, ts timestamp(3), vb varbinary, bo boolean, a array(integer), rw row(x bigint))")
        bad = [{"t": 128}, {"t": 1.5}, {"dec": 1.234}, {"dec": 1000}, {"v3": "abcd"}, {"dt": "2020-02-30"}, {"u": "x"},
               {"r": 16777217}, {"j": {"n": 0.12345678901234567891}}, {"ts": "noon"}, {"vb": "!"}, {"bo": "yes"}, {"a": [1, "x"]},
               {"a": {}}, {"rw": {"y": 1}}, {"t": "x"}]
        good = [{"t": "5"}, {"t": 5.0}, {"dec": "1.20"}, {"v3": "äöü"}, {"dt": "2020-02-29T23:59:59Z"}, {"r": 0.1},
                {"ts": 1600000000}, {"ts": "2020-01-01T00:00:00.123456+02:00"}, {"vb": "\\xff"}, {"bo": 1}, {"a": ["7"]},
                {"rw": {"x": 1}}, {"v3": 12}]
        lines = [json.dumps(dict(row, id=n)) for n, row in enumerate(bad)] + \
                [json.dumps(dict(row, id=100 + n)) for n, row in enumerate(good)]
        lines[8] = '{"id": 8, "j": {"n": 0.12345678901234567891}}'
        self.write("in.jsonl", "\n".join(lines) + "\n")
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "trino", self.connection(table="copy", batchSize=100),
                  extra=f"  errors:\n    type: file\n    config: {{path: {self.dir / 'errors.jsonl'}}}\n")
        self.run_flow()
        errors = self.read_jsonl("errors.jsonl")
        self.assertEqual(sorted(e["original_message"]["id"] for e in errors), list(range(len(bad))))
        for error in errors:
            column = [k for k in error["original_message"] if k != "id"][0]
            self.assertIn(f'column "{column}"', error["error"]["message"])
            self.assertEqual(error["error"]["type"], "invalid_data")
        rows = dict((r[0], r[1:]) for r in self.sql("SELECT id, t, dec, v3, dt, r, ts, to_hex(vb), bo, a, rw.x FROM memory.default.copy"))
        self.assertEqual(sorted(rows), [100 + n for n in range(len(good))])
        self.assertEqual(rows[100][0], 5)
        self.assertEqual(rows[102][1], "1.20")
        self.assertEqual(rows[104][3], "2020-02-29")
        self.assertEqual(rows[106][5], "2020-09-13 12:26:40.000")
        self.assertEqual(rows[107][5], "2019-12-31 22:00:00.123")
        self.assertEqual(rows[108][6], "FF")

    def test_hostile_strings_come_back_equal(self):
        pieces = ["'", '"', "\\", "\0", "\n", "--", "/*", "*/", ";", "${x}", "U&'", "]'", "é", "\U0001F600", "\u2028", "\x7f", "%", " "]
        texts = ["".join(pieces[(n * k) % len(pieces)] for k in range(1, 2 + n % 7)) + str(n) for n in range(1000)]
        self.sql("CREATE TABLE memory.default.copy (id bigint, v varchar)")
        self.jsonl("in.jsonl", [{"id": n, "v": text} for n, text in enumerate(texts)])
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "trino", self.connection(table="copy", batchSize=1000))
        self.run_flow()
        self.assertEqual(dict(self.sql("SELECT id, v FROM memory.default.copy")), dict(enumerate(texts)))

    def test_hostile_names(self):
        names = ['q"uote', "semi;colon", "dot.ted", "sp ace", "ünï", "sel'ect", "back\\slash", "--", "%s", "select", "a" * 63, "b" * 200]
        for name in names:
            with self.subTest(name=name):
                quoted = '"' + name.replace('"', '""') + '"'
                self.drop(f"memory.default.{quoted}")
                self.jsonl("in.jsonl", [{"id": 1, name: "v"}])
                self.flow("file", {"path": str(self.dir / "in.jsonl")}, "trino",
                          self.connection(table=name, autoCreateTable=True), name="hostile")
                self.run_flow("--reset-checkpoint")
                self.flow("trino", self.connection(table=name), "file",
                          {"path": str(self.dir / "back.jsonl"), "mode": "atomic"}, name="hostile2")
                self.run_flow("--reset-checkpoint")
                self.assertEqual(self.read_jsonl("back.jsonl"), [{"id": 1, name.lower(): "v"}])


if __name__ == "__main__":
    unittest.main()
