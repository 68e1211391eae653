"""PostgreSQL source: what is read, in which order, where it goes on."""
import random
import signal
import sqlite3
import subprocess
import unittest

import postgresql_kit
from postgresql_kit import PG, sql, superuser
from postgresql_reading import SourceTest
from running import Running, wait_until


def setUpModule():
    postgresql_kit.start()


class Modes(SourceTest):
    def test_table_by_updated_at_or_created_at(self):
        sql("""CREATE TABLE t (id int PRIMARY KEY, created_at timestamptz, updated_at timestamptz);
               INSERT INTO t VALUES (1, '2024-01-03', NULL), (2, '2024-01-01', '2024-01-04'), (3, '2024-01-02', '2024-01-02'),
                                    (4, NULL, NULL), (5, NULL, '2024-01-01')""")
        self.assertEqual(self.ids(), [5, 3, 1, 2, 4])
        self.assertEqual(self.checkpoint(), {
            "lastReadChangeTime": "2024-01-04T00:00:00Z", "lastReadOrderByValue": 2, "lastReadNullOrderByValue": 4,
            "source": {"table": "t", "changeTrackingColumn": "updated_at", "orderByColumn": "id"}})
        sql("UPDATE t SET updated_at = '2024-01-05' WHERE id = 1; INSERT INTO t VALUES (6, '2024-01-06', NULL), (7, NULL, NULL)")
        self.assertEqual(self.ids(keep=True), [1, 6, 7])
        self.assertEqual(self.ids(keep=True), [])

    def test_explicit_column_is_taken_plain(self):
        sql("""CREATE TABLE t (id int PRIMARY KEY, created_at timestamptz, updated_at timestamptz);
               INSERT INTO t VALUES (1, '2024-01-03', NULL), (2, '2024-01-01', '2024-01-02')""")
        self.assertEqual(self.ids(changeTrackingColumn="updated_at"), [2, 1])
        self.assertEqual(self.ids(changeTrackingColumn="created_at"), [2, 1])

    def test_without_one_of_the_columns(self):
        sql("CREATE TABLE k (id int PRIMARY KEY); INSERT INTO k VALUES (3), (1), (2)")
        self.assertEqual(self.ids(table="k", log="no column updated_at: new rows are found by id alone"), [1, 2, 3])
        sql("INSERT INTO k VALUES (4), (0)")
        self.assertEqual(self.ids(table="k", keep=True), [4])
        sql("CREATE TABLE u (n int, updated_at timestamp); INSERT INTO u VALUES (3, '2024-01-03'), (1, '2024-01-01'), (2, '2024-01-01')")
        self.assertEqual({row["n"] for row in self.read(table="u", log="no column id: rows are ordered by updated_at alone")}, {1, 2, 3})
        sql("CREATE TABLE n (a int)")
        self.assertIn("neither the column updated_at nor id; set changeTrackingColumn or orderByColumn", self.fail(table="n"))

    def test_rows_without_a_place(self):
        sql("""CREATE TABLE t (id int, updated_at timestamptz); INSERT INTO t VALUES (1, NULL), (NULL, NULL), (NULL, '2024-01-01'),
               (2, '2024-01-01'), (3, NULL)""")
        for size in (0, 1, 2):
            seen = self.ids(readBatchSize=size, log="1 rows of t have NULL where they would be ordered by")
            self.assertEqual(seen, [2, None, 1, 3, None])
            self.assertEqual(self.ids(readBatchSize=size, keep=True), [None])

    def test_ties_are_read_whole_and_once(self):
        sql("""CREATE TABLE t (id int, n int, updated_at timestamptz);
               INSERT INTO t SELECT i % 5, i, timestamptz '2024-01-01' + (i % 3) * interval '1 second' FROM generate_series(1, 90) i""")
        for size in (0, 1, 2, 5, 6, 7, 89, 90, 91):
            got = self.read(readBatchSize=size)
            self.assertEqual(sorted(row["n"] for row in got), list(range(1, 91)), size)
            self.assertEqual([(row["updated_at"], row["id"]) for row in got], sorted((row["updated_at"], row["id"]) for row in got))

    def test_limits_reach_the_server(self):
        sql("CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz NOT NULL); INSERT INTO t SELECT i, '2024-01-01' FROM generate_series(1, 10) i")
        superuser("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()")
        self.assertEqual(self.ids(readBatchSize=4), list(range(1, 11)))
        seen = superuser("SELECT query, calls FROM pg_stat_statements WHERE query ILIKE '%dataflow_src%'")
        self.assertIn("WITH TIES", seen)
        self.assertIn('> (', seen)  # a row comparison, which an index on (updated_at, id) serves
        # What a poll does not ask: the catalog.
        self.assertEqual(superuser("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query LIKE '%pg_type%' AND query LIKE '%typsend%' "
                                   "AND query NOT LIKE '%pg_stat_statements%'"), "0")

    def test_wrapped_query(self):
        sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 9) i")
        query = 'SELECT id, v AS change_t, \'x\' AS c FROM t WHERE id > 1 ORDER BY id DESC; -- a comment'
        config = {"query": query, "changeTrackingColumn": "change_t", "readBatchSize": 2}
        self.assertEqual(self.ids(**config), [3, 6, 9, 4, 7, 2, 5, 8])
        self.assertEqual({k: v for k, v in self.checkpoint().items() if k != "source"},
                         {"lastReadChangeValue": 2, "lastReadOrderByValue": 8})
        sql("INSERT INTO t VALUES (10, 2), (11, 1)")
        self.assertEqual(self.ids(keep=True, **config), [10])
        self.assertIn("gives no column id, which orderByColumn names", self.fail(query="SELECT v FROM t", changeTrackingColumn="v"))
        self.assertIn("gives no column w, which changeTrackingColumn", self.fail(query="SELECT * FROM t", changeTrackingColumn="w"))

    def test_query_as_it_is(self):
        sql("CREATE TABLE t (id int PRIMARY KEY, r int4range); INSERT INTO t SELECT i, '[1,2)' FROM generate_series(1, 5) i")
        query = "WITH x AS (SELECT * FROM t)\nSELECT id, r FROM x ORDER BY id DESC -- last\n;"
        self.assertEqual(self.ids(table=None, query=query), [5, 4, 3, 2, 1])
        self.assertEqual(self.ids(table=None, query=query, keep=True), [5, 4, 3, 2, 1])
        self.assertEqual(self.read(table="label", query="SELECT 1 AS id", metadata=True)[0]["_table"], "label")
        self.assertEqual(self.read(table=None, query="VALUES (7)"), [{"column1": 7}])

    def test_queries_that_cannot_be(self):
        sql("CREATE TABLE t (id int PRIMARY KEY); CREATE SEQUENCE s; "
            "CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING id'")
        self.assertIn('two columns with the name \\"id\\"', self.fail(table=None, query="SELECT id, id FROM t"))
        self.assertIn("42601", self.fail(table=None, query="SELECT FROM WHERE"))
        self.assertIn("the query writes", self.fail(table=None, query="SELECT nextval('s')"))
        self.assertIn("the query writes", self.fail(table=None, query="SELECT w() AS id"))
        self.assertIn("22012", self.fail(table=None, query="SELECT 1 / i AS id FROM generate_series(0, 1) i"))
        self.assertEqual(sql("SELECT count(*) FROM t"), "0")

    def test_any_type_orders(self):
        """T and K of any type that can be ordered: a second run goes on behind the first."""
        kinds = {
            "int2": ["1", "2", "3"], "int8": ["-9223372036854775808", "0", "9223372036854775807"], "numeric": ["-1.50", "0.10", "NaN"],
            "float8": ["-Infinity", "1e22", "NaN"], "float4": ["0.1", "0.2", "0.3"], "text": ["a''b", "b\\", "ü"], "bool": ["false", "true"],
            "bytea": ["\\x00", "\\x0001", "\\xff"], "uuid": ["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000000"],
            "date": ["0044-03-15 BC", "2024-01-01", "infinity"], "time": ["00:00:00", "24:00:00"], "timetz": ["00:00:00+01", "00:00:00-05"],
            "timestamp": ["-infinity", "0044-03-15 BC", "2024-01-01 00:00:00.000001", "20000-01-01", "infinity"],
            "timestamptz": ["0001-01-01 00:00+00 BC", "2024-01-01 00:00:00.999999+00", "infinity"],
            "interval": ["-1 day", "0", "1 year 2 mons"], "inet": ["1.2.3.5/8", "1.2.3.4", "::1"], "cidr": ["10.0.0.0/8", "::/0"],
            "macaddr": ["08:00:2b:01:02:03", "08:00:2b:01:02:04"], "bit(3)": ["001", "100"], "jsonb": ["1", '{"a": 1}'],
            "int4[]": ["{1}", "{1,NULL}", "{2}"], "int4range": ["empty", "[1,10)", "[2,)"], "money": ["-1", "12.34"], "mood": ["sad", "happy"],
            "pair": ["(1,a)", "(2,)"], "pg_lsn": ["0/1", "1/0"], '"char"': ["a", "z"], "name": ["a", "b"], "oid": ["1", "4294967295"],
            "citext": ["a", "B", "c"], "posint": ["1", "2"], "tsvector": ["a", "b c"], "xid8": ["1", "18446744073709551615"],
        }
        superuser("CREATE EXTENSION citext")
        sql("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN posint AS int")
        for kind, values in kinds.items():
            with self.subTest(kind):
                sql(f"DROP TABLE IF EXISTS t; CREATE TABLE t (id {kind} NOT NULL, n int)")
                parts = ", ".join(f"('{v}', {i})" for i, v in enumerate(values))
                sql(f"INSERT INTO t VALUES {parts}")
                config = {"changeTrackingColumn": "id", "orderByColumn": "n"}
                for by in ({}, config) if kind in ("jsonb", "pair", "bytea", "timestamp") else (config,):
                    self.assertEqual([row["n"] for row in self.read(readBatchSize=1, **by)], list(range(len(values))))
                    self.assertEqual(self.read(keep=True, **by), [])

    def test_auto_create(self):
        self.assertEqual(self.ids(table="public.made", autoCreateTable=True), [])
        self.assertEqual(sql("SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM "
                             "information_schema.columns WHERE table_name = 'made'"),
                         "id integer, created_at timestamp without time zone, updated_at timestamp without time zone")
        sql("INSERT INTO made DEFAULT VALUES")
        self.assertEqual(self.ids(table="public.made", autoCreateTable=True), [1])
        self.assertIn("create it or set autoCreateTable: true", self.fail(table="missing"))

    def test_hostile_names(self):
        rng = random.Random(11)
        odd = ['"', "'", "\\", ";", "--", "/*", "$$", "$1", "%s", " ", ".", "ü", "🐘", "\n", "\t", "SELECT", "a", "B", "(", ")", ","]
        names = {"".join(rng.choice(odd) for _ in range(rng.randint(1, 8))) for _ in range(160)}
        names = [n for n in names if n.strip() and len(n.encode()) < 60 and "." not in n][:100]
        self.assertEqual(len(names), 100)
        quoted = ['"' + n.replace('"', '""') + '"' for n in names]
        sql(f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(f'{q} int' for q in quoted)});"
            f"INSERT INTO t VALUES (1, {', '.join(str(i) for i in range(100))})")
        self.assertEqual(self.read(), [{"id": 1, **{n: i for i, n in enumerate(names)}}])
        sql("".join(f"CREATE TABLE {q} (id int, {q} int); INSERT INTO {q} VALUES (1, 2), (1, 3), (2, 1);" for q in quoted))
        for name, q in zip(names, quoted):
            # In double quotes, because `.` and quotes mean something in `table`.
            got = self.read(table=q, orderByColumn="id", readBatchSize=1)
            self.assertEqual([row[name] for row in got], [2, 3, 1], name)

    def test_columns_that_change(self):
        """A pipeline that goes on while the table is altered."""
        sql("CREATE TABLE t (id int PRIMARY KEY, a int, b text); INSERT INTO t VALUES (1, 1, 'x')")
        running = self.start(pollInterval=1)
        wait_until(lambda: len(self.lines("out.jsonl")) == 1)
        sql("ALTER TABLE t ADD c int4range, ALTER a TYPE text, DROP b; INSERT INTO t VALUES (2, 'two', '[1,5)')")
        wait_until(lambda: len(self.lines("out.jsonl")) == 2)
        self.assertEqual(self.lines("out.jsonl")[1], {"id": 2, "a": "two", "c": "[1,5)"})
        self.assertIn("the columns of t have changed", running.text())
        sql("ALTER TABLE t DROP id")
        running.wait_log("neither the column updated_at nor id")
        self.assertEqual(running.wait(), 1)


