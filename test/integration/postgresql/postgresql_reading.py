"""What the tests of the PostgreSQL source share beside postgresql_kit: reading into a file."""
import json

from postgresql_kit import PG, PostgresTest

# What a message's metadata says, as members of the row.
SHOW_METADATA = [{"type": "insertField", "config": {"fields": {
    "_table": "${metadata.table}", "_operation": "${metadata.operation}", "_id": "${metadata.id}"}}}]


class SourceTest(PostgresTest):
    def source(self, table="t", url=None, **config):
        if table:
            config["table"] = table
        return {"type": "postgresql", "config": {"connectionString": url or PG["POSTGRESQL_URL"], **config}}

    def file_flow(self, table="t", url=None, metadata=False, spec=None, **config):
        sink = {"type": "file", "config": {"path": str(self.dir / "out.jsonl")}}
        return self.flow(sink, self.source(table, url, **config), SHOW_METADATA if metadata else (), **(spec or {}))

    def text_read(self, *args, keep=False, log=None, **config):
        """The lines that one run to the end of the source gives. log: what its log must say."""
        out = self.dir / "out.jsonl"
        out.unlink(missing_ok=True)
        done = self.run_flow(self.file_flow(**config), "--once", *args, keep=keep)
        self.assertEqual(done.returncode, 0, done.stderr)
        if log:
            self.assertRegex(done.stderr, log)
        return out.read_text().splitlines() if out.exists() else []

    def read(self, *args, **config):
        """The same, parsed; numbers with a point or an exponent stay texts."""
        return [json.loads(line, parse_float=str) for line in self.text_read(*args, **config)]

    def ids(self, *args, **config):
        return [row["id"] for row in self.read(*args, **config)]

    def fail(self, message=None, *args, **config):  # noqa: A003 - a run that must fail, or unittest's own
        if not config:
            return super().fail(message)
        done = self.run_flow(self.file_flow(**config), "--once")
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def start(self, *args, keep=False, **config):
        return self.begin(self.file_flow(**config), *args, keep=keep)

    def out_ids(self):
        return [row["id"] for row in self.lines("out.jsonl")]

    def checkpoint_file(self):
        return next((self.dir / f"state{self.runs}").rglob("checkpoint.json"))

    def checkpoint(self):
        return json.loads(self.checkpoint_file().read_text(), parse_float=str)["postgresql"]

    def set_checkpoint(self, value):
        """Begins a new state with this one; read with keep=True."""
        self.ids()  # makes the file
        self.checkpoint_file().write_text(json.dumps({"postgresql": value}))
