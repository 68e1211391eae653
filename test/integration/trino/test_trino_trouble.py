"""Authentication, and everything that goes wrong on the way: cuts, restarts, busy answers, answers that lie."""
import base64
import http.server
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest
import zlib

import services
from proxy import Proxy
from trino_kit import TrinoTest, cli


class Login(TrinoTest):
    """https with a password, a JWT, and tokens that Keycloak issues."""

    @classmethod
    def setUpClass(cls):
        keycloak = services.use("keycloak", "trino")
        # The issuer is read at start.
        services.stop("trino")
        os.environ["TRINO_OIDC_ISSUER"] = keycloak["TRINO_OIDC_ISSUER"]
        cls.addClassCleanup(os.environ.pop, "TRINO_OIDC_ISSUER")
        cls.server = services.use("keycloak", "trino")

    @classmethod
    def tearDownClass(cls):
        services.stop("trino")  # the next one starts without the issuer

    def login(self, expect=0, tls=None, url=None, **config):
        self.flow("trino", {"serverURL": url or self.server["TRINO_TLS_URL"], "catalog": "tpch", "schema": "tiny",
                            "query": "SELECT current_user AS who", "tls": {"caFile": self.server["TRINO_CA"]} if tls is None else tls,
                            **config}, "file", {"path": str(self.dir / "out.jsonl"), "mode": "atomic"})
        done = self.run_flow(expect=expect)
        self.said = done.err
        return self.read_jsonl("out.jsonl")[0]["who"] if expect == 0 else done.err

    def keycloak(self, **more):
        return {"serverURL": self.server["KEYCLOAK_URL"], "realm": "dataflow", "clientID": "dataflow", **more}

    def test_password(self):
        self.assertEqual(self.login(user="test", password="test-password"), "test")
        self.assertEqual(self.login(user="test", password="test-password", tls={"insecureSkipVerify": True}), "test")

    def test_token(self):
        token = subprocess.run([services.SCRIPTS / "trino", "token", "test"], capture_output=True, text=True, check=True).stdout.strip()
        self.assertEqual(self.login(user="test", keycloak={"token": token}), "test")
        soon = subprocess.run([services.SCRIPTS / "trino", "token", "test", "600"], capture_output=True, text=True, check=True).stdout.strip()
        self.login(user="test", keycloak={"token": soon})
        self.assertRegex(self.said, "keycloak.token expires in (9|10) minutes")

    def test_keycloak_password_grant(self):
        keycloak = self.keycloak(username="test", password="test-password", clientSecret="dataflow-secret")
        self.assertEqual(self.login(user="test", keycloak=keycloak), "test")

    def test_keycloak_client_credentials(self):
        self.assertEqual(self.login(user="service-account-dataflow", keycloak=self.keycloak(clientSecret="dataflow-secret")),
                         "service-account-dataflow")

    def test_a_token_of_seconds_is_renewed_while_pages_are_read(self):
        keycloak = dict(self.keycloak(username="test", password="test-password", clientSecret="dataflow-secret"),
                        clientID="dataflow-short")
        self.flow("trino", {"serverURL": self.server["TRINO_TLS_URL"], "catalog": "tpch", "schema": "sf1", "user": "test",
                            "query": "SELECT orderkey, comment FROM orders WHERE orderkey <= 200000",
                            "tls": {"caFile": self.server["TRINO_CA"]}, "keycloak": keycloak}, "stdout", {})
        process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, bufsize=0)
        self.assertTrue(process.stdout.readline())
        time.sleep(7)  # the first token is over before the next page is asked for
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(out.count(b"\n"), 49_999)

    def test_what_is_refused_is_said_without_the_secret(self):
        wrong = "Wr0ng-s3cret"
        cases = [({"user": "test", "password": wrong}, "check the user, password or token"),
                 ({"user": "test", "keycloak": {"token": wrong}}, "check the user, password or token"),
                 ({"user": "test", "keycloak": self.keycloak(clientSecret=wrong)}, "check the credentials"),
                 ({"user": "test", "password": "test-password", "tls": {"caFile": self.server["TRINO_OTHER_CA"]}}, "certificate"),
                 ({"user": "test", "password": "test-password", "tls": {}}, "certificate"),
                 ({"user": "other", "password": "test-password"}, "check the user, password or token")]
        for config, text in cases:
            with self.subTest(text=text, config=config):
                self.flow("trino", dict({"serverURL": self.server["TRINO_TLS_URL"], "catalog": "tpch", "schema": "tiny",
                                         "tls": {"caFile": self.server["TRINO_CA"]}, "query": "SELECT 1 AS a"}, **config),
                          "discard", {})
                process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(),
                                           stderr=subprocess.PIPE, text=True)
                self.addCleanup(process.stderr.close)
                seen = []
                deadline = threading.Timer(60, process.kill)
                deadline.start()
                for line in process.stderr:
                    seen.append(line)
                    if text in line:
                        break
                command = (pathlib.Path(f"/proc/{process.pid}/cmdline").read_text() if process.poll() is None else "")
                process.kill()
                process.wait()
                deadline.cancel()
                self.assertIn(text, "".join(seen))
                self.assertNotIn(wrong, "".join(seen) + command)


