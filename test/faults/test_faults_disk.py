"""A full disk under the checkpoint, under the sink and under the error sink: told, kept, and over when there is room again."""
import os
import resource
import subprocess
import time
import unittest

from faultcase import FaultCase


class FullDisk(FaultCase):
    def small_disk(self, name, kib=64):
        """A folder with so much room; skipped where no file system can be mounted."""
        folder = self.dir / name
        folder.mkdir(parents=True)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", folder],
                                               capture_output=True).returncode:
            self.skipTest("mounting a small file system needs root; the test with RLIMIT_FSIZE runs without")
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        return folder

    def fill(self, folder):
        with open(folder / "ballast", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass

    def test_checkpoint(self):
        state = self.small_disk("state")
        self.rows(20_000)
        self.flow(source={"type": "file", "config": {"path": str(self.dir / "in.jsonl"), "follow": True}},
                  sink=self.sqlite(columns="id INTEGER"), checkpointSaveInterval="20ms")
        (state / "default/flow").mkdir(parents=True)
        (state / "default/flow/lock").touch()
        self.fill(state)
        self.start()
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") == 20_000)
        self.wait_for(lambda: self.value("dataflow_checkpoint_saves_total", status="error") > 0)
        self.assertIn("ENOSPC", self.log())
        time.sleep(0.3)  # nothing moves any more
        (state / "ballast").unlink()
        self.wait_for(lambda: self.value("dataflow_checkpoint_saves_total", status="success") > 0)
        self.process.kill()
        self.process.wait()
        self.assert_all(20_000)
        self.start()
        self.wait_for(lambda: self.value("dataflow_status", phase="Running") == 1)
        self.assertEqual(self.value("dataflow_messages_received_total"), 0)
        self.stop()
        self.assertTrue((state / "default/flow/checkpoint.json").exists())

    def test_checkpoint_that_is_full_to_the_end(self):
        """The rows stand in the sink; that they will be read again is an error of the run."""
        state = self.small_disk("state")
        (state / "default/flow").mkdir(parents=True)
        (state / "default/flow/lock").touch()
        self.fill(state)
        self.rows(1000)
        self.flow()
        self.run_flow(code=1)
        self.assertIn("cannot save checkpoint", self.err)
        (state / "ballast").unlink()
        self.run_flow()
        self.assert_all(1000)

    def full_then_room(self, sink, errors=None):
        self.rows(20_000)
        self.flow(sink=sink, errors=errors, checkpointSaveInterval="20ms",
                  transformations=[{"type": "cast", "config": {"spec": {"id": "bool"}}}] if errors else ())
        self.start()
        self.wait_for(lambda: "ENOSPC" in self.log() or "disk is full" in self.log())
        return self.process

    def test_file_sink(self):
        disk = self.small_disk("disk", 128)
        self.fill(disk)
        self.full_then_room(self.file("disk/out.jsonl"))
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
        self.ends(60)
        self.assert_all(20_000, "disk/out.jsonl", doubled=True)

    def test_sqlite_sink(self):
        disk = self.small_disk("disk", 256)
        sink = self.sqlite("disk/out.db", upsertMode=True, conflictKey="id")
        self.fill(disk)
        self.full_then_room(sink)
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
        self.ends(60)
        self.assert_all(20_000, "disk/out.db")

    def test_error_sink(self):
        disk = self.small_disk("disk", 128)
        self.fill(disk)
        self.full_then_room(self.sqlite(), errors=self.file("disk/errors.jsonl"))
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
        summary = self.ends(60)
        self.assert_adds_up(summary)
        self.assertEqual({r["original_message"]["id"] for r in self.records("disk/errors.jsonl")} |
                         set(self.stored()), set(range(20_000)))

    def test_a_file_that_may_not_grow(self):
        """RLIMIT_FSIZE: an error and an exit code, no signal; what was confirmed stays."""
        self.rows(20_000)
        self.flow(sink=self.file(), checkpointSaveInterval="20ms")
        self.start("--grace", "1", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)))
        self.wait_for(lambda: "EFBIG" in self.log() or "File too large" in self.log())
        self.process.kill()
        self.process.wait()
        self.run_flow()
        self.assert_all(20_000, "out.jsonl", doubled=True)


if __name__ == "__main__":
    unittest.main()
