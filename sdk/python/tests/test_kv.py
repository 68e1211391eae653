"""The example: documents by key in an SQLite file."""
from peer import KV, Peer


def rows(path, **options):
    with Peer(KV) as peer:
        peer.start("source", {"path": str(path)}, once=True, **options)
        return peer.read()[0]


def test_what_the_sink_wrote_the_source_reads(tmp_path):
    store = tmp_path / "store.db"
    with Peer(KV) as peer:
        peer.start("sink", {"path": str(store)})
        done = peer.ask("write", batch=1, messages=[{"json": {"id": 1, "a": "x"}}, {"data": "no JSON"}, {"json": {"a": 1}}, {"json": {"id": 2}}])
        assert [(one["index"], one["code"]) for one in done["failed"]] == [(1, "invalid_data"), (2, "invalid_data")]
        assert peer.ask("write", batch=2, messages=[{"json": {"id": 1, "a": "y"}}]) == {"type": "done", "batch": 2}
        assert peer.end() == 0
    assert rows(store) == [{"json": {"id": 2}, "position": 2}, {"json": {"id": 1, "a": "y"}, "position": 3}]
    assert rows(store, positions=[{"partition": "", "position": 2}]) == [{"json": {"id": 1, "a": "y"}, "position": 3}]


def test_a_write_that_was_not_answered_is_all_or_nothing(tmp_path):
    store = tmp_path / "store.db"
    with Peer(KV) as peer:
        peer.start("sink", {"path": str(store)})
        peer.send("write", batch=1, messages=[{"json": {"id": n}} for n in range(5000)])
        peer.process.kill()
    assert len(rows(store, positions=[])) in (0, 1000)


def test_it_is_as_short_as_is_said():
    assert sum(1 for line in KV.read_text().splitlines() if line.strip()) <= 40


def test_a_person_who_starts_it_is_told_what_it_is():
    import pty, os, subprocess, sys
    from peer import ROOT
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, str(KV)], stdin=theirs, capture_output=True, env={"PYTHONPATH": str(ROOT)}, timeout=10)
    os.close(ours), os.close(theirs)
    assert done.returncode == 1 and b"type: kv" in done.stderr