class Wire(TrinoTest):
    """A server and a way to it that fail."""

    def through(self, proxy, **config):
        return dict(self.connection(**config), serverURL=f"http://127.0.0.1:{proxy.port}")

    def target(self):
        host, port = self.server["TRINO_URL"].removeprefix("http://").split(":")
        return host, int(port)

    def test_a_source_survives_cuts_at_every_request(self):
        with Proxy(self.target()) as proxy:
            self.flow("trino", self.through(proxy, catalog="tpch", schema="tiny", query="SELECT custkey FROM customer",
                                            changeTrackingColumn="custkey", orderByColumn="custkey", readBatchSize=200),
                      "file", {"path": str(self.dir / "out.jsonl")})
            process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(),
                                       stderr=subprocess.PIPE)
            for n in range(40):
                if process.poll() is not None:
                    break
                proxy.cut_after_answer = 200 + 300 * n
                time.sleep(0.1)
                (proxy.cut if n % 2 else proxy.reset)()
            proxy.cut_after_answer = None
            _, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, err)
        keys = [row["custkey"] for row in self.read_jsonl("out.jsonl")]
        self.assertEqual(sorted(set(keys)), list(range(1, 1501)))

    def test_a_sink_behind_cuts_writes_every_row_once(self):
        """The outcome of a statement whose answer was lost is found out, so nothing is sent twice."""
        self.drop("memory.default.cuts")
        self.sql("CREATE TABLE memory.default.cuts (id bigint)")
        self.jsonl("in.jsonl", [{"id": n} for n in range(2000)])
        with Proxy(self.target()) as proxy:
            self.flow("file", {"path": str(self.dir / "in.jsonl")}, "trino", self.through(proxy, table="cuts", batchSize=100))
            process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(),
                                       stderr=subprocess.PIPE)
            n = 0
            while process.poll() is None and n < 60:
                n += 1
                time.sleep(0.11 + n % 7 * 0.017)
                (proxy.cut if n % 2 else proxy.reset)()
            _, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, err)
        self.assertEqual(self.sql("SELECT count(*), count(DISTINCT id) FROM memory.default.cuts"), [[2000, 2000]])

    def test_kill_of_the_server_and_of_the_pipeline(self):
        self.sql("CREATE SCHEMA IF NOT EXISTS iceberg.test")
        self.drop("iceberg.test.killed")
        self.sql("CREATE TABLE iceberg.test.killed (id bigint)")
        self.jsonl("in.jsonl", [{"id": n} for n in range(1500)])
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "trino",
                  self.connection(catalog="iceberg", schema="test", table="killed", batchSize=100, upsertMode=True, conflictKey="id"))
        for delay in (0.4, 0.9, 1.6):
            process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(),
                                       stderr=subprocess.DEVNULL)
            time.sleep(delay)
            process.kill()
            process.wait()
        process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(), stderr=subprocess.PIPE)
        time.sleep(0.7)
        os.kill(int(pathlib.Path(self.server["TRINO_PID_FILE"]).read_text()), signal.SIGKILL)
        time.sleep(1)
        services.script("trino", "start")
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(self.sql("SELECT count(*), count(DISTINCT id) FROM iceberg.test.killed"), [[1500, 1500]])


