"""The PostgreSQL sink when the server, the network or the rights fail: nothing lost, nothing doubled, errors that say what helps."""
import json
import os
import pathlib
import shutil
import subprocess
import time
import unittest

from postgresql_kit import PG, PostgresTest, rows, services, sql, start, superuser
from proxy import Proxy
from running import wait_until

setUpModule = start


class Rights(PostgresTest):
    def test_wrong_password(self):
        self.jsonl([{"id": 1}])
        sql("CREATE TABLE t (id int)")
        url = PG["POSTGRESQL_URL"].replace("dataflow-secret", "wrong-secret")
        running = self.begin(self.flow(self.sink(url=url)), "--once")
        running.wait_log("28P01")
        running.stop()
        self.assertNotIn("wrong-secret", running.text())

    def test_no_permission(self):
        sql("CREATE TABLE t (id int PRIMARY KEY)")
        url = PG["POSTGRESQL_URL"].replace("dataflow:dataflow-secret", "reader:reader-secret")
        self.jsonl([{"id": i} for i in range(100)])
        done = self.run_flow(self.flow(self.sink(url=url)), timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("42501", done.stderr)
        self.assertIn("GRANT", done.stderr)

    def test_no_temporary_tables(self):
        """Upserts then go row by row."""
        superuser("REVOKE TEMPORARY ON DATABASE dataflow FROM public; ALTER DATABASE dataflow OWNER TO postgres")
        self.addCleanup(superuser, "ALTER DATABASE dataflow OWNER TO dataflow; GRANT TEMPORARY ON DATABASE dataflow TO public")
        sql("CREATE TABLE t (id int PRIMARY KEY, a text)")
        done = self.write_rows([{"id": i % 300, "a": str(i)} for i in range(900)], upsertMode=True)
        self.assertIn("GRANT TEMPORARY", done.stderr)
        self.assertEqual(sql("SELECT count(*), min(a::int) FROM t"), "300|600")

    def test_read_only_server(self):
        """As after a failover: it connects again until the server takes writes."""
        sql("CREATE TABLE t (id int PRIMARY KEY)")
        superuser("ALTER DATABASE dataflow SET default_transaction_read_only = on")
        self.addCleanup(superuser, "ALTER DATABASE dataflow RESET default_transaction_read_only")
        self.jsonl([{"id": i} for i in range(500)])
        running = self.begin(self.flow(self.sink(upsertMode=True)), "--once")
        running.wait_log("25006")
        superuser("SET default_transaction_read_only = off; ALTER DATABASE dataflow RESET default_transaction_read_only")
        self.assertEqual(running.wait(), 0, running.text())
        self.assertEqual(sql("SELECT count(*) FROM t"), "500")

    def test_too_many_connections(self):
        sql("CREATE TABLE t (id int PRIMARY KEY)")
        superuser("ALTER ROLE dataflow CONNECTION LIMIT 0")
        self.addCleanup(superuser, "ALTER ROLE dataflow CONNECTION LIMIT -1")
        self.jsonl([{"id": 1}])
        running = self.begin(self.flow(self.sink()), "--once")
        running.wait_log("53300")
        superuser("ALTER ROLE dataflow CONNECTION LIMIT -1")
        self.assertEqual(running.wait(), 0, running.text())
        self.assertEqual(sql("SELECT count(*) FROM t"), "1")

    def test_lock_timeout_is_tried_again(self):
        sql("CREATE TABLE t (id int PRIMARY KEY)")
        url = PG["POSTGRESQL_URL"] + "?lock_timeout=300"
        self.jsonl([{"id": i} for i in range(100)])
        locker = subprocess.Popen(["psql", "-Xq", PG["POSTGRESQL_URL"], "-c", "BEGIN; LOCK TABLE t; SELECT pg_sleep(120)"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(locker.wait)
        self.addCleanup(locker.kill)
        holder = wait_until(lambda: sql("SELECT pid FROM pg_locks WHERE relation = to_regclass('t') AND mode = 'AccessExclusiveLock' AND granted"))
        running = self.begin(self.flow(self.sink(url=url)), "--once")
        running.wait_log("55P03")
        sql(f"SELECT pg_terminate_backend({holder})")  # without psql the backend would sleep on
        self.assertEqual(running.wait(), 0, running.text())
        self.assertEqual(sql("SELECT count(*) FROM t"), "100")

    def test_serialization_failures_and_deadlocks_are_tried_again(self):
        sql("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, 0 FROM generate_series(0, 99) i;"
            "CREATE TABLE tries (n int); CREATE SEQUENCE s;"
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n int := nextval('s'); BEGIN"
            " IF n = 30 THEN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END IF;"
            " IF n = 90 THEN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END IF; RETURN NEW; END $$;"
            "CREATE TRIGGER fail BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fail()")
        done = self.write_rows([{"id": i, "n": 1} for i in range(100)], upsertMode=True)
        self.assertIn("40001", done.stderr)
        self.assertEqual(done.summary["retries"], 2)
        self.assertEqual(sql("SELECT sum(n) FROM t"), "100")

    @unittest.skipUnless(os.geteuid() == 0, "a file system of a few MiB needs root")
    def test_disk_full(self):
        """A tablespace on a small tmpfs: the flush is tried again until there is room."""
        mount = pathlib.Path("/var/tmp/dataflow-test-tablespace")
        mount.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount], check=True)
        self.addCleanup(lambda: (subprocess.run(["umount", "-l", mount]), mount.rmdir()))
        shutil.chown(mount, "postgres", "postgres")
        superuser(f"CREATE TABLESPACE small LOCATION '{mount}'")
        self.addCleanup(superuser, "DROP TABLE IF EXISTS t; DROP TABLESPACE small")
        superuser("GRANT CREATE ON TABLESPACE small TO dataflow")
        sql("CREATE TABLE t (id int PRIMARY KEY, filler text) TABLESPACE small; INSERT INTO t SELECT -i, repeat('x', 1000) "
            "FROM generate_series(1, 2500) i; ")
        self.jsonl([{"id": i, "filler": "y" * 1000} for i in range(2000)])
        running = self.begin(self.flow(self.sink()))
        running.wait_log("53100")
        subprocess.run(["mount", "-o", "remount,size=64m", mount], check=True)
        wait_until(lambda: sql("SELECT count(*) FROM t WHERE id >= 0") == "2000")
        self.assertEqual(running.stop()[0], 0, running.text())


class Changes(PostgresTest):
    """The table changes under a running flow."""

    def follow(self, first, **config):
        """A flow that follows a file; yields a function that appends rows and waits until they are written."""
        path = self.jsonl(first)
        source = {"type": "file", "config": {"path": str(path), "follow": True}}
        self.running = self.begin(self.flow(self.sink(**config), source=source))

        def more(items, count, table="t"):
            with open(path, "a") as f:
                f.write("".join(json.dumps(i) + "\n" for i in items))
            self.wait_for(f"SELECT count(*) FROM {table}", str(count))
        return more

    def wait_for(self, query, expected):
        def there():
            if self.running.process.poll() is not None:
                self.fail(self.running.text())
            return sql(query, check=False) == expected

        wait_until(there, what=lambda: f"{query} is {sql(query, check=False)} instead of {expected}\n{self.running.text()}")

    def test_column_added_dropped_and_changed(self):
        for size in (1, 200):
            with self.subTest(batchSize=size):
                self.empty_database()
                sql("CREATE TABLE t (id int PRIMARY KEY, a int, old text)")
                block = 100
                more = self.follow([{"id": i, "a": 1} for i in range(block)], batchSize=size, batchFlushIntervalSeconds=1, upsertMode=True)
                more([], block)
                time.sleep(1.1)
                sql("ALTER TABLE t ADD b text")
                more([{"id": block + i, "a": 1, "b": "x"} for i in range(block)], 2 * block)
                time.sleep(1.1)
                sql("ALTER TABLE t ALTER a TYPE text, DROP old")
                more([{"id": 2 * block + i, "a": "text now", "b": "x"} for i in range(block)], 3 * block)
                time.sleep(1.1)
                sql("ALTER TABLE t RENAME TO away; CREATE TABLE t (id bigint PRIMARY KEY, a text, b varchar(10))")
                more([{"id": 3 * block + i, "a": "new table", "b": "x"} for i in range(block)], block)
                self.running.stop()


class Network(PostgresTest):
    ROWS = 4000

    def test_cut_at_different_bytes(self):
        """Towards the server and from it, small and large flushes, insert with a key and upsert: complete, and once."""
        sql("CREATE TABLE t (id int PRIMARY KEY, filler text)")
        self.jsonl([{"id": i, "filler": "x" * 100} for i in range(self.ROWS)])
        points = [("cut_after", n) for n in (10, 300, 1500, 70_000, 140_000, 260_000)]
        points += [("cut_after_answer", n) for n in (20, 500, 6000)]
        for i, (limit, at) in enumerate(points):
            with self.subTest(**{limit: at}), Proxy((PG["POSTGRESQL_HOST"], int(PG["POSTGRESQL_PORT"]))) as proxy:
                sql("TRUNCATE t")
                setattr(proxy, limit, at)
                url = PG["POSTGRESQL_URL"].replace(PG["POSTGRESQL_PORT"], str(proxy.port)) + "?sslmode=disable"
                done = self.run_flow(self.flow(self.sink(url=url, batchSize=1500 if i % 2 else 15, upsertMode=i % 3 == 0)))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(sql("SELECT count(*), count(DISTINCT id) FROM t"), f"{self.ROWS}|{self.ROWS}")

    def test_stalled_connection_ends_at_the_signal(self):
        sql("CREATE TABLE t (id int PRIMARY KEY, filler text)")
        self.jsonl([{"id": i, "filler": "x" * 1000} for i in range(20_000)])
        with Proxy((PG["POSTGRESQL_HOST"], int(PG["POSTGRESQL_PORT"]))) as proxy:
            url = PG["POSTGRESQL_URL"].replace(PG["POSTGRESQL_PORT"], str(proxy.port)) + "?sslmode=disable"
            running = self.begin(self.flow(self.sink(url=url, batchSize=20_000)), "--grace", "1")
            wait_until(lambda: proxy.connections)
            time.sleep(0.15)
            proxy.stall.set()
            time.sleep(0.5)
            self.assertLess(running.stop(seconds=60)[1], 20)


class Kills(PostgresTest):
    """kill -9 of the pipeline and of the server in mid-batch. DATAFLOW_KILLS: how often, 12 in the short form of each test."""
    KILLS = int(os.environ.get("DATAFLOW_KILLS", "12"))
    ROWS = 60_000

    def setUp(self):
        super().setUp()
        sql("CREATE TABLE source (id int PRIMARY KEY, a text, updated_at timestamptz NOT NULL DEFAULT '2024-01-01');"
            f"INSERT INTO source SELECT i, md5(i::text), timestamptz '2024-01-01' + i * interval '1 s' FROM generate_series(1, {self.ROWS}) i;"
            "CREATE TABLE t (id int PRIMARY KEY, a text, updated_at timestamptz); CREATE TABLE keyless (id int, a text, updated_at timestamptz)")

    def source(self):
        return {"type": "postgresql", "config": {"connectionString": PG["POSTGRESQL_URL"], "table": "source", "readBatchSize": 5000}}

    def kill_pipeline(self, flow, kills, between):
        killed = 0
        for i in range(kills * 10):
            process = subprocess.Popen(self.command(flow, "--once", keep=i > 0), stderr=subprocess.PIPE, text=True)
            try:
                process.wait(0.06 + (i * 37 % 100) / 100 * 0.25)
                said = process.stderr.read()
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
                said = ""
            process.stderr.close()
            self.assertIn(process.returncode, (0, -9), said)
            if killed == kills:
                break
            if process.returncode == 0:
                between()
        done = self.run_flow(flow, keep=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def check(self, table):
        self.assertEqual(sql(f"SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM source),"
                             f"(SELECT count(*) FROM (TABLE source EXCEPT TABLE {table}) x)"), f"{n}|{n}|0"
                         if (n := sql("SELECT count(*) FROM source")) else "")

    def more_source(self):
        """It got through: more rows, so that all kills hit a run at work."""
        sql(f"INSERT INTO source SELECT max + i, md5((max + i)::text), timestamptz '2024-01-01' + (max + i) * interval '1 s' "
            f"FROM (SELECT max(id) FROM source) m, generate_series(1, {self.ROWS}) i")

    def test_pipeline_with_upsert(self):
        flow = self.flow(self.sink(batchSize=2000, upsertMode=True), source=self.source(), checkpointSaveInterval="20ms")
        self.kill_pipeline(flow, self.KILLS, self.more_source)
        self.check("t")

    def test_pipeline_with_exactly_once(self):
        """No key, no upsert: only the position in the transaction keeps rows from being doubled."""
        flow = self.flow(self.sink("keyless", batchSize=2000, exactlyOnce=True), source=self.source(), checkpointSaveInterval="20ms")
        self.kill_pipeline(flow, self.KILLS, self.more_source)
        self.check("keyless")

    def crash_server(self, flow, crashes):
        """`pg_ctl stop -m immediate` while the flow runs, and start again; the pipeline goes on by itself."""
        process = subprocess.Popen(self.command(flow, "--once"), stderr=subprocess.PIPE, text=True)
        for i in range(crashes):
            time.sleep(0.15 + (i * 37 % 100) / 100 * 0.4)
            done = process.poll() is not None
            subprocess.run([*owner(), "/usr/lib/postgresql/15/bin/pg_ctl", "stop", "-D", PG["POSTGRESQL_DATA"], "-m", "immediate", "-w", "-s"],
                           check=True)
            services.script("postgresql", "start")
            if done:
                self.more_source()
                self.assertEqual(process.returncode, 0, process.stderr.read())
                process.stderr.close()
                process = subprocess.Popen(self.command(flow, "--once", keep=True), stderr=subprocess.PIPE, text=True)
        said = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, 0, said)

    def test_server_with_upsert(self):
        self.crash_server(self.flow(self.sink(batchSize=2000, upsertMode=True), source=self.source()), self.KILLS)
        self.check("t")

    def test_server_with_exactly_once(self):
        self.crash_server(self.flow(self.sink("keyless", batchSize=2000, exactlyOnce=True), source=self.source()), self.KILLS)
        self.check("keyless")

    def test_two_processes_of_one_flow(self):
        """The one that connected first cannot commit any more once the second asked for the position."""
        flow = self.flow(self.sink("keyless", batchSize=100, exactlyOnce=True), source=self.source())
        first = self.begin(flow)
        wait_until(lambda: sql("SELECT count(*) FROM keyless") != "0")
        done = self.run_flow(flow, "--once")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.more_source()
        self.assertEqual(first.wait(), 1, first.text())
        self.assertIn("another process writes the flow default/flow", first.text())
        self.assertEqual(self.run_flow(flow, "--once").returncode, 0)
        self.check("keyless")


def owner():
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


class Quiet(PostgresTest):
    def test_no_catalogue_query_after_warm_up(self):
        """The number of statements on the catalogue does not grow with the rows (pg_stat_statements)."""
        superuser("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        sql("CREATE TABLE t (id int PRIMARY KEY, a text, b numeric)")
        counts = []
        for items in (200, 20_000):
            for config in ({"batchSize": 10}, {"batchSize": 100, "upsertMode": True}):
                sql("TRUNCATE t")
                superuser("SELECT pg_stat_statements_reset()")
                self.write_rows([{"id": i, "a": "x", "b": 1.5} for i in range(items)], **config)
                counts.append(rows("SELECT sum(calls) AS n FROM pg_stat_statements WHERE query LIKE '%pg_catalog.%' AND query LIKE "
                                   "'%pg_attribute%' OR query LIKE '%pg_class%' AND query NOT LIKE '%pg_stat_statements%'"))
        # psql itself asks nothing of the catalogue
        self.assertEqual(counts[:2], counts[2:])


if __name__ == "__main__":
    unittest.main()
