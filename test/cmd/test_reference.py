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


def add_tests():
    for path in sorted(CASES.glob("*.yaml")):
        for i, group in enumerate(yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))):
            name = "".join(c if c.isalnum() else "_" for c in f"test_{path.stem}_{i:03}_{group['name']}")
            setattr(Reference, name, lambda self, group=group: self.check_group(group))


add_tests()

if __name__ == "__main__":
    unittest.main()
