"""What the Trino tests share: SQL on the server, and flows against it. The server's answers are read by this client, not ours."""
import json
import pathlib
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "cmd"))
import cli  # noqa: E402  (test/cmd)
import services  # noqa: E402

HEADERS = {"X-Trino-User": "test", "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME"}


def sql(url, text):
    """Runs a statement and returns all rows; raises with Trino's errorName. A server on a busy machine may lose sight of itself."""
    for _ in range(20):
        try:
            return run(url, text)
        except RuntimeError as error:
            if "NO_NODES_AVAILABLE" not in str(error):
                raise
            time.sleep(0.5)
    return run(url, text)


def run(url, text):
    answer = json.load(urllib.request.urlopen(urllib.request.Request(url + "/v1/statement", text.encode(), HEADERS)))
    rows = []
    while True:
        rows += answer.get("data", [])
        if "error" in answer:
            raise RuntimeError(f"{answer['error']['errorName']}: {answer['error']['message']}")
        if "nextUri" not in answer:
            return rows
        answer = json.load(urllib.request.urlopen(urllib.request.Request(answer["nextUri"], headers=HEADERS)))


class TrinoTest(cli.CliTest):
    server = None  # the environment of test/services/trino

    @classmethod
    def setUpClass(cls):
        cls.server = services.use("trino")

    def sql(self, text):
        return sql(self.server["TRINO_URL"], text)

    def connection(self, catalog="memory", schema="default", **more):
        return {"serverURL": self.server["TRINO_URL"], "catalog": catalog, "schema": schema, **more}

    def drop(self, *tables):
        for table in tables:
            self.sql(f"DROP TABLE IF EXISTS {table}")
            self.addCleanup(self.sql, f"DROP TABLE IF EXISTS {table}")

    def run_flow(self, *args, expect=0, timeout=120, **kwargs):
        done = self.dataflow("run", "--once", *args, "flow.yaml", timeout=timeout, **kwargs)
        self.assertEqual(done.returncode, expect, done.err[-3000:])
        return done
