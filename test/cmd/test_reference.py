"""The transformations reference, sentence by sentence: cases in reference/*.yaml, run through `dataflow transform`.

A file is a list of groups; each group is one test. What a group holds:

    name          what is tested
    with          a transformation, or a list of them: {type: settings} for {type: ..., config: settings}, or written in full
    now           the clock
    to            payload -> what comes out: a payload, a list of payloads, or `=` (the same bytes), `-` (dropped), `!` (fails)
    messages      [{in, metadata, out, metadata_out}], for what metadata is about; metadata_out: default the same
    each          [[value, payload, out]]: `@@` in `with` stands for the value; with `doc`, the payload of all, [[value, out]]
    bad, good     values for `@@` that are a configuration error at `place`, or none
    errors        [[transformation, place, ...]]: a configuration and the places of all its errors, relative to the transformation

All messages of one configuration go through one process, and so do all bad configurations of a group.
"""
import itertools
import json
import pathlib
import unittest

import yaml

from cli import CliTest

CASES = pathlib.Path(__file__).parent / "reference"
NOW = "2024-01-15T10:30:00Z"


def transformation(t):
    if isinstance(t, dict) and len(t) == 1 and "type" not in t:
        ((name, settings),) = t.items()
        return {"type": name} if settings is None else {"type": name, "config": settings}
    return t


def transformations(value):
    return [transformation(t) for t in (value if isinstance(value, list) else [value])]


def fill(template, value):
    """The template with `@@` exchanged for the value."""
    if template == "@@":
        return value
    if isinstance(template, str):
        return template.replace("@@", value) if "@@" in template else template
    if isinstance(template, list):
        return [fill(item, value) for item in template]
    if isinstance(template, dict):
        return {(fill(k, value) if isinstance(k, str) else k): fill(v, value) for k, v in template.items()}
    return template


class Reference(CliTest):
    def run_messages(self, config, messages, now):
        """What became of each message: ([(payload, metadata)], error or None)."""
        self.write("t.json", json.dumps(transformations(config)))
        lines = "".join(json.dumps({"raw": m["in"], "metadata": dict(m.get("metadata") or {}, case=i)}) + "\n"
                        for i, m in enumerate(messages))
        done = self.dataflow("transform", "-f", "t.json", "--envelope=raw", "--now", now, "--errors", "e.jsonl", stdin=lines)
        self.assertEqual(done.returncode, 0, f"{config}: {done.err}")
        results = [([], []) for _ in messages]
        for line in done.out.split("\n")[:-1]:
            line = json.loads(line)
            results[line["metadata"].pop("case")][0].append((line["raw"], line["metadata"]))
        for error in self.read_jsonl("e.jsonl"):
            results[error["index"]][1].append(error)
        return results

    def check_messages(self, config, messages, now):
        for m, (outputs, errors) in zip(messages, self.run_messages(config, messages, now)):
            out = m["out"]
            payloads = [payload for payload, _ in outputs]
            said = f"{json.dumps(config, ensure_ascii=False)} on {m['in'][:400]} {m.get('metadata', '')}: {errors}"
            with self.subTest(said):
                if out == "!":
                    self.assertEqual((payloads, len(errors)), ([], 1), said)
                    continue
                expected = [m["in"]] if out == "=" else [] if out == "-" else out if isinstance(out, list) else [out]
                self.assertEqual((payloads, errors), (expected, []), said)
                if "metadata" in m:
                    expected = m.get("metadata_out", m["metadata"])
                    self.assertEqual([json.dumps(metadata) for _, metadata in outputs], [json.dumps(expected)] * len(outputs))

    def check_errors(self, rows):
        """rows: (transformation, places)."""
        self.write("bad.json", json.dumps([transformation(t) for t, _ in rows]))
        done = self.dataflow("transform", "-f", "bad.json", stdin="")
        self.assertEqual(done.returncode, 2 if any(places for _, places in rows) else 0, done.err)
        said = [[] for _ in rows]
        for line in done.err.splitlines():
            if ": warning: " in line:
                continue
            _, found, rest = line.partition("spec.transformations[")
            self.assertTrue(found, line)
            index, _, rest = rest.partition("]")
            said[int(index)].append(rest.lstrip("."))
        for (t, places), lines in zip(rows, said):
            with self.subTest(t=t):
                left = list(lines)
                for place in places:
                    fits = [line for line in left if line.startswith(f"{place}: ") and len(line) > len(place) + 2]
                    self.assertTrue(fits, f"{t}: no error at {place}: {lines}")
                    left.remove(fits[0])
                self.assertEqual(left, [], f"{t}: not expected")

    def check_group(self, group):
        now = group.get("now", NOW)
        if "errors" in group:
            self.check_errors([(row[0], row[1:]) for row in group["errors"]])
        if "bad" in group or "good" in group:
            self.check_errors([(fill(group["with"], v), [fill(group["place"], v)]) for v in group.get("bad", [])] +
                              [(fill(group["with"], v), []) for v in group.get("good", [])])
        messages = [{"in": i, "out": out} for i, out in group.get("to", {}).items()] + group.get("messages", [])
        if messages:
            self.check_messages(group["with"], messages, now)
        if "each" in group:
            rows = [(r[0], group["doc"], *r[1:]) if "doc" in group else r for r in group["each"]]
            for value, same in itertools.groupby(rows, key=lambda r: r[0]):
                self.check_messages(fill(group["with"], value), [{"in": r[1], "out": r[2]} for r in same], now)


