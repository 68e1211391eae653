"""What the tests of the PostgreSQL sink share: a database of their own, psql, and the program in a folder of its own.

Every test class gets a fresh schema-less world: the database `dataflow` is emptied by dropping and creating the schema public.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from rows import json_lines
from running import Running  # noqa: E402
import services  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
PG = {}


def start():
    """For setUpModule: the server runs, its addresses are in PG."""
    PG.update(services.use("postgresql"))


def sql(text, url=None, check=True):
    """Runs SQL by psql; returns what it prints, unaligned, without headers."""
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", url or PG["POSTGRESQL_URL"]], input=text,
                          capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, PGOPTIONS="-c client_min_messages=warning"))
    if check and done.returncode:
        raise AssertionError(f"{text}\n{done.stderr}")
    return done.stdout.rstrip("\n")


def superuser(text, check=True):
    return sql(text, PG["POSTGRESQL_SUPERUSER_URL"], check)


def rows(query):
    """The rows of a query, as JSON would have them."""
    return json.loads(sql(f"SELECT coalesce(json_agg(to_json(q)), '[]') FROM ({query}) q") or "[]")


class PostgresTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)
        self.empty_database()

    def empty_database(self):
        superuser("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION dataflow; GRANT USAGE ON SCHEMA public TO public")

    # ---- files ----

    def write(self, name, data):
        path = self.dir / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def jsonl(self, items, name="in.jsonl"):
        return self.write(name, "".join((i if isinstance(i, str) else json.dumps(i)) + "\n" for i in items))

    def lines(self, name):
        path = self.dir / name
        return json_lines(path)

    # ---- flows ----

    def sink(self, table="t", url=None, **config):
        """The sink's block of a manifest; keys as in the manifest."""
        return {"type": "postgresql",
                "config": {"connectionString": url or PG["POSTGRESQL_URL"], "table": table, "batchSize": 1000, **config}}

    def flow(self, sink, source=None, transformations=(), errors=None, name="flow", **spec):
        source = source or {"type": "file", "config": {"path": str(self.dir / "in.jsonl")}}
        body = {"source": source, "transformations": list(transformations), "sink": sink, **spec}
        if errors:
            body["errors"] = {"type": "file", "config": {"path": str(self.dir / errors)}}
        manifest = {"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": name}, "spec": body}
        return self.write(f"{name}.yaml", json.dumps(manifest))

    def command(self, manifest, *args, keep=False):
        """keep: it goes on where the run before stopped."""
        self.runs = getattr(self, "runs", 0) + (not keep)
        return [DATAFLOW, "run", "--progress", "json", "--state-dir", str(self.dir / f"state{self.runs}"), *args, str(manifest)]

    def run_flow(self, manifest, *args, timeout=120, env=None, keep=False):
        done = subprocess.run(self.command(manifest, *(args or ["--once"]), keep=keep), capture_output=True, text=True,
                              timeout=timeout, cwd=self.dir, env=dict(os.environ, **(env or {})))
        done.summary = next((json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"summary"')), None)
        return done

    def begin(self, manifest, *args, keep=False):
        """A flow that runs beside the test; it is killed when the test ends."""
        running = Running(self.command(manifest, *args, keep=keep), self.dir)
        self.addCleanup(running.kill)
        return running

    def write_rows(self, items, sink=None, errors=None, **config):
        """Writes rows to the sink in one run, which must end well."""
        self.jsonl(items)
        done = self.run_flow(self.flow(sink or self.sink(**config), errors=errors))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refuse(self, items, **config):
        """Writes rows that the pipeline must stop at; returns what it says."""
        self.jsonl(items)
        done = self.run_flow(self.flow(self.sink(**config)))
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def unchanged(self, done):
        return done.summary["unchanged"]
