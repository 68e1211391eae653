"""What the tests of programs as connectors share."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
VARIABLES = ("LOG_LEVEL", "NO_COLOR", "DATAFLOW_CONNECTOR_DIR")

MANIFEST = """apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata: {{name: flow}}
spec:
  checkpointSaveInterval: 20ms
  retry: {{initial: 10ms, connect: 50ms}}
  source: {source}
  sink: {sink}
{extra}"""


class ProgramTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)

    def env(self, programs=PROGRAMS, **extra):
        env = {k: v for k, v in os.environ.items() if k not in VARIABLES}
        # The interpreter itself, not a wrapper that takes longer to start than a test.
        env["PATH"] = os.path.dirname(os.path.realpath(sys.executable)) + ":" + env["PATH"]
        env.update(DATAFLOW_STATE_DIR=str(self.dir / "state"), DATAFLOW_USE_SUBPROCESS_CONNECTORS="1",
                   DATAFLOW_CONNECTOR_PATH=str(programs), DATAFLOW_CONNECTOR_TIMEOUT="2s", DATAFLOW_CONNECTOR_GRACE="500ms")
        env.update(extra)
        return {k: v for k, v in env.items() if v is not None}

    def dataflow(self, *args, timeout=60, **env):
        done = subprocess.run([DATAFLOW, *map(str, args)], capture_output=True, cwd=self.dir, timeout=timeout,
                              env=self.env(**env), text=True, errors="replace")
        return done

    def flow(self, source, sink, extra="", name="flow.yaml", folder=None):
        path = (folder or self.dir) / name
        path.write_text(MANIFEST.format(source=json.dumps(source), sink=json.dumps(sink), extra=extra))
        return path

    def run_flow(self, source, sink, extra="", once=True, **env):
        path = self.flow(source, sink, extra)
        if "programs" not in env:
            env["programs"] = self.only(*(c["type"] for c in (source, sink) if (PROGRAMS / ("dataflow-connector-" + c["type"])).exists()))
        return self.dataflow("run", *(["--once"] if once else []), "--progress", "none", path, **env)

    def log(self, done):
        return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]

    def ids(self, folder=None):
        path = (folder or self.dir) / "out"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def trace(self, folder=None):
        path = (folder or self.dir) / "trace"
        return path.read_text().splitlines() if path.exists() else []

    def file_sink(self):
        return {"type": "file", "config": {"path": str(self.dir / "out.jsonl")}}

    def rows(self, name="out.jsonl"):
        return [json.loads(line) for line in (self.dir / name).read_text().splitlines()]

    def only(self, *names):
        """A directory with these programs alone: fewer to ask what they are."""
        folder = self.dir / "only"
        folder.mkdir(exist_ok=True)
        for name in names:
            link = folder / ("dataflow-connector-" + name)
            if not link.exists():
                link.symlink_to(PROGRAMS / link.name)
        return folder

    def running(self, folder=None):
        """What runs of the programs that were started for this folder, also as a zombie of ours."""
        ps = subprocess.run(["ps", "-eo", "pid,ppid,stat,args"], capture_output=True, text=True).stdout
        pids = {line.split()[1] for line in self.trace(folder) if line.split()[0] in ("source", "sink")}
        return [line for line in ps.splitlines() if line.split()[0] in pids and not (line.split()[1] == "1" and line.split()[2][0] == "Z")]
