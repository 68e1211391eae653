"""Programs as connectors: found, described, run with either protocol."""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import time

from subprocess_support import DATAFLOW, PROGRAMS, ProgramTest


class Found(ProgramTest):
    def copy(self, program, folder, name=None):
        folder = self.dir / folder
        folder.mkdir(exist_ok=True)
        shutil.copy(PROGRAMS / "peer.py", folder)
        to = folder / ("dataflow-connector-" + (name or program))
        shutil.copy(PROGRAMS / ("dataflow-connector-" + program), to)
        to.chmod(0o755)
        return to

    def types(self, **env):
        done = self.dataflow("connectors", **env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {line.split()[0]: line for line in done.stdout.splitlines() if line and not line.startswith("'")}, done.stderr

    def test_only_when_it_is_allowed(self):
        self.assertNotIn("new", self.types(DATAFLOW_USE_SUBPROCESS_CONNECTORS=None)[0])
        self.assertNotIn("new", self.types(DATAFLOW_USE_SUBPROCESS_CONNECTORS="0")[0])
        types, log = self.types(DATAFLOW_USE_SUBPROCESS_CONNECTORS="true")
        self.assertIn("Rows of the tests", types["new"])
        self.assertIn("A program", types["old"])
        self.assertEqual(log, "")

    def test_working_directory_and_path_are_not_searched(self):
        self.copy("old", "connectors", "here")
        self.copy("old", "bin", "there")
        path = f"{self.dir}/bin:{os.environ['PATH']}"
        types, _ = self.types(DATAFLOW_CONNECTOR_PATH=None, PATH=path)
        self.assertFalse({"here", "there"} & set(types))
        types, _ = self.types(DATAFLOW_CONNECTOR_PATH=None, PATH=path, DATAFLOW_CONNECTOR_SEARCH="cwd, path")
        self.assertTrue({"here", "there"} <= set(types))

    def test_wrong_variables(self):
        for name, value, text in (("DATAFLOW_CONNECTOR_PATH", "connectors", "`connectors` is not absolute"),
                                  ("DATAFLOW_CONNECTOR_SEARCH", "home", "unknown place `home`"),
                                  ("DATAFLOW_CONNECTOR_TIMEOUT", "soon", "DATAFLOW_CONNECTOR_TIMEOUT"),
                                  ("DATAFLOW_CONNECTOR_LINE_BYTES", "1", "DATAFLOW_CONNECTOR_LINE_BYTES")):
            done = self.dataflow("connectors", **{name: value})
            self.assertEqual(done.returncode, 2)
            self.assertIn(text, done.stderr)

    def test_what_others_could_have_written_is_refused(self):
        program = self.copy("old", "p")
        program.chmod(0o757)
        types, log = self.types(programs=self.dir / "p")
        self.assertNotIn("old", types)
        self.assertIn("can be written by everybody", log)
        program.chmod(0o755)
        (self.dir / "p").chmod(0o777)
        self.assertNotIn("old", self.types(programs=self.dir / "p")[0])
        (self.dir / "p").chmod(0o1777)  # sticky: nobody can replace what is not theirs
        self.assertIn("old", self.types(programs=self.dir / "p")[0])
        program.chmod(0o644)
        self.assertIn("chmod +x", self.types(programs=self.dir / "p")[1])
        if os.geteuid() == 0:
            program.chmod(0o755)
            os.chown(program, 12345, -1)
            self.assertIn("belongs to another user", self.types(programs=self.dir / "p")[1])

    def test_the_first_of_a_name_wins(self):
        self.copy("old", "a", "x")
        self.copy("new", "b", "x")
        types, _ = self.types(programs=f"{self.dir}/a:{self.dir}/b:/does/not/exist")
        self.assertIn("A program", types["x"])
        types, _ = self.types(programs=f"{self.dir}/b:{self.dir}/a")
        self.assertIn("Rows of the tests", types["x"])

    def script(self, name, body):
        folder = self.dir / "scripts"
        folder.mkdir(exist_ok=True)
        path = folder / ("dataflow-connector-" + name)
        path.write_text("#!/bin/sh\n" + body)
        path.chmod(0o755)

    def test_programs_that_hang_do_not_hold_up_the_start(self):
        self.script("hangs", "exec sleep 1000\n")
        self.script("hangs2", "trap '' TERM; sleep 1000 & wait\n")
        self.script("exits", "exit 1\n")
        self.script("chatters", "while :; do echo; sleep 0.01; done\n")
        self.script("floods", "exec yes '{}'\n")
        begun = time.monotonic()
        types, log = self.types(programs=self.dir / "scripts", DATAFLOW_CONNECTOR_TIMEOUT="5s")
        self.assertLess(time.monotonic() - begun, 12)  # one after the other it is 15 and more
        self.assertTrue({"hangs", "hangs2", "exits", "chatters", "floods"} <= set(types))
        self.assertIn("does not answer `describe`", log)
        left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        self.assertNotIn(str(self.dir), left)

    def test_bad_descriptions(self):
        for name, text in (("a", '{"fields":[{"name":"x","type":"float"}]}'), ("b", '{"fields":[{"name":"0x","type":"int"}]}'),
                           ("c", '{"fields":[{"name":"x","type":"int","default":"many"}]}'), ("d", "7"),
                           ("e", '{"fields":[{"name":"x","type":"int"},{"name":"x","type":"int"}]}'),
                           ("f", '{"fields":[{"name":"x","type":"int","secret":true}]}'),
                           ("g", '{"fields":[{"name":"x","type":"string","values":[1]}]}')):
            self.script(name, "read line; echo '{\"type\":\"description\",\"protocol\":2,\"source\":%s}'\n" % text)
        self.script("z", "read line; echo '{\"type\":\"description\",\"protocol\":2}'\n")
        types, log = self.types(programs=self.dir / "scripts")
        self.assertEqual(log.count("its description cannot be used"), 8, log)
        self.assertTrue(set("abcdefgz") <= set(types))

    def test_a_role_alone(self):
        self.script("only", "read line; echo '{\"type\":\"description\",\"protocol\":2,\"sink\":{\"fields\":[]}}'\n")
        types, _ = self.types(programs=self.dir / "scripts")
        self.assertEqual(types["only"].split()[1:3], ["-", "yes"])


class Described(ProgramTest):
    def test_validate_knows_the_settings(self):
        path = self.flow({"type": "new", "config": {"rows": -1, "form": "jsn", "folderr": "x", "token": "t"}},
                         {"type": "new", "config": {"folder": "/tmp", "every": "soon", "partitions": 11}})
        done = self.dataflow("validate", path)
        self.assertEqual(done.returncode, 2)
        for text in ("source.config.folder: required", "folderr: unknown field; did you mean", "source.config.rows",
                     'did you mean "json"', "sink.config.every", "sink.config.partitions"):
            self.assertIn(text, done.stdout + done.stderr)

    def test_help_and_schema(self):
        done = self.dataflow("connectors", "new")
        self.assertIn("tokenSecretRef", done.stdout)
        self.assertIn("Rows with a **position**.", done.stdout)
        self.assertIn("batchSize", done.stdout)
        self.assertIn("SecretRef: {name, key}", self.dataflow("connectors", "old").stdout.replace("\n      ", " "))

    def test_generated_files_do_not_depend_on_programs(self):
        out = self.dir / "schema"
        out.mkdir()
        self.assertEqual(self.dataflow("generate", "schema", out).returncode, 0)
        for path in out.iterdir():
            self.assertNotIn("source.new", path.read_text())

    def test_config_arrives_typed_and_whole(self):
        config = {"folder": str(self.dir), "rows": 3, "tags": ["a"], "labels": {"x": "1"}, "extra": {"n": [1.50, None]},
                  "tokenSecretRef": {"name": "s", "key": "k"}}
        done = self.run_flow({"type": "new", "config": config}, self.file_sink(),
                             "---\nkind: Secret\nmetadata: {name: s}\nstringData: {k: 'qu\"ote'}\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        got = json.loads(self.trace()[0].split("} {", 1)[1].join(["{", ""]))
        self.assertEqual(got["token"], 'qu"ote')
        self.assertEqual((got["rows"], got["partitions"], got["every"], got["form"]), (3, 1, "1m30s", "json"))
        self.assertEqual((got["tags"], got["labels"], got["extra"]), (["a"], {"x": "1"}, {"n": [1.5, None]}))
        self.assertNotIn("say", got)
        self.assertEqual(len(self.rows()), 3)


class Both(ProgramTest):
    def test_protocol_1(self):
        done = self.run_flow({"type": "old", "config": {"rows": 1000}},
                             {"type": "old", "config": {"path": str(self.dir / "out.jsonl")}})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([row["id"] for row in self.rows()], list(range(1000)))

    def test_protocol_1_goes_on_at_its_checkpoint(self):
        for after in (False, True):
            shutil.rmtree(self.dir / "state", ignore_errors=True)
            (self.dir / "out.jsonl").unlink(missing_ok=True)
            for rows in (250, 600):
                done = self.run_flow({"type": "old", "config": {"rows": rows, "after": after}}, self.file_sink(),
                                     once=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                saved = json.loads(next((self.dir / "state").rglob("checkpoint.json")).read_text())
                if not after:
                    self.assertEqual(saved["old"], {"checkpoint": str(rows)})
            ids = [row["id"] for row in self.rows()]
            self.assertEqual(sorted(set(ids)), list(range(600)))
            # behind `done` the first one comes too late for its messages, and what it covers is read again
            self.assertLessEqual(len(ids), 600 if not after else 900)

    def test_protocol_2_source(self):
        config = {"folder": str(self.dir), "rows": 1000, "partitions": 3}
        done = self.run_flow({"type": "new", "config": config}, {"type": "new", "config": {"folder": str(self.dir)}})
        self.assertEqual(done.returncode, 0, done.stderr)
        got = self.rows("out")
        self.assertEqual(sorted(m["json"]["id"] for m in got), sorted(list(range(1000)) * 3))
        first = next(m for m in got if m["json"]["id"] == 7)
        self.assertEqual(first, {"json": {"id": 7, "n": 1.5, "s": "éé"}, "key": "k7", "headers": [["h", "v"], ["h", None]],
                                 "metadata": {"operation": "insert"}, "timestamp": "2024-01-15T10:30:00.25Z"})
        saved = json.loads(next((self.dir / "state").rglob("checkpoint.json")).read_text())
        self.assertEqual(saved["new"], {"positions": {str(p): {"row": 999} for p in range(3)}})
        acks = [json.loads(line.split(" ", 1)[1]) for line in self.trace() if line.startswith("ack")]
        last = {a["partition"]: a["position"] for ack in acks for a in ack}
        self.assertEqual(last, {str(p): {"row": 999} for p in range(3)})
        self.assertEqual(self.trace().count("close"), 2)
        config["rows"] = 1100
        done = self.run_flow({"type": "new", "config": config}, {"type": "new", "config": {"folder": str(self.dir)}})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.rows("out")), 3300)

    def test_every_form_of_payload(self):
        done = self.run_flow({"type": "new", "config": {"folder": str(self.dir), "rows": 400, "form": "all"}},
                             {"type": "new", "config": {"folder": str(self.dir)}})
        self.assertEqual(done.returncode, 0, done.stderr)
        got = self.rows("out")
        self.assertEqual(len(got), 400)
        for i, m in enumerate(got):
            form = i % 4
            if form in (0, 1):
                self.assertEqual(m["json"]["id"], i)
            elif form == 2:
                self.assertTrue(base64.b64decode(m["base64"]).startswith(b'\xff{"id":%d,' % i))
            else:
                self.assertFalse({"json", "data", "base64"} & set(m))

    def test_digits_and_key_order_survive(self):
        source = self.dir / "in.jsonl"
        line = '{"z":1.10,"a":123456789012345678901234567890,"n":1e400,"k":{"b":1,"a":2}}'
        source.write_text(line + "\n")
        script = self.dir / "p" / "dataflow-connector-raw"
        script.parent.mkdir()
        script.write_text("#!/bin/sh\nwhile read -r line; do case $line in *describe*) exit 0;; *init*) echo '{\"type\":\"ready\",\"protocol\":2}';;"
                          " *write*) printf '%s\\n' \"$line\" >%s/raw; echo '{\"type\":\"done\",\"batch\":1}';;"
                          " *connect*) echo '{\"type\":\"ready\"}';; *close*) exit 0;; esac; done\n" % ("%s", self.dir))
        script.chmod(0o755)
        done = self.run_flow({"type": "file", "config": {"path": str(source)}}, {"type": "raw", "config": {"any": 1}},
                             programs=script.parent)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('"messages":[{"json":' + line, (self.dir / "raw").read_text())

    def test_single_poison_messages(self):
        (self.dir / "in.jsonl").write_text("".join(
            json.dumps({"id": i, "poison": i in (0, 500, 999)}) + "\n" for i in range(1000)))
        done = self.run_flow({"type": "file", "config": {"path": str(self.dir / "in.jsonl")}},
                             {"type": "new", "config": {"folder": str(self.dir), "batchSize": 1000}},
                             "  errors: {type: file, config: {path: %s/errors.jsonl}}\n" % self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([m["json"]["id"] for m in self.rows("out")], [i for i in range(1000) if i not in (0, 500, 999)])
        errors = self.rows("errors.jsonl")
        self.assertEqual([e["original_message"]["id"] for e in errors], [0, 500, 999])
        self.assertEqual(errors[1]["error"]["type"], "constraint_violation")
        self.assertEqual(errors[1]["error"]["message"], "row 500 is poison")

    def test_protocol_1_cannot_say_bytes(self):
        done = self.run_flow({"type": "new", "config": {"folder": str(self.dir), "rows": 8, "form": "all"}},
                             {"type": "old", "config": {"path": str(self.dir / "out.jsonl")}},
                             "  errors: {type: file, config: {path: %s/errors.jsonl}}\n" % self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([json.loads(line)["id"] for line in (self.dir / "out.jsonl").read_text().splitlines() if line],
                         [0, 1, 4, 5])
        errors = self.rows("errors.jsonl")
        self.assertEqual([e["error"]["type"] for e in errors], ["invalid_data"] * 2)
        self.assertTrue(all("original_data_base64" in e["original_message"] for e in errors))

    def test_instead_of_what_is_built_in(self):
        folder = self.dir / "p"
        folder.mkdir()
        shutil.copy(PROGRAMS / "peer.py", folder)
        text = (PROGRAMS / "dataflow-connector-old").read_text()
        (folder / "dataflow-connector-file").write_text(text)
        (folder / "dataflow-connector-file").chmod(0o755)
        path = str(self.dir / "program.jsonl")
        done = self.run_flow({"type": "generate", "config": {"count": 5, "template": '{"id": 1}'}},
                             {"type": "file", "config": {"path": path}}, programs=folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.rows("program.jsonl")), 5)
        # its settings are still the built-in type's
        done = self.run_flow({"type": "generate", "config": {"count": 5, "template": '{"id": 1}'}},
                             {"type": "file", "config": {"path": path, "nonsense": 1}}, programs=folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("nonsense", done.stderr)


if __name__ == "__main__":
    import unittest
    unittest.main()
