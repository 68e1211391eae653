"""A broken variant of the skeleton's connector, and what the tables of them share."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    name: str
    rule: str  # that must fail
    doc: str  # what is wrong, for people
    file: str
    changes: tuple  # (old, new) ...
    base: str = "mutex"
    upsert: bool = True  # the sink's upsertMode
    quick: bool = True
    waits: bool = False  # takes long, and no processor


def mutant(name, rule, doc, file, *changes, **more):
    return Mutant(name, rule, doc, file, tuple(changes), **more)


# Where make_record decides on the text of a record.
TEXT_IS_SET = """	if (df_message_payload(m, arena, &ret->text) != 0)
		return df_error_no_memory(err);
"""


def members(body):
    """A change of make_record: `body`, in C, is run for every `member` of the row, and the text is the row as it is then."""
    return (TEXT_IS_SET, """	df_for_each (member, row) {
		if (member->kind == DF_STRING && df_value_unescape(member, arena) != 0)
			return df_error_no_memory(err);
		""" + body + """
	}
	ret->text = df_value_to_arena(row, arena);
""")
