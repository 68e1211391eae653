"""Help, usage errors, exit codes, and the commands that run nothing."""
import os
import signal
import subprocess
import time

from cli import DATAFLOW, ROOT, CliTest

COMMANDS = ["run", "up", "cron", "transform", "validate", "explain", "connectors", "transformations", "connector new", "connector test", "generate", "processor", "sleep", "completion", "version"]


class Help(CliTest):
    def test_main_help_lists_every_command(self):
        done = self.dataflow("--help")
        self.assertEqual(done.returncode, 0)
        for command in COMMANDS:
            self.assertRegex(done.out, rf"(?m)^  {command} ")

    def test_every_command_has_help_with_an_example_and_exit_codes(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                done = self.dataflow(*command.split(), "--help")
                self.assertEqual(done.returncode, 0)
                self.assertEqual(done.err, "")
                self.assertIn("Usage: dataflow " + command, done.out)
                self.assertIn("Examples:\n  ", done.out)
                self.assertIn("Exit codes: 0 done, 1 failed, 2 bad usage or manifest", done.out)

    def test_no_command_is_a_usage_error(self):
        self.assertEqual(self.dataflow().returncode, 2)

    def test_unknown_command_names_the_near_one(self):
        done = self.dataflow("vaildate")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'validate'?", done.err)

    def test_commands_of_two_words(self):
        for asked, code in ((["connector"], 2), (["connector", "--help"], 0), (["help", "connector"], 0)):
            done = self.dataflow(*asked)
            self.assertEqual(done.returncode, code, asked)
            self.assertRegex(done.out + done.err, r"(?m)^Usage: dataflow connector COMMAND", asked)
            self.assertRegex(done.out + done.err, r"(?m)^  connector test ", asked)
        self.assertEqual(self.dataflow("help", "connector", "test").out, self.dataflow("connector", "test", "-h").out)
        for wrong in (["connector", "tset"], ["help", "connector", "tset"]):
            done = self.dataflow(*wrong)
            self.assertEqual(done.returncode, 2)
            self.assertIn("unknown command 'connector tset'; did you mean 'connector test'?", done.err)
        self.assertIn("did you mean 'connector'?", self.dataflow("conector").err)
        self.assertIn("dataflow connector test: unknown option --rul; did you mean --rule?",
                      self.dataflow("connector", "test", "--rul", "x", "flow.yaml").err)

    def test_unknown_option_names_the_near_one(self):
        done = self.dataflow("run", "--stat-dir", "x", "f")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean --state-dir?", done.err)

    def test_option_without_value_and_bad_choice_and_bad_number(self):
        self.assertIn("--state-dir needs a value", self.dataflow("run", "f", "--state-dir").err)
        self.assertIn("'loud' is not one of auto, plain, json, none", self.dataflow("run", "--progress", "loud", "f").err)
        self.assertIn("'-1' is not a whole number", self.dataflow("run", "--limit", "-1", "f").err)

    def test_missing_and_too_many_operands(self):
        self.assertEqual(self.dataflow("run").returncode, 2)
        self.assertEqual(self.dataflow("run", "a", "b").returncode, 2)

    def test_version(self):
        self.assertRegex(self.dataflow("version").out, r"^dataflow \d+\.\d+\.\d+\n$")
        self.assertEqual(self.dataflow("--version").out, self.dataflow("version").out)

    def test_completion_scripts_are_valid_shell_and_know_every_command(self):
        for shell in ("bash", "zsh", "fish"):
            done = self.dataflow("completion", shell)
            self.assertEqual(done.returncode, 0)
            for command in COMMANDS:
                for word in command.split():
                    self.assertIn(word, done.out)
        checked = subprocess.run(["bash", "-n"], input=self.dataflow("completion", "bash").stdout, capture_output=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertEqual(self.dataflow("completion", "tcsh").returncode, 2)

    def test_bash_completion_completes(self):
        script = self.dataflow("completion", "bash").out + """
COMP_WORDS=(dataflow run --dry); COMP_CWORD=2; _dataflow; echo "${COMPREPLY[@]}"
COMP_WORDS=(dataflow connectors sqli); COMP_CWORD=2; _dataflow; echo "${COMPREPLY[@]}"
COMP_WORDS=(dataflow connector te); COMP_CWORD=2; _dataflow; echo "${COMPREPLY[@]}"
COMP_WORDS=(dataflow connector test --list); COMP_CWORD=3; _dataflow; echo "${COMPREPLY[@]}"
"""
        done = subprocess.run(["bash"], input=script, capture_output=True, text=True)
        self.assertEqual(done.stdout.split(), ["--dry-run", "sqlite", "test", "--list-rules"])


class Sleep(CliTest):
    def test_waits_and_ends_early_when_told(self):
        begun = time.monotonic()
        self.assertEqual(self.dataflow("sleep", "0.3").returncode, 0)
        self.assertGreaterEqual(time.monotonic() - begun, 0.3)
        process = subprocess.Popen([DATAFLOW, "sleep", "30"], stderr=subprocess.PIPE)
        with open(f"/proc/{process.pid}/status") as status:
            while "SigBlk:\t0000000000000000" in status.read():
                status.seek(0)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.communicate(timeout=10), (None, b""))
        self.assertEqual(process.returncode, 0)

    def test_what_is_no_number_of_seconds(self):
        for wrong in ("x", "-- -1", "5s", "nan", "inf"):
            self.assertEqual(self.dataflow("sleep", *wrong.split()).returncode, 2, wrong)
        self.assertIn("'5s' is not a number of seconds", self.dataflow("sleep", "5s").err)


class Links(CliTest):
    """What the images of the original call it by."""

    def test_processor(self):
        os.symlink(os.path.abspath(DATAFLOW), self.dir / "processor")
        done = subprocess.run([self.dir / "processor", "--help"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout, self.dataflow("processor", "--help").out)
        self.write("spec.json", '{"source":{"type":"generate","config":{"count":3,"template":"{}"}},"sink":{"type":"file","config":{"path":"o.jsonl"}}}')
        done = subprocess.run([self.dir / "processor", "--spec-path=spec.json", "--namespace=n", "--name=f", "--once", "--metrics=none"],
                              cwd=self.dir, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.read_jsonl("o.jsonl")), 3)


class Types(CliTest):
    def test_connectors_lists_all_and_tells_what_is_built(self):
        out = self.dataflow("connectors").out
        for name in ("kafka", "postgresql", "clickhouse", "trino", "sqlite", "file", "stdin", "stdout", "generate", "discard"):
            self.assertRegex(out, rf"(?m)^{name} ")
        self.assertRegex(out, r"(?m)^file +yes +yes ")
        self.assertRegex(out, r"(?m)^stdin +yes +- ")

    def test_one_connector_shows_fields_of_both_sides(self):
        out = self.dataflow("connectors", "sqlite").out
        for field in ("path", "pollInterval", "conflictKey", "upsertMode"):
            self.assertIn(field, out)

    def test_unknown_connector_names_the_near_one(self):
        done = self.dataflow("connectors", "sqllite")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'sqlite'?", done.err)

    def test_transformations(self):
        out = self.dataflow("transformations").out
        self.assertEqual(len(out.split("\n\n")[0].splitlines()), 19)
        self.assertIn("condition", self.dataflow("transformations", "filter").out)
        self.assertEqual(self.dataflow("transformations", "fliter").returncode, 2)


class Validate(CliTest):
    def test_valid(self):
        done = self.dataflow("validate", ROOT / "examples/earthquakes/flow.yaml")
        self.assertEqual(done.returncode, 0)
        self.assertIn("DataFlow earthquakes is valid: file -> 5 transformations -> sqlite", done.out)

    def test_every_error_with_file_line_and_path(self):
        self.write("bad.yaml", """apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata:
  name: bad
spec:
  source:
    type: kafak
    config: {}
  transformations:
    - type: filter
      config:
        condtion: a == 1
    - type: timezone
      config:
        timezone: Mars/Olympus
        fields: [at]
  sink:
    type: sqlite
    config:
      path: x.db
      table: t
      batchSize: -1
""")
        done = self.dataflow("validate", "bad.yaml")
        self.assertEqual(done.returncode, 2)
        lines = done.err.splitlines()
        self.assertTrue(any(line.startswith("bad.yaml:7: spec.source.type: ") and "kafka" in line for line in lines), lines)
        self.assertTrue(any(line.startswith("bad.yaml:12: spec.transformations[0].config.condtion: ") and "condition" in line
                            for line in lines), lines)
        self.assertTrue(any(line.startswith("bad.yaml:22: spec.sink.config.batchSize: ") for line in lines), lines)

    def test_what_only_compiling_finds(self):
        self.flow("stdin", {}, "stdout", {}, [{"type": "filter", "config": {"condition": "a == "}}])
        done = self.dataflow("validate", "flow.yaml")
        self.assertEqual(done.returncode, 2)
        self.assertIn("spec.transformations[0].config.condition: ", done.err)

    def test_missing_file_directory_and_broken_yaml(self):
        self.assertEqual(self.dataflow("validate", "nowhere.yaml").returncode, 2)
        self.assertEqual(self.dataflow("validate", ".").returncode, 2)
        self.write("broken.yaml", "kind: DataFlow\nspec:\n  source: [\n")
        done = self.dataflow("validate", "broken.yaml")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.err, r"broken\.yaml:\d+")

    def test_both_forms_and_a_server_connector_without_driver(self):
        self.write("k.yaml", """apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata: {name: k}
spec:
  source:
    type: kafka
    kafka: {brokers: ["localhost:9092"], topic: t, consumerGroup: g}
  sink:
    type: postgresql
    config: {connectionString: "postgres://u:p@h/db", table: t}
""")
        done = self.dataflow("validate", "k.yaml")
        self.assertEqual(done.returncode, 0, done.err)


class Closed(CliTest):
    def test_closed_stdout_is_said(self):
        for command in (["--help"], ["connectors"], ["completion", "bash"]):
            with open("/dev/full", "w") as full:
                done = self.dataflow(*command, stdout=full)
            self.assertEqual(done.returncode, 1, command)
            self.assertIn("cannot write to standard output", done.err)


class Binary(CliTest):
    def test_help_needs_no_home_and_no_state(self):
        done = subprocess.run([DATAFLOW, "--help"], env={}, capture_output=True)
        self.assertEqual(done.returncode, 0)
