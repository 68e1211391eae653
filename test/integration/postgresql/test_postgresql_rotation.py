"""A password that changes, as a pod lives through it: the Secret is a file, connections with the old one end."""
import json
import os
import signal
import subprocess
import time

from postgresql_kit import DATAFLOW, PG, PostgresTest, sql, start, superuser

setUpModule = start

ROLE, OLD, NEW = "rotating", "kanarienvogel", "wellensittich"


class Rotation(PostgresTest):
    def setUp(self):
        super().setUp()
        superuser(f"DROP ROLE IF EXISTS {ROLE}; CREATE ROLE {ROLE} LOGIN PASSWORD '{OLD}'; GRANT USAGE, CREATE ON SCHEMA public TO {ROLE}")
        self.addCleanup(superuser, f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")
        sql("CREATE TABLE t (n bigint PRIMARY KEY)")
        sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON t TO {ROLE}")
        (self.dir / "secrets/db").mkdir(parents=True)
        self.secret(OLD)

    def secret(self, password):
        url = f"postgresql://{ROLE}:{password}@{PG['POSTGRESQL_HOST']}:{PG['POSTGRESQL_PORT']}/dataflow?sslmode=disable"
        self.write("secrets/db/new", url)
        os.rename(self.dir / "secrets/db/new", self.dir / "secrets/db/url")

    def start(self, look, **config):
        spec = {"source": {"type": "generate", "config": {"rate": 300, "template": '{"n": ${counter}}'}}, "checkpointSaveInterval": "1s",
                "sink": {"type": "postgresql", "config": {"connectionStringSecretRef": {"name": "db", "key": "url"}, "table": "t", "batchSize": 10, **config}}}
        with open(self.dir / "log", "w") as log:
            process = subprocess.Popen([DATAFLOW, "processor", "--spec-path", self.write("spec.json", json.dumps(spec)), "--namespace=n", "--name=f",
                                        f"--secrets={self.dir}/secrets", f"--state-dir={self.dir}/state", "--metrics=none", f"--secrets-interval={look}"], stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.await_more(100)
        return process

    def log(self):
        return (self.dir / "log").read_text()

    def count(self):
        return int(sql("SELECT count(*) FROM t"))

    def await_more(self, n):
        seen, end = self.count(), time.monotonic() + 20
        while self.count() < seen + n:
            self.assertLess(time.monotonic(), end, self.log())
            time.sleep(0.05)

    def await_renewed(self):
        end = time.monotonic() + 20
        while "the flow goes on with the new value" not in self.log():
            self.assertLess(time.monotonic(), end, self.log())
            time.sleep(0.05)

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0, self.log())
        self.assertEqual(sql("SELECT max(n) - count(*) FROM t"), "0", "nothing is missing")
        self.assertNotIn(OLD, self.log())
        self.assertNotIn(NEW, self.log())

    def change_password(self):
        """On the server, which ends what is connected."""
        superuser(f"ALTER ROLE {ROLE} PASSWORD '{NEW}'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")

    def test_the_secret_first(self):
        """As it should be done: a second password, the Secret, then the first one ends."""
        process = self.start(look=1)
        superuser(f"ALTER ROLE {ROLE} PASSWORD '{NEW}'")
        self.secret(NEW)
        self.await_renewed()
        self.await_more(300)
        self.end(process)

    def test_where_the_sink_keeps_the_position(self):
        """It goes on from there, and nobody is taken for a second process of the flow."""
        process = self.start(look=1, exactlyOnce=True)
        superuser(f"ALTER ROLE {ROLE} PASSWORD '{NEW}'")
        self.secret(NEW)
        self.await_renewed()
        self.await_more(300)
        self.end(process)

    def test_the_server_first(self):
        """The old one is refused before anybody has looked: there is a new one, so this is not the end."""
        process = self.start(look=3600)
        self.secret(NEW)
        self.change_password()
        self.await_more(300)
        self.assertIn("the old value is not taken any more", self.log())
        self.end(process)