class Checkpoints(SourceTest):
    def setUp(self):
        super().setUp()
        sql("""CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz);
               INSERT INTO t SELECT i, timestamptz '2024-01-01' + (i / 2) * interval '1 second' FROM generate_series(1, 9) i""")

    def test_forms(self):
        cases = [
            ({"lastReadChangeTime": "2024-01-01T00:00:02Z", "lastReadOrderByValue": 4}, [5, 6, 7, 8, 9]),
            ({"lastReadChangeTime": "2024-01-01T00:00:02.000000000Z", "lastReadOrderByValue": "5"}, [6, 7, 8, 9]),
            ({"lastReadTime": "2024-01-01 00:00:02", "lastReadID": 4}, [5, 6, 7, 8, 9]),
            ({"lastReadTime": "2024-01-01T02:00:02+02:00", "lastReadID": 5}, [6, 7, 8, 9]),
            ({"lastReadChangeTime": "2024-01-01T00:00:03Z"}, [6, 7, 8, 9]),
            ({"lastReadOrderByValue": 6}, [7, 8, 9]),
            ({}, list(range(1, 10))),
        ]
        for checkpoint, expected in cases:
            with self.subTest(checkpoint):
                self.set_checkpoint({**checkpoint, "keep": {"me": 1.50}})
                self.assertEqual(self.ids(keep=True), expected)
                self.assertEqual(self.checkpoint()["keep"], {"me": "1.5"})
                self.assertEqual(self.checkpoint()["lastReadOrderByValue"], 9)
                self.assertNotIn("lastReadID", self.checkpoint())

    def test_refused(self):
        for checkpoint in ({"lastReadChangeTime": "yesterday"}, {"lastReadOrderByValue": [1]},
                           {"source": {"table": "u", "changeTrackingColumn": "updated_at", "orderByColumn": "id"}}):
            self.set_checkpoint(checkpoint)
            done = self.run_flow(self.file_flow(), "--once", keep=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("checkpointReset: true", done.stderr)
        self.set_checkpoint({"lastReadOrderByValue": "no number"})
        done = self.run_flow(self.file_flow(), "--once", keep=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("22P02", done.stderr)

    def test_precision(self):
        sql("TRUNCATE t; INSERT INTO t VALUES (1, '2024-01-01 00:00:00.123456+00'), (2, '2024-01-01 00:00:00.123457+00')")
        self.assertEqual(self.ids("--limit", "1", readBatchSize=1), [1])
        self.assertEqual(self.checkpoint()["lastReadChangeTime"], "2024-01-01T00:00:00.123456Z")
        self.assertEqual(self.ids(keep=True), [2])


class Late(SourceTest):
    """A transaction that commits after a later change time was read."""

    def lose_or_not(self, **config):
        sql("CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz DEFAULT clock_timestamp()); INSERT INTO t VALUES (1)")
        running = self.start(pollInterval=1, **config)
        wait_until(lambda: self.out_ids() == [1])
        late = subprocess.Popen(["psql", "-XAtq", PG["POSTGRESQL_URL"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        late.stdin.write("BEGIN; INSERT INTO t VALUES (2); SELECT 'open';\n")
        late.stdin.flush()
        self.assertEqual(late.stdout.readline(), "open\n")
        sql("INSERT INTO t VALUES (3)")
        wait_until(lambda: 3 in self.out_ids())
        late.communicate("COMMIT; INSERT INTO t VALUES (4);\n")
        wait_until(lambda: 4 in self.out_ids())
        sql("INSERT INTO t VALUES (5)")
        wait_until(lambda: 5 in self.out_ids())
        self.assertEqual(running.stop()[0], 0)
        return self.out_ids()

    def test_without_overlap_the_row_is_lost(self):
        self.assertEqual(self.lose_or_not(), [1, 3, 4, 5])

    def test_with_overlap_it_is_read_once(self):
        self.assertEqual(sorted(self.lose_or_not(trackingOverlapSeconds=60)), [1, 2, 3, 4, 5])

    def test_with_overlap_and_a_limit(self):
        self.assertEqual(sorted(self.lose_or_not(trackingOverlapSeconds=60, readBatchSize=1)), [1, 2, 3, 4, 5])


class Kill(SourceTest):
    KILLS = 6
    ROWS = 60_000

    def test_nothing_missing_nothing_doubled(self):
        sql(f"""CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz, v text);
                INSERT INTO t SELECT i, timestamptz '2024-01-01' + (i / 7) * interval '1 ms', 'row ' || i FROM generate_series(1, {self.ROWS}) i""")
        sink = {"type": "sqlite", "config": {"path": str(self.dir / "out.db"), "table": "t", "autoCreateTable": True, "upsertMode": True,
                                             "conflictKey": "id", "synchronous": "normal"}}
        manifest = self.flow(sink, self.source(readBatchSize=500), checkpointSaveInterval="20ms")
        command = self.command(manifest, "--once")
        rng = random.Random(1)
        for _ in range(self.KILLS):
            running = Running(command, self.dir)
            try:
                running.process.wait(rng.uniform(0.05, 0.25))
            except subprocess.TimeoutExpired:
                pass
            running.stop(signal.SIGKILL)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        with sqlite3.connect(self.dir / "out.db") as db:
            self.assertEqual(db.execute("SELECT count(*), count(DISTINCT id), min(id), max(id) FROM t").fetchone(),
                             (self.ROWS, self.ROWS, 1, self.ROWS))


if __name__ == "__main__":
    unittest.main()
