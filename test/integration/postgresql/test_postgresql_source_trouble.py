"""PostgreSQL source: connections, and what goes wrong with them."""
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import time
import unittest

import postgresql_kit
import services
from postgresql_kit import PG, sql, superuser
from postgresql_reading import SourceTest
from proxy import Proxy
from running import wait_until


def setUpModule():
    postgresql_kit.start()


def url(user="dataflow", password="dataflow-secret", host="127.0.0.1", port=None, database="dataflow", query=""):
    return f"postgres://{user}:{password}@{host}:{port or PG['POSTGRESQL_PORT']}/{database}{'?' + query if query else ''}"


def pki(name):
    return f"{PG['POSTGRESQL_PKI']}/{name}"


class Connections(SourceTest):
    def setUp(self):
        super().setUp()
        sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")

    def says(self, pattern, **config):
        """A pipeline whose connecting fails; what its log says. Nothing secret is in it."""
        running = self.start(**config)
        text = running.wait_log(pattern)
        running.stop(signal.SIGTERM)
        self.assertNotIn("secret", running.text())
        return text

    def test_forms(self):
        host, port = PG["POSTGRESQL_HOST"], PG["POSTGRESQL_PORT"]
        (self.dir / "pass").write_text("*:*:*:*:dataflow-secret\n")
        (self.dir / "pass").chmod(0o600)
        (self.dir / "services").write_text(f"[mine]\nhost={host}\nport={port}\ndbname=dataflow\nuser=dataflow\npassword=dataflow-secret\n")
        forms = [
            f"host={host} port={port} dbname = dataflow user=dataflow password='dataflow-secret'",
            f"postgresql://dataflow:dataflow%2Dsecret@{host}:{port}/dataflow",
            f"postgres://{host}:{port}/dataflow?user=dataflow&password=dataflow-secret&sslmode=disable",
            f"postgres://dataflow@{host}:{port}/dataflow?passfile={self.dir}/pass",
            "postgres:///?service=mine",
            "service=mine application_name=other",
        ]
        for form in forms:
            with self.subTest(form):
                self.assertEqual(self.run_flow(self.file_flow(url=form), "--once",
                                               env={"PGSERVICEFILE": str(self.dir / "services")}).returncode, 0)
        self.assertEqual(self.out_ids(), [1] * len(forms))

    def test_passwords_as_they_are_typed(self):
        for password in ("p@ss/w:rd", "50%off", "a%41b@", "ü'\"\\ "):
            superuser("ALTER ROLE reader PASSWORD '" + password.replace("'", "''") + "'")
            self.addCleanup(superuser, "ALTER ROLE reader PASSWORD 'reader-secret'")
            superuser("GRANT SELECT ON t TO reader")
            self.assertEqual(self.ids(url=url("reader", password)), [1], password)

    def test_parameters(self):
        query = "search_path=other,public&statement_timeout=7s&pool_max_conns=5&default_query_exec_mode=exec"
        text = "SELECT 1 AS id, " + ", ".join(f"current_setting('{name}') AS {name}" for name in (
            "search_path", "statement_timeout", "application_name", "timezone", "datestyle", "intervalstyle", "transaction_read_only",
            "client_encoding"))
        row = self.read(table=None, query=text, url=url(query=query), log="pool_max_conns, default_query_exec_mode mean something to Go")[0]
        self.assertEqual(row, {"id": 1, "search_path": "other,public", "statement_timeout": "7s", "application_name": "dataflow/default/flow",
                               "timezone": "UTC", "datestyle": "ISO, YMD", "intervalstyle": "iso_8601", "transaction_read_only": "on",
                               "client_encoding": "UTF8"})
        row = self.read(table=None, query=text, url=url(query="application_name=mine&timezone=Europe/Berlin&options=-c%20search_path%3Dx"))[0]
        self.assertEqual((row["application_name"], row["timezone"], row["search_path"]), ("mine", "UTC", "x"))

    def test_bad_strings(self):
        for bad in ("mysql://u:secret@h/d", "host", "password='secret", "postgres://u:secret@h:port/d", "postgres://h/d?x",
                    "postgres://u@[::1/d", "host=h secret", "postgres://h/%zz"):
            self.assertIn("connectionString:", self.says("connectionString", url=bad), bad)

    def test_tls(self):
        good = f"sslmode=verify-full&sslrootcert={pki('ca.pem')}"
        self.assertEqual(self.ids(url=url(host="localhost", query=good)), [1])
        self.assertEqual(self.ids(url=url(query=good)), [1])  # the certificate has the address, too
        show = "SELECT 1 AS id, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        for mode, ssl in (("disable", False), ("prefer", True), ("require", True)):
            self.assertEqual(self.read(table=None, query=show, url=url(query=f"sslmode={mode}")), [{"id": 1, "ssl": ssl}])
        self.says("certificate verify failed; check sslrootcert", url=url(query=f"sslmode=verify-full&sslrootcert={pki('other-ca.pem')}"))
        self.says("root certificate file .* does not exist", url=url(query="sslmode=verify-full&sslrootcert=/nowhere.pem"))
        superuser('GRANT SELECT ON t TO "tls-user"')
        self.assertEqual(self.ids(url=url("tls-user", "tls-secret", query="sslmode=require")), [1])
        self.assertIn("28000", self.says("pg_hba.conf", url=url("tls-user", "tls-secret", query="sslmode=disable")))

    def test_certificate_of_another_host(self):
        """A name that the certificate does not have: verify-ca does, verify-full does not."""
        query = f"sslrootcert={pki('ca.pem')}&hostaddr=127.0.0.1&sslmode="
        self.assertEqual(self.ids(url=url(host="other.example", query=query + "verify-ca")), [1])
        self.says("does not match host name", url=url(host="other.example", query=query + "verify-full"))

    def test_client_certificate(self):
        superuser('GRANT SELECT ON t TO "cert-user"')
        key = self.dir / "client.key"
        key.write_bytes(pathlib.Path(pki("client.key")).read_bytes())
        key.chmod(0o600)
        query = f"sslmode=verify-full&sslrootcert={pki('ca.pem')}&sslcert={pki('client.pem')}&sslkey={key}"
        self.assertEqual(self.ids(url=f"postgres://cert-user@localhost:{PG['POSTGRESQL_PORT']}/dataflow?{query}"), [1])

    def test_refused(self):
        self.assertIn("28P01", self.says("password authentication failed", url=url(password="wrong")))
        self.assertIn('"auth_error"', self.says("password authentication failed", url=url("nobody")))
        self.assertIn("no password supplied", self.says("no password supplied", url=url().replace(":dataflow-secret", "")))
        self.assertIn("3D000", self.says("does not exist", url=url(database="nothing")))
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        self.assertIn('"connection_error"', self.says("Connection refused", url=url(port=port)))
        self.says("could not translate host name", url=url(host="no-such-host.invalid"))
        self.assertIn("42501", self.says("permission denied for table t", url=url("reader", "reader-secret")))
        self.assertIn("42P01", self.fail(table="nothing.t"))

    def test_timeout(self):
        """A server that accepts and says nothing."""
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.assertIn('"timeout"', self.says(r"no connection within 1 s \(connectionTimeout\)", url=url(port=s.getsockname()[1]), connectionTimeout=1))
            # The next host has its turn.
            hosts = f"postgres://dataflow:dataflow-secret@127.0.0.1:{s.getsockname()[1]},127.0.0.1:{PG['POSTGRESQL_PORT']}/dataflow"
            self.assertEqual(self.ids(url=hosts, connectionTimeout=1), [1])

    def test_hosts(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            dead = s.getsockname()[1]
        port = PG["POSTGRESQL_PORT"]
        hosts = f"postgres://dataflow:dataflow-secret@127.0.0.1:{dead},localhost:{port}/dataflow"
        self.assertEqual(self.ids(url=hosts), [1])
        pairs = f"host=127.0.0.1,127.0.0.1 port={dead},{port} user=dataflow password=dataflow-secret dbname=dataflow target_session_attrs="
        for attrs in ("any", "read-only", "primary", "prefer-standby"):
            self.assertEqual(self.ids(url=pairs + attrs), [1], attrs)
        self.says("none of 2 hosts will do; the last one: .*server is not in hot standby mode", url=pairs + "standby")
        self.says("2 hosts", url=hosts.replace(f"localhost:{port}", f"localhost:{dead}"))
        self.says("3 ports for 2 hosts", url="host=a,b port=1,2,3")

    def test_too_many_connections(self):
        superuser("ALTER ROLE reader CONNECTION LIMIT 0; GRANT SELECT ON t TO reader")
        self.addCleanup(superuser, "ALTER ROLE reader CONNECTION LIMIT -1")
        running = self.start(url=url("reader", "reader-secret"))
        self.assertIn('"transient"', running.wait_log("too many connections for role .*53300|53300"))
        superuser("ALTER ROLE reader CONNECTION LIMIT -1")
        wait_until(lambda: self.out_ids() == [1])
        running.stop()


class Cancelling(SourceTest):
    def active(self):
        return int(superuser("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"))

    def test_stop_in_a_long_query(self):
        running = self.start(table=None, query="SELECT 1 AS id, pg_sleep(60)")
        wait_until(lambda: self.active() == 1)
        status, seconds = running.stop()
        self.assertEqual(status, 0, running.text())
        self.assertLess(seconds, 20)
        wait_until(lambda: self.active() == 0, 20)

    def test_stop_while_connecting(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            running = self.start(url=url(port=s.getsockname()[1]))
            accepted, _ = s.accept()
            self.addCleanup(accepted.close)
            status, seconds = running.stop()
        self.assertEqual(status, 0, running.text())
        self.assertLess(seconds, 20)

    def test_stop_while_the_network_is_silent(self):
        """The cancel request cannot get through either: it is not waited for."""
        sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i")
        with Proxy(("127.0.0.1", int(PG["POSTGRESQL_PORT"]))) as proxy:
            running = self.start(url=url(port=proxy.port, query="sslmode=disable"), pollInterval=1)
            wait_until(lambda: self.lines("out.jsonl"))
            proxy.stall.set()
            time.sleep(1.5)
            status, seconds = running.stop()
        self.assertEqual(status, 0, running.text())
        self.assertLess(seconds, 20)

    def test_statement_timeout(self):
        running = self.start(table=None, query="SELECT 1 AS id, pg_sleep(60)", url=url(query="statement_timeout=200"))
        self.assertIn('"timeout"', running.wait_log("canceling statement due to statement timeout"))
        running.stop()


class Outages(SourceTest):
    ROWS = 30_000

    def setUp(self):
        super().setUp()
        sql(f"""CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz, v text);
                INSERT INTO t SELECT i, timestamptz '2024-01-01' + (i / 3) * interval '1 ms', repeat('x', 200) FROM generate_series(1, {self.ROWS}) i""")
        self.sink_block = {"type": "sqlite", "config": {"path": str(self.dir / "out.db"), "table": "t", "autoCreateTable": True,
                                                        "upsertMode": True, "conflictKey": "id", "synchronous": "normal"}}

    def pipeline(self, port=None, **config):
        source = self.source(url=url(port=port, query="sslmode=disable"), pollInterval=1, **config)
        return self.begin(self.flow(self.sink_block, source, checkpointSaveInterval="50ms"))

    def count(self):
        try:
            with sqlite3.connect(f"file:{self.dir}/out.db?mode=ro", uri=True) as db:
                return db.execute("SELECT count(DISTINCT id) FROM t").fetchone()[0]
        except sqlite3.OperationalError:
            return 0

    def finish(self, running):
        wait_until(lambda: self.count() == self.ROWS)
        self.assertEqual(running.stop()[0], 0, running.text())

    def test_cut_and_reset_in_the_middle_of_rows(self):
        with Proxy(("127.0.0.1", int(PG["POSTGRESQL_PORT"]))) as proxy:
            proxy.cut_after_answer = 1_000_000
            running = self.pipeline(proxy.port)
            wait_until(lambda: proxy.connections >= 2)
            proxy.cut_after_answer = 2_000_000
            wait_until(lambda: self.count() > 1000)
            proxy.reset()
            self.finish(running)
            self.assertGreaterEqual(proxy.connections, 2)

    def test_stall(self):
        with Proxy(("127.0.0.1", int(PG["POSTGRESQL_PORT"]))) as proxy:
            running = self.pipeline(proxy.port, readBatchSize=5000)
            wait_until(lambda: self.count() > 100)
            proxy.stall.set()
            time.sleep(0.5)
            proxy.stall.clear()
            self.finish(running)

    def test_server_restarts(self):
        running = self.pipeline(readBatchSize=200)
        for how in (signal.SIGINT, signal.SIGQUIT):  # pg_ctl stop -m fast, -m immediate
            before = self.count()
            wait_until(lambda: self.count() > before or self.count() == self.ROWS)
            pid = int(pathlib.Path(PG["POSTGRESQL_DATA"], "postmaster.pid").read_text().split()[0])
            os.kill(pid, how)
            wait_until(lambda: subprocess.run([services.SCRIPTS / "postgresql", "status"], stdout=subprocess.DEVNULL).returncode != 0)
            services.script("postgresql", "start")
        self.finish(running)

    def test_backend_is_terminated(self):
        running = self.pipeline(readBatchSize=100)
        wait_until(lambda: self.count() > 0)
        for _ in range(3):
            superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dataflow/default/flow'")
            time.sleep(0.2)
        self.finish(running)


if __name__ == "__main__":
    unittest.main()
