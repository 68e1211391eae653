"""What a pipeline wrote."""
import json


def json_lines(path):
    """The rows of a JSON Lines file; none when there is no file. It may be written just now: what stands behind the last line feed is no row yet."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]
