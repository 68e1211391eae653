"""What the ClickHouse tests share: both servers, SQL over HTTP (this client's, not ours), and flows against them."""
import functools
import json
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "cmd"))
import cli  # noqa: E402  (test/cmd)
from rows import json_lines
from running import Running  # noqa: E402
import services  # noqa: E402

USER, PASSWORD = "dataflow", "dataflow-secret"


class Server:
    """One of the two. `old` has protocol revision 54412 and none of the newer types."""

    def __init__(self, name, prefix, env):
        self.name, self.old = name, name == "old"
        self.host = "127.0.0.1"
        self.native, self.http = int(env[prefix + "_PORT"]), int(env[prefix + "_HTTP_PORT"])
        self.native_tls, self.https = int(env[prefix + "_TLS_PORT"]), int(env[prefix + "_HTTPS_PORT"])
        self.ca = env[prefix + "_PKI"] + "/ca.pem"
        self.pid_file = pathlib.Path(env[prefix + "_PID_FILE"])
        # What CREATE TABLE needs for types that a server has its doubts about.
        self.settings = {"allow_experimental_low_cardinality_type": 1} if self.old else {
            "enable_time_time64_type": 1, "allow_suspicious_variant_types": 1, "allow_experimental_bfloat16_type": 1,
            "allow_suspicious_low_cardinality_types": 1}
        self.service = "clickhouse" if self.old else "clickhouse-modern"

    def sql(self, text, user=USER, password=PASSWORD, **settings):
        """Runs a statement; the answer's text."""
        url = f"http://{self.host}:{self.http}/?" + urllib.parse.urlencode(settings)
        request = urllib.request.Request(url, text.encode(), {"X-ClickHouse-User": user, "X-ClickHouse-Key": password})
        try:
            return urllib.request.urlopen(request, timeout=60).read().decode(errors="surrogateescape")
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    def rows(self, text):
        """The rows of a SELECT as lists of texts."""
        return [line.split("\t") for line in self.sql(text + " FORMAT TSV").splitlines()]

    def json(self, text):
        return [json.loads(line) for line in self.sql(text + " FORMAT JSONEachRow").splitlines()]

    def url(self, transport="native", user=USER, password=PASSWORD, port=None, database="default", **parameters):
        scheme, default = {"native": ("clickhouse", self.native), "http": ("http", self.http), "tls": ("clickhouse", self.native_tls),
                           "https": ("https", self.https)}[transport]
        if transport == "tls":
            parameters["secure"] = "true"
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        return f"{scheme}://{user}:{password}@{self.host}:{port or default}/{database}{query}"


def everywhere(test):
    """The test is called with each server and each transport."""
    @functools.wraps(test)
    def run(self):
        for server in (self.old, self.new):
            for transport in ("native", "http"):
                with self.subTest(server=server.name, transport=transport):
                    test(self, server, transport)
    return run


class ClickHouseTest(cli.CliTest):
    old = new = None

    @classmethod
    def setUpClass(cls):
        env = services.use("clickhouse", "clickhouse-modern")
        cls.old = Server("old", "CLICKHOUSE", env)
        cls.new = Server("new", "CLICKHOUSE_MODERN", env)

    def create(self, server, table, columns, engine="MergeTree() ORDER BY tuple()"):
        server.sql(f"DROP TABLE IF EXISTS {table}")
        server.sql(f"CREATE TABLE {table} ({columns}) ENGINE = {engine}", **server.settings)
        self.addCleanup(server.sql, f"DROP TABLE IF EXISTS {table}")

    def drop(self, server, table):
        server.sql(f"DROP TABLE IF EXISTS {table}")
        self.addCleanup(server.sql, f"DROP TABLE IF EXISTS {table}")

    def run_flow(self, *args, expect=0, timeout=120, **kwargs):
        done = self.dataflow("run", "--once", *args, "flow.yaml", timeout=timeout, **kwargs)
        self.assertEqual(done.returncode, expect, done.err[-3000:])
        return done

    def begin(self, *args):
        """The flow beside the test; it is killed when the test ends."""
        running = Running([cli.DATAFLOW, "run", *args, "flow.yaml"], self.dir, self.env())
        self.addCleanup(running.kill)
        return running

    def read(self, server, transport="native", expect=0, args=("--reset-checkpoint",), parameters=None, user=USER, password=PASSWORD,
             port=None, **config):
        """What a clickhouse source gives, as documents."""
        out = self.dir / "out.jsonl"
        out.unlink(missing_ok=True)
        url = server.url(transport, user, password, port, **(parameters or {}))
        self.flow("clickhouse", {"connectionString": url, **config}, "file", {"path": str(out)})
        self.done = self.run_flow(*args, expect=expect)
        return json_lines(out)

    def sink(self, server, transport="native", parameters=None, user=USER, password=PASSWORD, port=None, **config):
        return {"connectionString": server.url(transport, user, password, port, **(parameters or {})), **config}

    def load(self, server, rows, transport="native", expect=0, errors=True, transformations=(), args=("--reset-checkpoint",), **config):
        """Writes documents (or lines); returns the error records."""
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        self.write("in.jsonl", text)
        poison = self.dir / "errors.jsonl"
        poison.unlink(missing_ok=True)
        extra = f"  errors:\n    type: file\n    config: {{path: {poison}}}\n" if errors else ""
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "clickhouse", self.sink(server, transport, **config),
                  transformations=transformations, extra=extra)
        self.done = self.run_flow(*args, expect=expect)
        return json_lines(poison)
