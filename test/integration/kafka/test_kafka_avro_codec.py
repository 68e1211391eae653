"""The Avro codec against another implementation (fastavro), both ways, on schemas and values made at random.

DATAFLOW_AVRO_SCHEMAS is how many schemas each test makes (150); DATAFLOW_AVRO_SEED repeats a run.
"""
import base64
import datetime
import decimal
import io
import json
import math
import os
import pathlib
import random
import struct
import subprocess
import unittest
import uuid

import peers

peers.need("fastavro==1.13.1")
import fastavro  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
TOOL = os.environ.get("DATAFLOW_AVRO_TOOL", str(ROOT / "build/test/avro/avro-tool"))
SCHEMAS = int(os.environ.get("DATAFLOW_AVRO_SCHEMAS", "150"))
SEED = int(os.environ.get("DATAFLOW_AVRO_SEED", "0")) or random.randrange(1 << 32)
VALUES = 5
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


class Maker:
    """Random schemas, and for each random values."""

    def __init__(self, seed, finite=False):
        self.random, self.names, self.types, self.finite = random.Random(seed), 0, {}, finite

    def name(self):
        self.names += 1
        return self.random.choice(["a.", "b.c."]) + f"N{self.names}"

    # ---- schemas

    def schema(self, depth=0):
        kinds = ["primitive", "primitive", "logical", "logical", "enum", "fixed"]
        if depth < 4:
            kinds += ["record", "record", "array", "map", "union", "union"]
        return getattr(self, self.random.choice(kinds))(depth)

    def primitive(self, _):
        return self.random.choice(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])

    def logical(self, _):
        scale = self.random.randrange(5)
        precision = scale + self.random.randrange(1, 40)
        size = precision // 2 + 2
        return self.random.choice([
            lambda: {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale},
            lambda: {"type": "fixed", "name": self.name(), "size": size, "logicalType": "decimal", "precision": precision, "scale": scale},
            lambda: {"type": "int", "logicalType": "date"}, lambda: {"type": "int", "logicalType": "time-millis"},
            lambda: {"type": "long", "logicalType": "time-micros"}, lambda: {"type": "long", "logicalType": "timestamp-millis"},
            lambda: {"type": "long", "logicalType": "timestamp-micros"}, lambda: {"type": "long", "logicalType": "local-timestamp-millis"},
            lambda: {"type": "long", "logicalType": "local-timestamp-micros"}, lambda: {"type": "string", "logicalType": "uuid"}])()

    def enum(self, _):
        return {"type": "enum", "name": self.name(), "symbols": [f"S{i}" for i in range(self.random.randrange(1, 5))]}

    def fixed(self, _):
        return {"type": "fixed", "name": self.name(), "size": self.random.randrange(1, 20)}

    def array(self, depth):
        return {"type": "array", "items": self.schema(depth + 1)}

    def map(self, depth):
        return {"type": "map", "values": self.schema(depth + 1)}

    def record(self, depth):
        schema = {"type": "record", "name": self.name(), "fields": []}
        for i in range(self.random.randrange(0, 6)):
            schema["fields"].append({"name": f"f{i}", "type": self.schema(depth + 1)})
        if self.random.random() < 0.3:
            schema["fields"].append({"name": "next", "type": ["null", schema["name"]]})
            self.types[schema["name"]] = schema
        return schema

    def union(self, depth):
        branches, seen = [], set()
        for _ in range(self.random.randrange(1, 5)):
            branch = self.schema(depth + 1)
            kind = branch if isinstance(branch, str) else branch["type"] if not isinstance(branch, list) else "union"
            # What JSON, or fastavro, cannot tell apart does not come back in the same branch; test_branches has that.
            logical = branch.get("logicalType", "") if isinstance(branch, dict) else ""
            json_kind = "number" if logical == "decimal" else "text" if logical else {
                "int": "number", "long": "number", "float": "number", "double": "number", "string": "text", "bytes": "text",
                "enum": "text", "fixed": "text"}.get(kind, kind)
            python_kind = {"int": "a number", "long": "a number", "float": "a number", "double": "a number", "bytes": "binary",
                           "fixed": "binary", "array": "binary"}.get(kind, kind)
            kinds = {json_kind, python_kind} | ({"string"} if kind == "bytes" else set())
            if kind == "union" or kinds & seen - {"record"}:
                continue
            seen |= kinds
            branches.append(branch)
        return branches or ["null", "string"]

    # ---- values

    def value(self, schema, depth=0):
        r = self.random
        if isinstance(schema, list):
            branch = r.choice(schema)
            if branch != "null" and depth > 12 and "null" in schema:
                branch = "null"
            value = self.value(branch, depth + 1)
            wrap = isinstance(branch, dict) and branch["type"] == "record"
            return (branch["name"], value) if wrap else (branch, value) if isinstance(branch, str) and branch in self.types else value
        if schema in self.types if isinstance(schema, str) else False:
            schema = self.types[schema]
        kind = schema if isinstance(schema, str) else schema["type"]
        logical = schema.get("logicalType") if isinstance(schema, dict) else None
        if logical:
            return getattr(self, "of_" + logical.replace("-", "_"))(schema)
        if kind == "record":
            return {f["name"]: self.value(f["type"], depth + 1) for f in schema["fields"]}
        if kind == "array":
            return [self.value(schema["items"], depth + 1) for _ in range(r.randrange(4))]
        if kind == "map":
            return {self.text(): self.value(schema["values"], depth + 1) for _ in range(r.randrange(4))}
        if kind == "enum":
            return r.choice(schema["symbols"])
        if kind == "fixed":
            return r.randbytes(schema["size"])
        return {"null": lambda: None, "boolean": lambda: r.random() < 0.5, "int": lambda: self.integer(31), "long": lambda: self.integer(63),
                "float": lambda: struct.unpack("<f", struct.pack("<f", self.real(1e30)))[0], "double": lambda: self.real(1e300),
                "bytes": lambda: r.randbytes(r.randrange(20)), "string": self.text}[kind]()

    def integer(self, bits):
        bits = self.random.randrange(bits + 1)
        return self.random.randrange(-(1 << bits), 1 << bits)

    def real(self, size):
        ends = [] if self.finite else [math.inf, -math.inf]
        return self.random.choice([0.0, -0.0, 0.1, *ends, self.random.uniform(-size, size), self.random.gauss(0, 1)])

    def text(self):
        return "".join(self.random.choice("ab\"\\\n\u0001é\u20ac\U0001f600 ") for _ in range(self.random.randrange(12)))

    def of_decimal(self, schema):
        digits = self.random.randrange(10 ** self.random.randrange(1, schema["precision"] + 1))
        negative = digits and self.random.randrange(2)  # fastavro writes -0 as something else
        return decimal.Decimal((negative, tuple(map(int, str(digits))), -schema["scale"]))

    def of_date(self, _):
        return datetime.date(1, 1, 1) + datetime.timedelta(days=self.random.randrange(3652059))

    def of_time_millis(self, _):
        return (datetime.datetime.min + datetime.timedelta(milliseconds=self.random.randrange(86400000))).time()

    def of_time_micros(self, _):
        return (datetime.datetime.min + datetime.timedelta(microseconds=self.random.randrange(86400000000))).time()

    def instant(self, unit):
        return datetime.datetime(1, 1, 2, tzinfo=UTC) + datetime.timedelta(days=self.random.randrange(3652000)) + unit * self.random.randrange(
            86400 * 1000)

    def of_timestamp_millis(self, _):
        return self.instant(datetime.timedelta(milliseconds=1))

    def of_timestamp_micros(self, _):
        return self.instant(datetime.timedelta(microseconds=1))

    def of_local_timestamp_millis(self, _):
        return self.instant(datetime.timedelta(milliseconds=1)).replace(tzinfo=None)

    def of_local_timestamp_micros(self, _):
        return self.instant(datetime.timedelta(microseconds=1)).replace(tzinfo=None)

    def of_uuid(self, _):
        return uuid.UUID(bytes=self.random.randbytes(16))

    # ---- what a document shows

    def shown(self, schema, value):
        """The mapping of the documentation, written down a second time."""
        if isinstance(schema, list):
            if isinstance(value, tuple):
                branch = next(b for b in schema if b == value[0] or (isinstance(b, dict) and b.get("name") == value[0]))
                value = value[1]
            else:
                branch = next(b for b in schema if self.is_of(b, value))
            text = self.shown(branch, value)
            full = self.types.get(branch, branch) if isinstance(branch, str) else branch
            kind = full if isinstance(full, str) else full["type"]
            if sum(b != "null" for b in schema) > 1 and kind in ("record", "map"):
                return {full.get("name", "map"): text}
            return text
        if isinstance(schema, str) and schema in self.types:
            schema = self.types[schema]
        kind = schema if isinstance(schema, str) else schema["type"]
        if kind == "record":
            return {f["name"]: self.shown(f["type"], value[f["name"]]) for f in schema["fields"]}
        if kind == "array":
            return [self.shown(schema["items"], v) for v in value]
        if kind == "map":
            return {k: self.shown(schema["values"], v) for k, v in value.items()}
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        if isinstance(value, float):
            if not math.isfinite(value):
                return "Infinity" if value > 0 else "-Infinity"
            return value
        if isinstance(value, datetime.datetime):
            return fraction(value.strftime("%Y").zfill(4) + value.strftime("-%m-%dT%H:%M:%S"), value.microsecond) + "Z"
        if isinstance(value, datetime.time):
            return fraction(value.strftime("%H:%M:%S"), value.microsecond)
        if isinstance(value, datetime.date):
            return value.isoformat()
        if isinstance(value, uuid.UUID):
            return str(value)
        return value

    def is_of(self, schema, value):
        kind = schema if isinstance(schema, str) else schema["type"]
        logical = schema.get("logicalType") if isinstance(schema, dict) else None
        python = {"null": type(None), "boolean": bool, "int": int, "long": int, "float": float, "double": float, "bytes": bytes, "string": str,
                  "enum": str, "fixed": bytes, "array": list, "map": dict, "record": tuple, "decimal": decimal.Decimal, "date": datetime.date,
                  "time-millis": datetime.time, "time-micros": datetime.time, "uuid": uuid.UUID}.get(logical or kind, datetime.datetime)
        return type(value) is python


