"""From Trino to PostgreSQL: what the types are there."""
import subprocess
import unittest

import services
from trino_kit import TrinoTest


class ToPostgresql(TrinoTest):
    @classmethod
    def setUpClass(cls):
        cls.server = services.use("trino", "postgresql")

    def psql(self, text):
        done = subprocess.run(["psql", "-XAtq", "-F", "|", self.server["POSTGRESQL_URL"], "-c", text], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def test_values_arrive_as_what_they_are(self):
        self.drop("memory.default.origin")
        self.psql("DROP TABLE IF EXISTS from_trino, from_trino_made")
        self.psql("CREATE TABLE from_trino (id bigint, de numeric(38,10), b boolean, r real, d double precision, v text, vb bytea, dt date, "
                  "t time, ts timestamp, tz timestamptz, u uuid, j jsonb, a bigint[], i interval)")
        self.sql("CREATE TABLE memory.default.origin AS SELECT BIGINT '-9223372036854775808' id, DECIMAL '1234567890123456789012345678.0123456789' de, "
                 "true b, REAL '0.1' r, nan() d, 'it''s ' || U&'\\+01F600' v, X'00ff' vb, DATE '2024-02-29' dt, TIME '23:59:59.999999' t, "
                 "TIMESTAMP '2024-01-01 00:00:00.123456' ts, TIMESTAMP '2024-07-01 12:00:00.5 Europe/Berlin' tz, "
                 "UUID '12151fd2-7586-11e9-8f9e-2a86e4085a59' u, JSON '{\"a\":[1]}' j, ARRAY[BIGINT '1', NULL] a, INTERVAL '1 02:03:04.5' DAY TO SECOND i")
        want = ["-9223372036854775808|1234567890123456789012345678.0123456789|t|0.1|NaN|it's \U0001F600|\\x00ff|2024-02-29|23:59:59.999999|"
                "2024-01-01 00:00:00.123456|2024-07-01 10:00:00.5+00|12151fd2-7586-11e9-8f9e-2a86e4085a59|{\"a\": [1]}|{1,NULL}|1 day 02:03:04.5"]
        self.flow("trino", self.connection(table="origin"), "postgresql",
                  {"connectionString": self.server["POSTGRESQL_URL"], "table": "from_trino"})
        self.run_flow()
        self.assertEqual(self.psql("SET timezone = 'UTC'; SELECT * FROM from_trino"), want)

        self.flow("trino", self.connection(table="origin"), "postgresql",
                  {"connectionString": self.server["POSTGRESQL_URL"], "table": "from_trino_made", "autoCreateTable": True}, name="made")
        self.run_flow()
        types = dict(line.split("|") for line in self.psql(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'from_trino_made'"))
        self.assertEqual({name: types[name] for name in ("id", "de", "b", "v", "vb", "dt", "ts", "tz", "u")},
                         {"id": "bigint", "de": "numeric", "b": "boolean", "v": "text", "vb": "bytea", "dt": "date",
                          "ts": "timestamp without time zone", "tz": "timestamp with time zone", "u": "uuid"})


if __name__ == "__main__":
    unittest.main()
