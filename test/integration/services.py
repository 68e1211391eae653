"""Real servers for the tests: starts them with test/services/NAME and stops them when another is needed or the tests end.

    def setUpModule():
        global PG
        PG = services.use("postgresql")        # a dict of what `test/services/postgresql env` prints

Memory and processors are few, so a server that is not asked for is stopped: services.use("kafka", "postgresql") keeps both.
A server that cannot be started is an error of the module; only outside CI and without the means (no root, no network) it may be a
skip, which says why.
"""
import atexit
import os
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCRIPTS = ROOT / "test" / "services"
_running = []
# What earlier runs left there stands in the way: a broker opens the log of every partition when it starts, and a node takes 40 pods.
_begin_empty = ["kafka", "kubernetes"]


def script(name, verb, env=None):
    """Runs a service script; returns what it prints, raises with its last words."""
    done = subprocess.run([SCRIPTS / name, verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, **(env or {})), timeout=1200)
    if done.returncode:
        raise RuntimeError(f"test/services/{name} {verb}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def environment(name):
    """What `env` prints, as a dict."""
    return dict(line.split("=", 1) for line in script(name, "env").splitlines() if "=" in line)


def use(*names):
    """Starts these servers, stops all others of ours, and returns one dict with the variables of all."""
    for name in [n for n in _running if n not in names]:
        stop(name)
    result = {}
    for name in names:
        if name not in _running:
            try:
                if name in _begin_empty:
                    script(name, "clean")
                    _begin_empty.remove(name)
                script(name, "start")
            except RuntimeError as error:
                if os.environ.get("CI") or os.geteuid() == 0:
                    raise
                raise unittest.SkipTest(str(error)) from None
            _running.append(name)
        result.update(environment(name))
    return result


def stop(name):
    script(name, "stop")
    if name in _running:
        _running.remove(name)


@atexit.register
def _stop_all():
    for name in list(_running):
        try:
            stop(name)
        except (RuntimeError, subprocess.TimeoutExpired):
            pass
