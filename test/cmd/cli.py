"""What the command line tests share: running the program in a folder of its own."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))

MANIFEST = """apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata:
  name: {name}
spec:
  source:
    type: {source}
    config: {source_config}
  transformations: {transformations}
  sink:
    type: {sink}
    config: {sink_config}
"""


class CliTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)

    def env(self, **extra):
        env = {k: v for k, v in os.environ.items() if k not in ("LOG_LEVEL", "NO_COLOR")}
        return dict(env, DATAFLOW_STATE_DIR=str(self.dir / "state"), **extra)

    def dataflow(self, *args, stdin=None, cwd=None, timeout=60, env=None, **kwargs):
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run([DATAFLOW, *map(str, args)], input=data, capture_output="stdout" not in kwargs,
                              cwd=cwd or self.dir, timeout=timeout, env=self.env(**(env or {})),
                              **({"stderr": subprocess.PIPE, **kwargs} if "stdout" in kwargs else kwargs))
        done.out = (done.stdout or b"").decode(errors="replace")
        done.err = (done.stderr or b"").decode(errors="replace")
        return done

    def write(self, name, data):
        path = self.dir / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def flow(self, source, source_config, sink, sink_config, transformations=(), name="flow", extra=""):
        text = MANIFEST.format(name=name, source=source, source_config=json.dumps(source_config), sink=sink,
                               sink_config=json.dumps(sink_config), transformations=json.dumps(list(transformations)))
        return self.write("flow.yaml", text + extra)

    def jsonl(self, name, rows):
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def read_jsonl(self, name):
        return [json.loads(line) for line in (self.dir / name).read_text().splitlines()]

    def summary(self, done):
        """The JSON summary of `run --progress json`."""
        return next(json.loads(line) for line in done.err.splitlines() if line.startswith('{"summary"'))
