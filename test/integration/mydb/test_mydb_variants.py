"""The conformance suite's rules on broken connections are tested: the worked example with one thing wrong in how it deals with its
server must fail the rule that is named for it. (What needs no server to go wrong: test/conformance/mutants.)"""
import concurrent.futures
import dataclasses
import json
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import unittest

from mydb_kit import DATAFLOW, REDIS, ROOT, redis, services, start

EXAMPLE = ROOT / "examples/connector-mydb"
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread", "-g", "-O1", "-w", f"-I{ROOT}/src/dataflow",
         f"-I{ROOT}/src"]


@dataclasses.dataclass(frozen=True)
class Variant:
    name: str
    rules: tuple  # each must fail
    doc: str
    file: str
    changes: tuple  # (old, new) ...: a text that stands exactly once in the file, and what takes its place


def variant(name, rules, doc, file, *changes):
    return Variant(name, tuple(rules.split()), doc, file, changes)


WAIT = "df_context_wait_fd(ctx, c->redis->fd"
ANSWERS = """		code = mydb_receive(s->client, ctx, MYDB_SILENCE_MS, &results, err);
		if (code != 0)
			return code;
"""

VARIANTS = [
    variant("loss-is-the-end", "source.cut source.reset source.restart", "read takes a lost connection for the end of the stream.",
            "source.c",
            ("		if (empty)\n", "		if (code == DF_ERR_CONNECTION)\n			return 0;\n		if (empty)\n")),
    variant("loss-is-fatal", "source.cut source.reset sink.cut-request sink.cut-between",
            "A lost connection is an error that asks for no other try.", "client.c",
            ("DF_ERR_NO_MEMORY : DF_ERR_CONNECTION;", "DF_ERR_NO_MEMORY : DF_ERR_UNKNOWN;")),
    variant("loss-is-poison", "sink.cut-request sink.reset-answer", "A lost connection is taken for the fault of the messages.", "sink.c",
            (ANSWERS, ANSWERS.replace("return code;", "return df_error_set(err, DF_ERR_INVALID_DATA, \"refused\");"))),
    variant("sent-is-confirmed", "sink.cut-request sink.reset-request sink.cut-between sink.restart",
            "Messages are confirmed once they were sent.", "sink.c",
            (ANSWERS, ANSWERS.replace("return code;", "return 0;"))),
    variant("queued-is-confirmed", "sink.cut-request", "Messages are confirmed before the transaction was.", "sink.c",
            (ANSWERS, ANSWERS.replace("return code;", "return i > count ? 0 : code;"))),
    variant("wait-without-context", "sink.stalled sink.cancel-stalled source.stalled",
            "A wait for the server ends with nothing but its answer.", "client.c",
            (WAIT, "df_context_wait_fd(NULL, c->redis->fd")),
    variant("write-without-own-context", "sink.close-stalled", "write waits on the caller's context alone, so close waits for the server.",
            "sink.c", ("receive_all(s, call.ctx, ", "receive_all(s, ctx, ")),
    variant("read-without-own-context", "source.close-stalled", "read waits on the caller's context alone, so close waits for the server.",
            "source.c", ("read_entries(s, partition, call.ctx, ", "read_entries(s, partition, caller, ")),
    variant("commit-asks", "source.commit-stalled", "commit asks the server.", "source.c",
            ("	if (count == 0)\n		return 0;\n",
             "	df_cleanup(mydb_disconnectp) struct mydb_client *asked = NULL;\n"
             "	(void)!mydb_connect(source_of(source)->settings->connection_string.value, NULL, &asked, err);\n"
             "	if (count == 0)\n		return 0;\n")),
    variant("impatient", "sink.delayed source.delayed", "A server that is slow is taken for one that is gone.", "client.h",
            ("#define MYDB_SILENCE_MS 10000", "#define MYDB_SILENCE_MS 20")),
    variant("keeps-what-it-sent", "sink.slow", "A copy of every write stays.", "sink.c",
            ("	size_t count = 0;\n	int code = df_base_use(&s->base, ctx, &call, err);\n",
             "	size_t count = 0;\n	int code = df_base_use(&s->base, ctx, &call, err);\n"
             "	for (size_t i = 0; i < w->count; i++)\n"
             "		(void)!df_str_dup(w->messages[i]->payload);\n")),
]

WHOLE = Variant("whole", tuple(sorted({rule for v in VARIANTS for rule in v.rules})), "", "client.c", ())
outcomes = {}  # by name: the verdicts and the suite's output, or why there are none


def build(folder, v):
    home = folder / v.name
    shutil.copytree(EXAMPLE, home)
    text = (home / v.file).read_text()
    for old, new in v.changes:
        if text.count(old) != 1:
            raise RuntimeError(f"{v.name}: this stands {text.count(old)} times in {v.file}:\n{old}")
        text = text.replace(old, new)
    (home / v.file).write_text(text)
    hiredis = subprocess.run(["pkg-config", "--cflags", "--libs", "hiredis"], capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["gcc", *FLAGS, "-o", home / "mydb.so", *sorted(home.glob("*.c")), *shlex.split(hiredis)], capture_output=True,
                          text=True)
    if done.returncode:
        raise RuntimeError(f"{v.name}: {done.stderr}")
    return home / "mydb.so"


def examine(folder, v):
    service = services.SCRIPTS / "redis"
    report = folder / f"{v.name}.json"
    done = subprocess.run([DATAFLOW, "connector", "test", "--against", build(folder, v), "--quick", "--report", report,
                           "--patience", "10" if v is WHOLE else "1",
                           "--server", f"127.0.0.1:{REDIS['REDIS_PORT']}", "--restart", f"{service} stop && {service} start",
                           *(part for rule in v.rules for part in ("--rule", rule)), EXAMPLE / "conformance.yaml"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout)
    return {rule["rule"]: rule["verdict"] for rule in json.loads(report.read_text())["rules"]}, done.stdout


def setUpModule():
    """Those that wait for a silent server wait side by side; those that restart it run alone."""
    start()
    with tempfile.TemporaryDirectory() as folder:
        alone = [v for v in [*VARIANTS, WHOLE] if any(rule.endswith(".restart") for rule in v.rules)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            pending = {v.name: pool.submit(examine, pathlib.Path(folder), v) for v in VARIANTS if v not in alone}
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pending |= {v.name: pool.submit(examine, pathlib.Path(folder), v) for v in alone}
    redis("flushall")
    for name, future in pending.items():
        outcomes[name] = ({}, repr(future.exception())) if future.exception() else future.result()


class Variants(unittest.TestCase):
    def check(self, v, verdict):
        verdicts, output = outcomes[v.name]
        self.assertEqual(verdicts, {rule: verdict for rule in v.rules}, f"{v.doc}\n{output}")

    def test_the_example_as_it_is(self):
        self.check(WHOLE, "pass")


for each in VARIANTS:
    setattr(Variants, "test_" + each.name.replace("-", "_"), lambda self, v=each: self.check(v, "fail"))

if __name__ == "__main__":
    unittest.main()
