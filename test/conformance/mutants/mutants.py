"""The broken variants: what each breaks, and the rule that must catch it.

Each is the connector of `dataflow connector new kv --plugin` with one thing wrong. A change is a text that stands exactly once in the
file, and what takes its place. `doc` is the row of docs/conformance.md.
"""
from mutants_identifiers import IDENTIFIERS
from mutants_life import LIFECYCLE
from mutants_settings import SETTINGS
from mutants_sink import SINK
from mutants_source import SOURCE
from mutants_types import TYPES

GROUPS = (("Life", LIFECYCLE), ("Settings", SETTINGS), ("Source", SOURCE), ("Sink", SINK), ("Types", TYPES), ("Identifiers", IDENTIFIERS))
MUTANTS = [m for _, mutants in GROUPS for m in mutants]