class Messages(CliTest):
    """What needs payloads that a case file cannot hold."""

    def transform(self, config, payloads, *args):
        self.write("t.json", json.dumps(transformations(config)))
        stdin = b"".join((p if isinstance(p, bytes) else p.encode()) + b"\n" for p in payloads)
        return self.dataflow("transform", "-f", "t.json", *args, stdin=stdin)

    EVERY_TYPE = [
        {"timestamp": {}}, {"flatten": {"field": "a"}}, {"filter": {"condition": "!zzz"}}, {"mask": {"fields": ["zzz"]}},
        {"router": {"routes": [{"condition": "zzz", "sink": {"type": "discard"}}]}}, {"select": {"fields": ["a"]}},
        {"remove": {"fields": ["zzz"]}}, {"snakeCase": {}}, {"camelCase": {"deep": True}}, {"debeziumUnwrap": {}},
        {"replaceField": {"exclude": ["zzz"]}}, {"headersToPayload": {"mappings": ["h:a"]}}, {"structFlatten": {}},
        {"extractField": {"field": "zzz"}}, {"hoistField": {"field": "h"}}, {"cast": {"spec": {"zzz": "string"}}},
        {"timezone": {"timezone": "UTC", "fields": ["zzz"]}}, {"insertField": {"fields": {"zzz": "1"}}},
    ]

    def test_nesting(self):
        deep = ["[" * 1001 + "]" * 1001, '{"a":' * 1001 + "1" + "}" * 1001, '[{"a":' * 500 + "[]" + "}]" * 500, "[" * 1001,
                '{"a":' * 5000, "[" * 1001 + "x", "[" * 100000 + "]" * 100000]
        good = ["[" * 1000 + "]" * 1000, '[{"a":' * 499 + "[{}]" + "}]" * 499]
        for config in self.EVERY_TYPE:
            done = self.transform([config], [*deep, *good], "--errors", "e.jsonl")
            said = f"{config}: {done.err}"
            self.assertEqual(done.returncode, 0, said)
            self.assertEqual(len(done.out.splitlines()), 2, said)
            errors = self.read_jsonl("e.jsonl")
            self.assertEqual([e["index"] for e in errors], list(range(len(deep))), said)
            self.assertEqual({(e["transformer"], e["transformer_index"]) for e in errors}, {(*config, 0)}, said)
        done = self.transform([], deep)
        self.assertEqual(done.out, "".join(line + "\n" for line in deep))

    def test_nesting_in_envelopes(self):
        deepest, deeper = "[" * 1000 + "]" * 1000, "[" * 1001 + "]" * 1001
        lines = ['{"data":%s,"metadata":{"a":"}"}}' % deepest, '{"metadata":{"data":[1]}, "data" : %s }' % deeper,
                 '{"raw":"%s"}' % deepest, '{"raw":"%s"}' % deeper, '{"data":{"\\"data\\":":%s}}' % deepest[1:-1], '{"x":%s,"data":1}' % deeper]
        done = self.transform([{"remove": {"fields": ["zzz"]}}], lines, "--envelope=raw", "--errors", "e.jsonl")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual([json.loads(line) for line in done.out.splitlines()],
                         [{"raw": deepest, "metadata": {"a": "}"}}, {"raw": deepest, "metadata": {}},
                          {"raw": '{"\\"data\\":":%s}' % deepest[1:-1], "metadata": {}}])
        self.assertEqual([(e["index"], e["transformer"], e["transformer_index"]) for e in self.read_jsonl("e.jsonl")],
                         [(1, "remove", 0), (3, "remove", 0), (5, "envelope", -1)])
        done = self.transform([], lines[:3], "--envelope")
        self.assertEqual(done.out, '{"data":%s,"metadata":{"a":"}"}}\n{"raw":"%s","metadata":{"data":[1]}}\n{"data":%s,"metadata":{}}\n' %
                         (deepest, deeper, deepest))

    def test_braces_in_texts_are_no_nesting(self):
        text = '{"a":"' + "[{" * 3000 + '","z":1}'
        done = self.transform([{"remove": {"fields": ["z"]}}], [text])
        self.assertEqual((done.returncode, done.out), (0, '{"a":"' + "[{" * 3000 + '"}\n'))

    def test_not_utf8_is_not_json(self):
        bad = [b'{"a":"\xff"}', b'{"a":"\xc3"}', b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b"\xff",
               b'\xef\xbb\xbf{"a":1}', b'{"a":"\x00"}']
        for config in self.EVERY_TYPE:
            if "filter" in config:
                continue
            done = self.transform([config], bad)
            self.assertEqual((done.returncode, done.stdout), (0, b"".join(line + b"\n" for line in bad)), config)
        self.assertEqual(self.transform([{"filter": {"condition": "!zzz"}}], bad).stdout, b"")

    def test_struct_flatten_levels(self):
        def nested(levels, inner):
            return '{"k":' * (levels - 1) + inner + "}" * (levels - 1)
        config = [{"structFlatten": {}}]
        self.assertEqual(self.transform(config, [nested(64, '{"v":1}')]).out, '{"' + "k." * 63 + 'v":1}\n')
        self.assertEqual(self.transform(config, [nested(64, "{}")]).out, "{}\n")
        self.assertEqual(self.transform(config, [nested(65, "[{}]")]).out, '{"' + ".".join("k" * 64) + '":[{}]}\n')
        for inner in ('{"v":1}', "{}"):
            self.assertEqual(self.transform(config, [nested(65, inner)]).returncode, 1)

    def test_envelopes(self):
        lines = ['{"data":{"a": 1.10,"b":[1, 2]},"metadata":{"k":{"x":[1.0]}}}', '{"data":null}', '{"raw":"x\\n\\u00e9"}', '{"raw":""}',
                 '{"raw":" [1, 2] "}', '{"data":"text","metadata":{}}', '{"data":false}', '{"metadata":{"m":1},"raw":"{}"}']
        self.assertEqual(self.transform([], lines, "--envelope").out.splitlines(),
                         ['{"data":{"a":1.10,"b":[1,2]},"metadata":{"k":{"x":[1.0]}}}', '{"data":null,"metadata":{}}',
                          '{"raw":"x\\né","metadata":{}}', '{"raw":"","metadata":{}}', '{"data":[1,2],"metadata":{}}',
                          '{"data":"text","metadata":{}}', '{"data":false,"metadata":{}}', '{"data":{},"metadata":{"m":1}}'])
        self.assertEqual([json.loads(line) for line in self.transform([], lines, "--envelope=raw").out.splitlines()],
                         [{"raw": '{"a":1.10,"b":[1,2]}', "metadata": {"k": {"x": [1.0]}}}, {"raw": "null", "metadata": {}},
                          {"raw": "x\né", "metadata": {}}, {"raw": "", "metadata": {}}, {"raw": " [1, 2] ", "metadata": {}},
                          {"raw": '"text"', "metadata": {}}, {"raw": "false", "metadata": {}}, {"raw": "{}", "metadata": {"m": 1}}])

    def test_errors(self):
        config = [{"flatten": {"field": "l"}}, {"snakeCase": None}, {"cast": {"spec": {"n": "int64"}}}]
        lines = ['{"l":[{"n":1},{"n":"x"},{"n":2}]}', '{"n":null}', '{"n":5}']
        done = self.transform(config, lines, "--errors", "e.jsonl")
        self.assertEqual((done.returncode, done.out), (0, '{"n":1}\n{"n":2}\n{"n":5}\n'))
        errors = self.read_jsonl("e.jsonl")
        self.assertEqual([(e["index"], e["transformer"], e["transformer_index"]) for e in errors], [(0, "cast", 2), (1, "cast", 2)])
        for e in errors:
            self.assertEqual(list(e), ["index", "transformer", "transformer_index", "error"])
            self.assertTrue(isinstance(e["error"], str) and e["error"])
        self.assertEqual(self.transform(config, lines).returncode, 1)

    def test_errors_stand_in_the_order_of_the_input(self):
        done = self.transform([{"cast": {"spec": {"a": "bool"}}}, {"cast": {"spec": {"b": "bool"}}}],
                              ['{"b":"x"}', '{"a":"x"}', "{}", '{"b":5}', '{"a":5}'] * 200, "--errors", "e.jsonl")
        self.assertEqual((done.returncode, done.out), (0, "{}\n" * 200))
        self.assertEqual([(e["index"], e["transformer_index"]) for e in self.read_jsonl("e.jsonl")],
                         [(5 * i + k, at) for i in range(200) for k, at in ((0, 1), (1, 0), (3, 1), (4, 0))])

    def test_the_clock_has_bounds(self):
        for now in ("0007-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-01-15", "now", ""):
            self.assertEqual(self.transform([{"timestamp": {}}], ["{}"], "--now", now).returncode, 2, now)


