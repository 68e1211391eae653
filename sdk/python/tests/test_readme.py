"""The program in the README does what it says."""
import re

from peer import ROOT, Peer


def readme_program(folder):
    path = folder / "dataflow-connector-lines"
    path.write_text(re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1])
    return path


def test_lines_are_written_and_read_on_from_where_they_stood(tmp_path):
    lines = {"path": str(tmp_path / "lines.txt")}
    with Peer(readme_program(tmp_path)) as peer:
        peer.start("sink", lines)
        assert peer.ask("write", batch=1, messages=[{"data": "a"}, {"data": "b\n"}, {"json": {"c": 1.0}}])["failed"][0]["index"] == 1
        assert peer.end() == 0
    with Peer(readme_program(tmp_path)) as peer:
        peer.start("source", lines, once=True)
        messages, _ = peer.read(limit=1)
        assert messages == [{"data": "a", "position": 2}]
        with open(lines["path"], "ab") as file:
            file.write(b"hal")
        assert [m["position"] for m in peer.read()[0]] == [12]
        assert peer.read()[0] == []
        assert peer.end() == 0
    with Peer(readme_program(tmp_path)) as peer:
        with open(lines["path"], "ab") as file:
            file.write(b"f\n")
        peer.start("source", lines, once=True, positions=[{"partition": "", "position": 12}])
        assert [m["data"] for m in peer.read()[0]] == ["half"]