class Fake(http.server.ThreadingHTTPServer):
    """Answers the protocol's requests from a list; what no real server does on demand."""
    daemon_threads = True

    def __init__(self, answers):
        self.answers, self.requests = list(answers), []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name: ", ".join(self.headers.get_all(name)) for name in self.headers}
        self.server.requests.append((self.command, self.path, headers, body))
        status, headers, data = 204, {}, b""
        if self.command != "DELETE" and self.server.answers:
            status, headers, data = self.server.answers.pop(0)
            if callable(data):
                data = data(self.server)
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = answer


BIGINT = {"name": "a", "type": "bigint", "typeSignature": {"rawType": "bigint", "arguments": []}}


def page(path=None, host=None, **more):
    def make(server):
        answer = {"id": "q1", "stats": {"state": "RUNNING" if path else "FINISHED"}, **more}
        if path:
            answer["nextUri"] = (host or server.url) + path
        return answer
    return 200, {}, make


class Liar(TrinoTest):
    server = {}

    @classmethod
    def setUpClass(cls):
        pass

    def read(self, answers, expect=0, **config):
        # The first statement is the look at the columns.
        fake = Fake([page(columns=[BIGINT]), *answers])
        self.addCleanup(fake.server_close)
        self.addCleanup(fake.shutdown)
        self.flow("trino", {"serverURL": fake.url, "catalog": "c", "schema": "s", "query": "SELECT 1 AS a", **config}, "file",
                  {"path": str(self.dir / "out.jsonl"), "mode": "atomic"})
        done = self.run_flow(expect=expect, timeout=60)
        return fake, done

    def rows(self):
        return [row["a"] for row in self.read_jsonl("out.jsonl")]

    def test_busy_answers_are_asked_again(self):
        started = time.monotonic()
        fake, _ = self.read([(503, {}, b""), (502, {}, b"<html>"), page("/v1/next/1", columns=[BIGINT], data=[[1]]),
                             (429, {"Retry-After": "1"}, b""), (504, {}, b""), page(data=[[2]])])
        self.assertEqual(self.rows(), [1, 2])
        self.assertGreater(time.monotonic() - started, 1)
        self.assertEqual([r[0] for r in fake.requests[1:]], ["POST"] * 3 + ["GET"] * 3)

    def test_context_and_credentials_go_with_every_request_and_to_nobody_else(self):
        other = Fake([])
        self.addCleanup(other.server_close)
        self.addCleanup(other.shutdown)
        fake, _ = self.read([page("/v1/next/1", host=other.url, columns=[BIGINT], data=[[1]]), page("/v1/next/2", data=[[2]]), page()],
                            keycloak={"token": "t0ken"}, clientTags=["x", "y"])
        self.assertEqual(self.rows(), [1, 2])
        self.assertEqual(other.requests, [])
        self.assertEqual([r[1] for r in fake.requests[1:]], ["/v1/statement", "/v1/next/1", "/v1/next/2"])
        for _, _, headers, _ in fake.requests:
            self.assertEqual(headers["Authorization"], "Bearer t0ken")
            self.assertEqual(headers["X-Trino-User"], "dataflow-operator")
            self.assertEqual(headers["X-Trino-Client-Tags"], "x,y")
            self.assertEqual(headers["X-Trino-Session"], "query_max_run_time=600s")

    def test_session_headers_are_honoured(self):
        status, headers, first = page("/v1/next/1", columns=[BIGINT])
        fake, _ = self.read([(status, {"X-Trino-Set-Session": "a=1", "X-Trino-Set-Role": "c=ROLE{r}", "X-Trino-Set-Schema": "s2"}, first),
                             (200, {"X-Trino-Clear-Session": "a"}, page("/v1/next/2")[2]), page()])
        second, third = fake.requests[2][2], fake.requests[3][2]
        self.assertEqual((second["X-Trino-Schema"], second["X-Trino-Role"]), ("s2", "c=ROLE{r}"))
        self.assertIn("a=1", second["X-Trino-Session"])
        self.assertNotIn("a=1", third.get("X-Trino-Session", ""))

    def test_a_statement_that_a_worker_has_no_memory_for_is_halved(self):
        error = {"errorType": "INSUFFICIENT_RESOURCES", "errorName": "EXCEEDED_LOCAL_MEMORY_LIMIT", "message": "too much"}
        fake = Fake([page(columns=[BIGINT]), page(columns=[BIGINT]), page(error=error), page(), page(), page()])
        self.addCleanup(fake.server_close)
        self.addCleanup(fake.shutdown)
        self.jsonl("in.jsonl", [{"a": n} for n in range(5)])
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "trino", {"serverURL": fake.url, "catalog": "c", "schema": "s",
                                                                           "table": "t", "batchSize": 5})
        self.run_flow()
        self.assertEqual([body.count('["') for _, _, _, body in fake.requests if "INSERT" in body], [5, 2, 2, 1])

    def test_a_user_that_may_not_look_for_lost_statements_writes_all_the_same(self):
        denied = {"errorType": "USER_ERROR", "errorName": "PERMISSION_DENIED", "message": "Cannot access catalog system"}
        fake = Fake([page(columns=[BIGINT]), page(error=denied), page()])
        self.addCleanup(fake.server_close)
        self.addCleanup(fake.shutdown)
        self.jsonl("in.jsonl", [{"a": 1}])
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "trino", {"serverURL": fake.url, "catalog": "c", "schema": "s", "table": "t"})
        done = self.run_flow()
        self.assertIn("system.runtime.queries cannot be read", done.err)
        self.assertIn("INSERT", fake.requests[2][3])

    def test_gzip(self):
        zipped = zlib.compressobj(wbits=31)
        body = zipped.compress(json.dumps({"id": "q", "columns": [BIGINT], "data": [[7]], "stats": {}}).encode()) + zipped.flush()
        fake, _ = self.read([(200, {"Content-Encoding": "gzip"}, body)], compression=True)
        self.assertEqual(self.rows(), [7])
        self.assertIn("gzip", fake.requests[1][2]["Accept-Encoding"])
        fake, _ = self.read([page(columns=[BIGINT], data=[[8]])])
        self.assertNotIn("Accept-Encoding", fake.requests[1][2])

    def test_spooled_segments(self):
        inline = {"type": "inline", "data": base64.b64encode(b"[[1],[2]]").decode(), "metadata": {"rowsCount": 2}}
        far = Fake([(200, {}, b"[[3]]"), (200, {}, b"")])
        self.addCleanup(far.server_close)
        self.addCleanup(far.shutdown)
        spooled = {"type": "spooled", "uri": far.url + "/segment", "ackUri": far.url + "/ack", "headers": {"X-Key": ["k"]},
                   "metadata": {"rowsCount": 1}}
        fake, _ = self.read([page("/v1/next/1", columns=[BIGINT], data={"encoding": "json", "segments": [inline, spooled]}), page()],
                            keycloak={"token": "t0ken"})
        self.assertEqual(self.rows(), [1, 2, 3])
        self.assertIn("json", fake.requests[1][2]["X-Trino-Query-Data-Encoding"])
        self.assertEqual([r[1] for r in far.requests], ["/segment", "/ack"])
        self.assertEqual(far.requests[0][2]["X-Key"], "k")
        self.assertNotIn("Authorization", far.requests[0][2])

    def test_pages_that_lie_are_errors(self):
        cases = [([page(columns=[BIGINT], data=[[1, 2]])], "does not have the result's columns"),
                 ([page(columns=[BIGINT], data=[["x"]])], "as a value of the type bigint"),
                 ([(200, {}, {"id": "q1", "columns": [BIGINT], "data": [[1]], "stats": {"state": "CANCELED"}})], "state is not FINISHED"),
                 ([(200, {}, b"<html>")], "not the JSON of Trino's protocol"),
                 ([page(columns=[{"name": "a"}], data=[])], "no type that can be read"),
                 ([page("/v1/n", columns=[BIGINT]), page(error={"errorType": "INTERNAL_ERROR", "errorName": "COMPILER_ERROR",
                                                                "message": "sorry"})], "sorry (COMPILER_ERROR)"),
                 ([page(columns=[BIGINT], data={"encoding": "json+zstd", "segments": [
                     {"type": "inline", "data": "AAAA", "metadata": {"uncompressedSize": 9}}]})], "cannot be decompressed")]
        for answers, text in cases:
            with self.subTest(text=text):
                _, done = self.read(answers, expect=1)
                self.assertIn(text, done.err)


if __name__ == "__main__":
    unittest.main()