class Places(CliTest):
    """Errors of a whole manifest, in YAML and JSON, from transform and validate."""

    def places(self, done):
        return sorted(line.partition("spec.transformations")[2].partition(": ")[0] for line in done.err.splitlines()
                      if "spec.transformations" in line and ": warning: " not in line)

    def test_manifests(self):
        bad = [{"type": "flatten", "flatten": {"field": "a..b"}}, {"type": "nope"}, {"type": "mask", "config": {"fields": [""], "x": 1}},
               {"type": "filter", "config": {"condition": "a = 1"}}, {"type": "cast", "config": {"spec": {"a.b": "int"}}}, 5,
               {"type": "router", "config": {"routes": [{"condition": "a", "sink": {"type": "sqlite", "config": {"path": 1, "table": "t"}}}]}}]
        places = ["[0].flatten.field", "[1].type", "[2].config.fields[0]", "[2].config.x", "[3].config.condition", "[4].config.spec.a.b", "[5]",
                  "[6].config.routes[0].sink.config.path"]
        flow = self.flow("generate", {"count": 1}, "discard", {}, bad)
        self.write("list.json", json.dumps(bad))
        self.write("list.yaml", yaml.safe_dump(bad, sort_keys=False))
        self.write("flow.json", json.dumps(yaml.safe_load(flow.read_text())))
        for command in (("transform", "-f", "list.json"), ("transform", "-f", "list.yaml"), ("transform", "-f", "flow.yaml"),
                        ("transform", "-f", "flow.json"), ("validate", "flow.yaml"), ("validate", "flow.json")):
            done = self.dataflow(*command, stdin="{}\n")
            self.assertEqual((done.returncode, self.places(done), done.out), (2, places, ""), f"{command}: {done.err}")

    def test_what_is_no_list(self):
        for text in ("5", '"x"', "", "{", '{"type":"mask"}', "- [", '[{"type":"timestamp"}'):
            self.write("t.json", text)
            self.assertEqual(self.dataflow("transform", "-f", "t.json", stdin="{}\n").returncode, 2, text)
        self.assertEqual(self.dataflow("transform", "-f", "missing.json", stdin="").returncode, 2)


def add_tests():
    for path in sorted(CASES.glob("*.yaml")):
        for i, group in enumerate(yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))):
            name = "".join(c if c.isalnum() else "_" for c in f"test_{path.stem}_{i:03}_{group['name']}")
            setattr(Reference, name, lambda self, group=group: self.check_group(group))


add_tests()

if __name__ == "__main__":
    unittest.main()
