"""A pipeline that runs beside the test, which waits for what it says before it does the next thing.

    running = Running([DATAFLOW, "run", "flow.yaml"], cwd=self.dir)
    self.addCleanup(running.kill)
    running.wait_log("connection refused")
    status, seconds = running.stop()
"""
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from waiting import wait_until  # noqa: E402,F401  who imports this wants both


class Running:
    """Its log is read meanwhile."""

    def __init__(self, command, cwd, env=None):
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace", cwd=cwd, env=env)
        self.log = []
        self._reader = threading.Thread(target=lambda: self.log.extend(iter(self.process.stderr.readline, "")), daemon=True)
        self._reader.start()

    def text(self):
        return "".join(self.log)

    def wait_log(self, pattern, seconds=60):
        """Returns the log once it has the pattern."""
        end = time.monotonic() + seconds
        while True:
            over = time.monotonic() > end or not self._reader.is_alive()
            if re.search(pattern, self.text()):
                return self.text()
            if over:
                raise AssertionError(f"{pattern} is not in the log:\n{self.text()}")
            time.sleep(0.02)

    def wait(self, seconds=60):
        """Until it ends by itself; its exit status."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it does not end:\n{self.text()}") from None
        self._close()
        return status

    def stop(self, how=signal.SIGTERM, seconds=60):
        """Returns the exit status and how long it took."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.wait(seconds), time.monotonic() - started

    def kill(self):
        """For the end of a test."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._close()

    def _close(self):
        self._reader.join(5)
        self.process.stderr.close()
