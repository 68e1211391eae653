"""Avro on a real broker and a real schema registry, written and read by another implementation (fastavro)."""
import base64
import datetime
import decimal
import http.server
import io
import json
import threading
import urllib.error
import urllib.request
import uuid

from kafkacase import KafkaCase, wait_until
import peers
import proxy
import services

peers.need("fastavro==1.13.1")
import fastavro  # noqa: E402

ORDER = {"type": "record", "name": "shop.Order", "fields": [
    {"name": "id", "type": "long"},
    {"name": "note", "type": ["null", "string"], "default": None},
]}

# One field a type, with a value for fastavro and what the document has.
TYPES = [
    ("boolean", True, True),
    ("int", -5, -5),
    ("long", 9007199254740993, 9007199254740993),
    ("float", 0.5, 0.5),
    ("double", 0.1, 0.1),
    ("double", float("-inf"), "-Infinity"),
    ("bytes", b"\x00\xff", "AP8="),
    ("string", "grün \U0001f600 \"\n", "grün \U0001f600 \"\n"),
    ({"type": "fixed", "name": "F", "size": 3}, b"abc", "YWJj"),
    ({"type": "enum", "name": "E", "symbols": ["RED", "BLUE"]}, "BLUE", "BLUE"),
    ({"type": "array", "items": "int"}, [1, 2, 3], [1, 2, 3]),
    ({"type": "map", "values": ["null", "string"]}, {"a": None, "b": "x"}, {"a": None, "b": "x"}),
    ({"type": "record", "name": "In", "fields": [{"name": "x", "type": "int"}]}, {"x": 1}, {"x": 1}),
    (["null", "In"], {"x": 2}, {"x": 2}),
    (["null", "int", "In"], {"x": 3}, {"In": {"x": 3}}),
    (["null", "int", {"type": "array", "items": "string"}], ["a"], ["a"]),
    ({"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}, decimal.Decimal("-12345678901234567890.10"),
     decimal.Decimal("-12345678901234567890.10")),
    ({"type": "fixed", "name": "D", "size": 8, "logicalType": "decimal", "precision": 10, "scale": 3}, decimal.Decimal("10.500"),
     decimal.Decimal("10.500")),
    ({"type": "int", "logicalType": "date"}, datetime.date(2024, 2, 29), "2024-02-29"),
    ({"type": "int", "logicalType": "time-millis"}, datetime.time(1, 2, 3, 4000), "01:02:03.004"),
    ({"type": "long", "logicalType": "time-micros"}, datetime.time(23, 59, 59, 999999), "23:59:59.999999"),
    ({"type": "long", "logicalType": "timestamp-millis"}, datetime.datetime(2024, 1, 2, 3, 4, 5, 60000, datetime.timezone.utc),
     "2024-01-02T03:04:05.06Z"),
    ({"type": "long", "logicalType": "timestamp-micros"}, datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, datetime.timezone.utc),
     "1969-12-31T23:59:59.999999Z"),
    ({"type": "long", "logicalType": "local-timestamp-millis"}, datetime.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05Z"),
    ({"type": "string", "logicalType": "uuid"}, uuid.UUID("00010203-0405-0607-0809-0a0b0c0d0e0f"), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
]
EVERY = {"type": "record", "name": "Every", "fields": [{"name": f"f{i}", "type": t} for i, (t, _, _) in enumerate(TYPES)]}
WRITTEN = {f"f{i}": v for i, (_, v, _) in enumerate(TYPES)}
SHOWN = {f"f{i}": v for i, (_, _, v) in enumerate(TYPES)}


def plain(schema, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


class Registry:
    """What the tests ask of it, by its REST API."""

    def __init__(self, url, user=None, ca=None):
        self.url, self.user, self.ca = url, user, ca

    def ask(self, path, body=None):
        headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body is not None else None, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def register(self, subject, schema, **more):
        return self.ask(f"/subjects/{subject}/versions", {"schema": json.dumps(schema), **more})["id"]

    def framed(self, subject, schema, value, **more):
        return b"\x00" + self.register(subject, schema, **more).to_bytes(4, "big") + plain(schema, value)

    def read(self, payload):
        """(schema id, value) by the schema that the registry has."""
        assert payload[0] == 0
        number = int.from_bytes(payload[1:5], "big")
        schema = json.loads(self.ask(f"/schemas/ids/{number}")["schema"])
        rest = io.BytesIO(payload[5:])
        value = fastavro.schemaless_reader(rest, fastavro.parse_schema(schema))
        assert rest.read() == b""
        return number, value


class AvroCase(KafkaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = services.use("kafka", "schema-registry")
        cls.registry = Registry(cls.env["SCHEMA_REGISTRY_URL"])

    def avro(self, topic, url=None, **config):
        if "avroSchema" not in config or "schemaRegistry" in config:
            config.setdefault("schemaRegistry", {"url": url or self.registry.url})
        return self.source(topic, format="avro", **config)

    def avro_sink(self, topic, **config):
        config.setdefault("schemaRegistry", {"url": self.registry.url})
        return self.sink(topic, format="avro", **config)

    def exact(self, name="out.jsonl"):
        return [json.loads(line, parse_float=decimal.Decimal) for line in (self.dir / name).read_text().splitlines()]

    def poison(self):
        """What the error sink got, in the order it came."""
        return self.lines("errors.jsonl")

    def with_errors(self):
        return {"errors": self.file("errors.jsonl")}


class Reading(AvroCase):
    def test_every_type(self):
        topic = self.topic()
        self.produce(topic, [self.registry.framed(topic, EVERY, WRITTEN), None])
        self.run_once(self.flow(self.avro(topic), self.file(), [{"type": "filter", "config": {"condition": "$ != null"}}]))
        got, = self.exact()
        want = {k: decimal.Decimal(repr(v)) if isinstance(v, float) else v for k, v in SHOWN.items()}
        self.assertEqual(got, want)
        self.assertEqual(list(got), list(want))

    def test_types_reach_a_table(self):
        import sqlite3
        topic, path = self.topic(), self.dir / "t.db"
        self.produce(topic, [self.registry.framed(topic, EVERY, WRITTEN)])
        self.run_once(self.flow(self.avro(topic), {"type": "sqlite", "config": {"path": str(path), "table": "t", "autoCreateTable": True}}))
        with sqlite3.connect(path) as db:
            row, = db.execute("SELECT f2, f6, f18, f24 FROM t")
        self.assertEqual(row, (9007199254740993, b"\x00\xff", "2024-02-29", "00010203-0405-0607-0809-0a0b0c0d0e0f"))

    def test_schemas_change(self):
        """Records of three schemas in one topic, in one batch."""
        topic = self.topic()
        newer = dict(ORDER, fields=[*ORDER["fields"], {"name": "price", "type": "double", "default": 0}])
        self.produce(topic, [self.registry.framed(topic, (ORDER, newer)[i % 2], {"id": i, "note": f"n{i}", "price": i / 2})
                             for i in range(100)])
        self.run_once(self.flow(self.avro(topic), self.file()))
        self.assertEqual(self.lines(), [{"id": i, "note": f"n{i}", **({"price": i / 2} if i % 2 else {})} for i in range(100)])

    def test_reader_schema(self):
        topic = self.topic()
        reader = {"type": "record", "name": "Order", "fields": [
            {"name": "text", "type": "string", "aliases": ["comment"], "default": "none"}, {"name": "id", "type": "double"}]}
        self.produce(topic, [self.registry.framed(f"{topic}-{i}", schema, value) for i, (schema, value) in enumerate([
            (ORDER, {"id": 1, "note": "gone"}),
            ({"type": "record", "name": "shop.Order", "fields": [{"name": "comment", "type": "string"}, {"name": "id", "type": "int"}]},
             {"id": 2, "comment": "kept"}),
            ({"type": "record", "name": "shop.Order", "fields": [{"name": "id", "type": "string"}]}, {"id": "three"})])])
        self.run_once(self.flow(self.avro(topic, readerSchema=json.dumps(reader)), self.file(), **self.with_errors()))
        self.assertEqual(self.lines(), [{"text": "none", "id": 1}, {"text": "kept", "id": 2}])
        self.assertEqual(len(self.poison()), 1)
        self.assertIn("`string` of the writer's schema cannot be read as `double`", json.dumps(self.poison()))

    def test_references(self):
        topic = self.topic()
        item = {"type": "record", "name": "shop.Item", "fields": [{"name": "sku", "type": "string"}]}
        cart = {"type": "record", "name": "shop.Cart", "fields": [{"name": "items", "type": {"type": "array", "items": "shop.Item"}}]}
        self.registry.register(f"{topic}-item", item)
        number = self.registry.register(topic, cart, references=[{"name": "shop.Item", "subject": f"{topic}-item", "version": 1}])
        whole = dict(cart, fields=[{"name": "items", "type": {"type": "array", "items": item}}])
        self.produce(topic, [b"\x00" + number.to_bytes(4, "big") + plain(whole, {"items": [{"sku": "a"}, {"sku": "b"}]})])
        self.run_once(self.flow(self.avro(topic), self.file()))
        self.assertEqual(self.lines(), [{"items": [{"sku": "a"}, {"sku": "b"}]}])

    def test_poison(self):
        topic = self.topic()
        good = self.registry.framed(topic, ORDER, {"id": 1, "note": None})
        bad = [(b'{"id": 1}', "does not begin with a schema's id"), (b"\x00\x01", "does not begin with"),
               (b"\x00\x7f\xff\xff\x01" + good[5:], "there is no schema with the id 2147483393"),
               (good[:-1], "field `note`: a number is cut off"), (good + b"\x00", "1 bytes are left over")]
        records = [good]
        for payload, _ in bad:
            records += [payload, good]
        self.produce(topic, records)
        self.run_once(self.flow(self.avro(topic), self.file(), **self.with_errors()))
        self.assertEqual(len(self.lines()), len(bad) + 1)
        errors = [record["error"] for record in self.poison()]
        self.assertEqual([e["type"] for e in errors], ["invalid_data"] * len(bad))
        for i, (error, (payload, piece)) in enumerate(zip(errors, bad)):
            self.assertIn(piece, error["message"])
            self.assertEqual({k: error["metadata"][k] for k in ("topic", "partition", "offset")},
                             {"topic": topic, "partition": 0, "offset": 2 * i + 1})

    def test_poison_stops(self):
        topic = self.topic()
        good = self.registry.framed(topic, ORDER, {"id": 1, "note": None})
        self.produce(topic, [good, b"\x00\x00"])
        log = self.run_once(self.flow(self.avro(topic), self.file()), code=1)
        self.assertIn("message 0/1, decode: Avro: the value does not begin", log)
        self.assertEqual(self.committed(self.name, topic), {0: 1})

    def test_unknown_id_is_asked_once(self):
        topic = self.topic()
        with proxy.Proxy(("localhost", int(self.registry.url.rsplit(":", 1)[1]))) as between:
            self.produce(topic, [b"\x00\x7f\xff\xff\x02x"] * 500)
            self.run_once(self.flow(self.avro(topic, f"http://127.0.0.1:{between.port}"), self.file(), **self.with_errors()))
            self.assertEqual(len(self.poison()), 500)
            self.assertLessEqual(between.connections, 2)

    def test_another_kind_of_schema(self):
        topic = self.topic()
        number = self.registry.ask(f"/subjects/{topic}/versions", {"schema": '{"type": "object"}', "schemaType": "JSON"})["id"]
        self.produce(topic, [b"\x00" + number.to_bytes(4, "big") + b"x"])
        self.run_once(self.flow(self.avro(topic), self.file(), **self.with_errors()))
        self.assertIn("no Avro but `JSON`", json.dumps(self.poison()))

    def test_static_schema(self):
        """Bare values, and framed ones all the same; from the manifest and from a file."""
        topic = self.topic()
        self.produce(topic, [plain(ORDER, {"id": 1, "note": "a"}), b"\x00\x00\x00\x00\x09" + plain(ORDER, {"id": 2, "note": None})])
        self.run_once(self.flow(self.avro(topic, avroSchema=json.dumps(ORDER)), self.file()))
        self.assertEqual(self.lines(), [{"id": 1, "note": "a"}, {"id": 2, "note": None}])
        (self.dir / "order.avsc").write_text(json.dumps(ORDER))
        self.run_once(self.flow(self.source(topic, format="avro", avroSchemaFile=str(self.dir / "order.avsc"), consumerGroup=f"{self.name}-2"),
                                self.file("two.jsonl")))
        self.assertEqual(self.lines("two.jsonl"), self.lines())

    def test_login(self):
        topic = self.topic()
        record = self.registry.framed(topic, ORDER, {"id": 1, "note": None})
        self.produce(topic, [record])
        user = {"username": self.env["SCHEMA_REGISTRY_USER"], "password": self.env["SCHEMA_REGISTRY_PASSWORD"]}
        ca = f"{self.env['SCHEMA_REGISTRY_PKI']}/ca.pem"
        for i, (url, config) in enumerate([("SCHEMA_REGISTRY_BASIC_URL", {"basicAuth": user}),
                                           ("SCHEMA_REGISTRY_TLS_URL", {"basicAuth": user, "tls": {"caFile": ca}}),
                                           ("SCHEMA_REGISTRY_TLS_URL", {"basicAuth": user, "tls": {"insecureSkipVerify": True}})]):
            # Each registry counts its ids for itself: this one has to have the schema too.
            self.known(self.env[url], user, ca, record)
            name = f"out{i}.jsonl"
            self.run_once(self.flow(self.source(topic, format="avro", consumerGroup=f"{self.name}-{i}",
                                                schemaRegistry={"url": self.env[url], **config}), self.file(name)))
            self.assertEqual(self.lines(name), [{"id": 1, "note": None}])

    def known(self, url, user, ca, record):
        """Registers schemas until the registry has ORDER under the record's id."""
        import ssl
        context = ssl.create_default_context(cafile=ca) if url.startswith("https") else None
        login = base64.b64encode(f"{user['username']}:{user['password']}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
        wanted, number = int.from_bytes(record[1:5], "big"), 0
        while number < wanted:
            number += 1
            schema = ORDER if number == wanted else dict(ORDER, name=f"Filler{uuid.uuid4().hex}")
            body = {"schema": json.dumps(dict(schema, doc=self.name))}
            request = urllib.request.Request(f"{url}/subjects/{uuid.uuid4()}/versions", json.dumps(body).encode(), headers)
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                number = max(json.load(answer)["id"], number)

    def test_wrong_password(self):
        topic = self.topic()
        self.produce(topic, [self.registry.framed(topic, ORDER, {"id": 1, "note": None})])
        source = self.source(topic, format="avro", schemaRegistry={"url": self.env["SCHEMA_REGISTRY_BASIC_URL"],
                                                                   "basicAuth": {"username": "registry-user", "password": "not-it"}})
        process = self.start(self.flow(source, self.file()))
        wait_until(lambda: "status 401" in process.log(), 30, "the refusal in the log")
        self.assertNotIn("not-it", process.log())
        self.assertEqual(self.committed(self.name, topic), {})


class Refusals(AvroCase):
    """A registry that answers what a real one does only on bad days."""

    def setUp(self):
        super().setUp()
        case = self
        self.answers, self.asked = [], []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                case.asked.append((self.path, dict(self.headers)))
                status, body = case.answers.pop(0) if len(case.answers) > 1 else case.answers[0]
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}/base/"
        self.record = b"\x00\x00\x00\x00\x07" + plain(ORDER, {"id": 1, "note": None})
        self.good = (200, {"schema": json.dumps(ORDER)})

    def read(self, suffix="in", **more):
        topic = self.topic(suffix)
        self.produce(topic, [self.record])
        return self.flow(self.avro(topic, schemaRegistry={"url": self.url, **more}), self.file(), **self.with_errors())

    def test_bearer(self):
        self.answers = [self.good]
        self.run_once(self.read(bearerToken="tok.en"))
        path, headers = self.asked[0]
        self.assertEqual(path, "/base/schemas/ids/7")
        self.assertEqual(headers["Authorization"], "Bearer tok.en")
        self.assertIn("application/vnd.schemaregistry.v1+json", headers["Accept"])
        self.assertEqual(self.lines(), [{"id": 1, "note": None}])

    def test_later(self):
        """5xx and 429 are asked again; nothing is lost and nothing poison."""
        self.answers = [(503, b"<html>"), (429, {"error_code": 429, "message": "slow down"}), (500, {"error_code": 50001, "message": "x"}), self.good]
        self.run_once(self.read())
        self.assertEqual(self.lines(), [{"id": 1, "note": None}])
        self.assertEqual(self.poison(), [])
        self.assertEqual(len(self.asked), 4)

    def test_no_registry(self):
        """What is no registry is the manifest's fault, and no record is thrown away for it."""
        for i, (answer, piece) in enumerate([((404, b"<html>not here"), "is schemaRegistry.url that of a schema registry?"),
                              ((200, b"<html>welcome"), "what answers is no schema registry"), ((200, {}), "an answer without `schema`")]):
            self.answers = [answer]
            log = self.run_once(self.read(f"in{i}"), code=1)
            self.assertIn(piece, log)
            self.assertEqual(self.poison(), [])


class Outages(AvroCase):
    def setUp(self):
        super().setUp()
        between = proxy.Proxy(("localhost", int(self.registry.url.rsplit(":", 1)[1])))
        self.between = between.__enter__()
        self.addCleanup(between.__exit__)
        self.url = f"http://127.0.0.1:{between.port}"

    def test_down_at_the_start(self):
        topic = self.topic(partitions=3)
        self.produce(topic, [{"value": self.registry.framed(topic, ORDER, {"id": i, "note": None}), "key": f"k{i % 10}"} for i in range(1000)])
        self.between.refuse = True
        process = self.start(self.flow(self.avro(topic, self.url), self.file(), **self.with_errors()))
        wait_until(lambda: "reading waits" in process.log(), 30, "the trouble in the log")
        self.assertEqual(self.lines(), [])
        self.between.refuse = False
        self.await_lines(1000)
        self.stop(process)
        self.exactly_once_in_order(1000)
        self.assertEqual(sum(self.committed(self.name, topic).values()), 1000)

    def exactly_once_in_order(self, n):
        ids = [row["id"] for row in self.lines()]
        self.assertEqual(sorted(ids), list(range(n)))
        for key in range(10):
            mine = [i for i in ids if i % 10 == key]
            self.assertEqual(mine, sorted(mine))
        self.assertEqual(self.poison(), [])

    def test_down_in_the_middle(self):
        """A schema that is new while the registry is away: known ones go on until it comes, then all waits."""
        topic = self.topic(partitions=2)
        newer = dict(ORDER, fields=[*ORDER["fields"], {"name": "more", "type": "int", "default": 0}])

        def records(schema, first, n):
            return [{"value": self.registry.framed(topic, schema, {"id": i, "note": None, "more": 1}), "key": f"k{i % 10}"}
                    for i in range(first, first + n)]
        self.produce(topic, records(ORDER, 0, 300))
        process = self.start(self.flow(self.avro(topic, self.url), self.file(), **self.with_errors()))
        self.await_lines(300)
        self.between.refuse = True
        self.between.cut()
        self.produce(topic, records(ORDER, 300, 100))
        self.await_lines(400)
        self.produce(topic, records(newer, 400, 200))
        self.produce(topic, records(ORDER, 600, 200))
        wait_until(lambda: "reading waits" in process.log(), 30, "the trouble in the log")
        self.between.refuse = False
        self.await_lines(800)
        self.stop(process)
        self.exactly_once_in_order(800)

    def test_silent(self):
        """A stop while the registry says nothing."""
        topic = self.topic()
        self.produce(topic, [self.registry.framed(topic, ORDER, {"id": 1, "note": None})])
        self.between.stall.set()
        process = self.start(self.flow(self.avro(topic, self.url), self.file()))
        wait_until(lambda: self.between.connections, 30, "a question to the registry")
        self.stop(process, 10)
        self.between.stall.clear()
        self.run_once(self.flow(self.avro(topic, self.url), self.file()))
        self.assertEqual(self.lines(), [{"id": 1, "note": None}])

    def test_rebalance_while_waiting(self):
        """What waits for the registry goes to whoever gets its partition, and is written once."""
        topic = self.topic(partitions=4)
        self.produce(topic, [{"value": self.registry.framed(topic, ORDER, {"id": i, "note": None}), "key": f"k{i % 10}"} for i in range(400)])
        self.between.refuse = True
        first = self.start(self.flow(self.avro(topic, self.url), self.file("one.jsonl"), name="one"))
        wait_until(lambda: "reading waits" in first.log(), 30, "the trouble in the log")
        second = self.start(self.flow(self.avro(topic, self.url), self.file("two.jsonl"), name="two"))
        wait_until(lambda: "the group gives 2 partitions" in second.log() or "reading waits" in second.log(), 30, "the rebalance")
        self.between.refuse = False
        wait_until(lambda: len(self.lines("one.jsonl")) + len(self.lines("two.jsonl")) >= 400, 60, "400 lines")
        self.stop(first)
        self.stop(second)
        self.assertEqual(sorted(row["id"] for row in self.lines("one.jsonl") + self.lines("two.jsonl")), list(range(400)))


class Writing(AvroCase):
    def values(self, topic):
        return [self.registry.read(r.value())[1] if r.value() is not None else None for r in self.consume(topic)]

    def test_every_type(self):
        topic, out = self.topic(), self.topic("out")
        self.produce(topic, [self.registry.framed(topic, EVERY, WRITTEN), None])
        self.run_once(self.flow(self.avro(topic), self.avro_sink(out, avroSchema=json.dumps(EVERY))))
        first, second = self.consume(out)
        self.assertIsNone(second.value())
        self.assertEqual(self.registry.read(first.value())[1], WRITTEN)
        self.assertEqual(first.value()[5:], plain(EVERY, WRITTEN))
        self.assertEqual(json.loads(self.registry.ask(f"/subjects/{out}-value/versions/latest")["schema"]), EVERY)

    def test_from_json(self):
        out = self.topic("out")
        rows = [json.dumps({k: v for k, v in SHOWN.items() if not isinstance(v, decimal.Decimal)} | {"f16": 16, "f17": 17}, ensure_ascii=False)]
        text = rows[0].replace('"f16": 16', f'"f16": {SHOWN["f16"]}').replace('"f17": 17', f'"f17": {SHOWN["f17"]}')
        self.run_once(self.flow(self.from_file(text), self.avro_sink(out, avroSchema=json.dumps(EVERY))))
        self.assertEqual(self.values(out), [WRITTEN])

    def test_misfits(self):
        out = self.topic("out")
        rows = [{"id": 1}, {"id": "x"}, {"note": "y"}, {"id": 2, "more": 1}, {"id": 3, "note": "z"}, [1]]
        self.run_once(self.flow(self.from_file(*rows), self.avro_sink(out, avroSchema=json.dumps(ORDER)), **self.with_errors()))
        self.assertEqual(self.values(out), [{"id": 1, "note": None}, {"id": 3, "note": "z"}])
        texts = [json.dumps(p) for p in self.poison()]
        self.assertEqual(len(texts), 4)
        for text, piece in zip(texts, ["field `id`: a string does not fit `long`", "field `id`: it is missing",
                                       "field `more`: the schema's `shop.Order` has no such field", "an array does not fit"]):
            self.assertIn(piece, text)

    def test_latest(self):
        """Without a schema of its own it writes by the subject's newest."""
        out = self.topic("out")
        number = self.registry.register(f"{self.name}-orders", ORDER)
        self.run_once(self.flow(self.from_file({"id": 1}), self.avro_sink(out, subject=f"{self.name}-orders")))
        self.assertEqual([self.registry.read(r.value()) for r in self.consume(out)], [(number, {"id": 1, "note": None})])

    def test_no_schema(self):
        out = self.topic("out")
        log = self.run_once(self.flow(self.from_file({"id": 1}), self.avro_sink(out)), code=1)
        self.assertIn(f"the subject `{out}-value` has no schema", log)
        log = self.run_once(self.flow(self.from_file({"id": 1}), self.avro_sink(out, avroSchema=json.dumps(ORDER), autoRegister=False)), code=1)
        self.assertIn("does not have this schema", log)
        with self.assertRaises(urllib.error.HTTPError):
            self.registry.ask(f"/subjects/{out}-value/versions")
        self.registry.register(f"{out}-value", ORDER)
        self.run_once(self.flow(self.from_file({"id": 1}), self.avro_sink(out, avroSchema=json.dumps(ORDER), autoRegister=False)))
        self.assertEqual(self.values(out), [{"id": 1, "note": None}])

    def test_incompatible(self):
        out = self.topic("out")
        self.registry.register(f"{out}-value", ORDER)
        changed = dict(ORDER, fields=[{"name": "id", "type": "string"}])
        log = self.run_once(self.flow(self.from_file({"id": "1"}), self.avro_sink(out, avroSchema=json.dumps(changed))), code=1)
        self.assertIn("status 409", log)
        self.assertIn("incompatible", log)

    def test_static(self):
        out = self.topic("out")
        self.run_once(self.flow(self.from_file({"id": 1}), self.sink(out, format="avro", avroSchema=json.dumps(ORDER))))
        self.assertEqual([r.value() for r in self.consume(out)], [plain(ORDER, {"id": 1, "note": None})])

    def test_topics(self):
        """Each topic has a subject of its own."""
        out, other = self.topic("out"), self.topic("other")
        source = self.topic()
        self.produce(source, [{"value": b'{"id": 1}'}, {"value": b'{"id": 2}', "key": other.encode()}])
        self.run_once(self.flow(self.source(source), self.avro_sink(out, avroSchema=json.dumps(ORDER), topicFrom="key")))
        self.assertEqual(self.values(out), [{"id": 1, "note": None}])
        self.assertEqual(self.values(other), [{"id": 2, "note": None}])
        self.registry.ask(f"/subjects/{other}-value/versions/latest")

    def test_registry_down_at_the_start(self):
        out = self.topic("out")
        with proxy.Proxy(("localhost", int(self.registry.url.rsplit(":", 1)[1]))) as between:
            between.refuse = True
            sink = self.avro_sink(out, avroSchema=json.dumps(ORDER), schemaRegistry={"url": f"http://127.0.0.1:{between.port}"})
            process = self.start(self.flow(self.from_file(*({"id": i} for i in range(50))), sink), "--once")
            wait_until(lambda: "schema registry" in process.log(), 30, "the trouble in the log")
            between.refuse = False
            self.assertEqual(process.wait(60), 0, process.log())
        self.assertEqual(self.values(out), [{"id": i, "note": None} for i in range(50)])
