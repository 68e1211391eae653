"""Independent implementations from PyPI to check ours against: fetched once into the user's cache, not installed.

    peers.need("confluent-kafka==2.16.1", "fastavro==1.13.1")
    import confluent_kafka
"""
import hashlib
import os
import pathlib
import subprocess
import sys
import unittest

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "dataflow"


def need(*packages):
    """Makes these importable. Without the network: an error in CI, elsewhere a skip that says why."""
    name = hashlib.sha1(" ".join((sys.version, *sorted(packages))).encode()).hexdigest()[:12]
    folder = CACHE / f"python-{name}"
    if not (folder / ".complete").exists():
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore",
                               "--only-binary=:all:", "--target", folder, *packages],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if done.returncode:
            why = f"pip cannot fetch {', '.join(packages)}: {done.stdout.strip()[-500:]}"
            if os.environ.get("CI"):
                raise RuntimeError(why)
            raise unittest.SkipTest(why)
        (folder / ".complete").touch()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