def fraction(text, micros):
    return text + (f".{micros:06}".rstrip("0") if micros else "")


def same(ours, wanted, order=True):
    """Are the numbers of our text (as decimals) those that are wanted (floats as floats)?"""
    if isinstance(wanted, dict):
        return isinstance(ours, dict) and (list if order else sorted)(ours) == (list if order else sorted)(wanted) and all(
            same(ours[k], wanted[k], order) for k in wanted)
    if isinstance(wanted, list):
        return isinstance(ours, list) and len(ours) == len(wanted) and all(same(o, w, order) for o, w in zip(ours, wanted))
    if isinstance(wanted, float):
        return float(ours) == wanted or struct.pack("<f", float(ours)) == struct.pack("<f", wanted)
    if isinstance(wanted, decimal.Decimal):
        return isinstance(ours, (decimal.Decimal, int)) and decimal.Decimal(ours) == wanted
    return type(ours) is type(wanted) and ours == wanted


def written(schema, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


class Codec(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.tool.stdin.close()
        cls.tool.stdout.close()
        cls.tool.wait(10)

    def ask(self, **question):
        self.tool.stdin.write(json.dumps(question) + "\n")
        self.tool.stdin.flush()
        lines = []
        while (line := self.tool.stdout.readline().rstrip("\n")) != ".":
            self.assertIsNone(self.tool.poll(), "the tool ended")
            lines.append(line)
        return lines

    def each(self, **how):
        """maker, schema as JSON, as fastavro has it, values."""
        for seed in range(SEED, SEED + SCHEMAS):
            maker = Maker(seed, **how)
            schema = maker.schema()
            self.seed = f"DATAFLOW_AVRO_SEED={seed} DATAFLOW_AVRO_SCHEMAS=1: {json.dumps(schema)}"
            yield maker, schema, fastavro.parse_schema(schema), [maker.value(schema) for _ in range(VALUES)]

    def test_reading(self):
        for maker, schema, parsed, values in self.each():
            lines = self.ask(schema=json.dumps(schema), data=[written(parsed, v).hex() for v in values])
            for line, value in zip(lines, values, strict=True):
                self.assertFalse(line.startswith("!"), f"{line}\n{self.seed}")
                wanted = maker.shown(schema, value)
                self.assertTrue(same(json.loads(line, parse_float=decimal.Decimal), wanted), f"{line}\n{wanted}\n{self.seed}")

    def test_writing(self):
        """What we show, written again by us, is byte for byte what fastavro wrote."""
        for maker, schema, parsed, values in self.each(finite=True):
            data = [written(parsed, v).hex() for v in values]
            documents = self.ask(schema=json.dumps(schema), data=data)
            question = '{"schema": %s, "documents": [%s]}\n' % (json.dumps(json.dumps(schema)), ", ".join(documents))
            self.tool.stdin.write(question)
            self.tool.stdin.flush()
            for was, document in zip(data, documents, strict=True):
                self.assertEqual(self.tool.stdout.readline().rstrip("\n"), was, f"{document}\n{self.seed}")
            self.assertEqual(self.tool.stdout.readline(), ".\n")

    def test_branches(self):
        """In a union of what JSON does not tell apart the value stays, whichever branch it takes."""
        schema = ["null", "int", "long", "double", "string", "bytes", {"type": "long", "logicalType": "timestamp-micros"}]
        schema.remove("long")
        parsed = fastavro.parse_schema(schema)
        documents = [None, 1, 3000000000, 1.5, "x", "AAA=", "2024-01-02T03:04:05.000006Z"]
        lines = self.ask(schema=json.dumps(schema), documents=documents)
        back = [fastavro.schemaless_reader(io.BytesIO(bytes.fromhex(line)), parsed) for line in lines]
        self.assertEqual(back, documents)

    def test_resolution(self):
        """A reader's schema that differs: what fastavro makes of the same bytes."""
        for maker, schema, parsed, values in self.each():
            reader = self.changed(maker, schema)
            try:
                wanted_parsed = fastavro.parse_schema(reader)
                data = [written(parsed, v) for v in values]
                wanted = [fastavro.schemaless_reader(io.BytesIO(d), parsed, wanted_parsed, return_record_name=True,
                                                     return_record_name_override=True) for d in data]
            except fastavro.schema.SchemaParseException:
                continue
            lines = self.ask(schema=json.dumps(schema), reader=json.dumps(reader), data=[d.hex() for d in data])
            for line, value in zip(lines, wanted, strict=True):
                self.assertFalse(line.startswith("!"), f"{line}\n{self.seed}")
                self.assertTrue(same(flat(json.loads(line, parse_float=decimal.Decimal)), flat(plainly(value)), order=False), f"{line}\n{value}\n{reader}\n{self.seed}")

    def changed(self, maker, schema):
        """Fields left out, added, in another order; numbers promoted. Everything still resolves."""
        r = maker.random
        if isinstance(schema, list):
            return [b if isinstance(b, str) else self.changed(maker, b) for b in schema]  # promoted it might stand there twice
        if isinstance(schema, str):
            return {"int": "long", "float": "double"}.get(schema, schema) if r.random() < 0.5 else schema
        schema = dict(schema)
        if schema["type"] == "record":
            keep = [f for f in schema["fields"] if r.random() < 0.8 and not self.defines(f["type"])] + \
                   [f for f in schema["fields"] if self.defines(f["type"])]
            r.shuffle(keep)
            keep.sort(key=lambda f: f["name"] == "next")
            schema["fields"] = [dict(f, type=self.changed(maker, f["type"])) for f in keep]
            if r.random() < 0.5:
                schema["fields"].append({"name": "added", "type": ["null", "int"], "default": None})
        elif schema["type"] == "array":
            schema["items"] = self.changed(maker, schema["items"])
        elif schema["type"] == "map":
            schema["values"] = self.changed(maker, schema["values"])
        return schema

    def defines(self, schema):
        """Might another place name a type of it?"""
        return "name" in json.dumps(schema)


def plainly(value):
    """fastavro's value as a document's; names of records in unions are left out by flat()."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        return plainly(value[1])
    if isinstance(value, dict):
        return {k: plainly(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plainly(v) for v in value]
    return Maker(0).shown("string", value)


def flat(value):
    """Without {"<name>": ...} around records and maps of unions."""
    if isinstance(value, dict):
        value = {k: flat(v) for k, v in value.items()}
        only = next(iter(value)) if len(value) == 1 else ""
        if only == "map" or only.rpartition(".")[2].startswith("N"):
            return value[only]
        return value
    return [flat(v) for v in value] if isinstance(value, list) else value
