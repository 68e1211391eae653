"""Variants that change values on their way."""
from mutant import TEXT_IS_SET, members, mutant

TYPES = [
    mutant("int64-through-double", "types.int64-max",
           "Numbers go through a double.", "sink.c",
           members("""double d;

		if (member->kind == DF_NUMBER && df_value_to_double(member, &d))
			df_value_replace(member, df_value_float64(arena, d));""")),
    mutant("big-number-null", "types.one-e400",
           "A number that no double holds becomes null.", "sink.c",
           members("""double d;

		if (member->kind == DF_NUMBER && !df_value_to_double(member, &d))
			df_value_replace(member, df_value_new(arena, DF_NULL));""")),
    mutant("digits-cut", "types.decimal-38",
           "Of a number only the first 20 digits stay.", "sink.c",
           members("""if (member->kind == DF_NUMBER && member->repr == DF_REPR_TEXT && member->len > 20)
			member->len = 20;""")),
    mutant("scale-cut", "types.decimal",
           "Zeros behind the point are cut, and the point with them.", "sink.c",
           members("""while (member->kind == DF_NUMBER && member->repr == DF_REPR_TEXT && member->len > 2 &&
		       memchr(member->text, '.', member->len))
			member->len--;""")),
    mutant("null-is-empty", "types.empty-null-missing",
           "null becomes an empty text.", "sink.c",
           members("""if (member->kind == DF_NULL)
			df_value_replace(member, df_value_string(arena, DF_STR("")));""")),
    mutant("empty-is-null", "types.empty-null-missing",
           "An empty text becomes null.", "sink.c",
           members("""if (member->kind == DF_STRING && member->len == 0)
			df_value_replace(member, df_value_new(arena, DF_NULL));""")),
    mutant("nul-ends-text", "types.text-nul",
           "A text ends at its first NUL byte.", "sink.c",
           members("""if (member->kind == DF_STRING && member->repr != DF_REPR_BYTES)
			member->len = (uint32_t)strnlen(member->text, member->len);""")),
    mutant("unicode-mangled", "types.utf8-4",
           "Characters of four bytes become question marks.", "sink.c",
           members("""char *text = member->kind == DF_STRING ? df_str_dup(df_str(member->text, member->len)) : NULL;

		for (size_t i = 0; text && i + 4 <= member->len; i++)
			if ((unsigned char)text[i] >= 0xf0)
				memcpy(text + i, "????", 4);
		if (text)
			df_value_replace(member, df_value_string_copy(arena, df_str(text, member->len)));
		free(text);""")),
    mutant("latin-1", "types.utf8-2",
           "Text is taken for Latin-1.", "sink.c",
           members("""struct df_buf text = { 0 };

		for (size_t i = 0; member->kind == DF_STRING && i < member->len; i++) {
			char utf8[4];

			df_buf_add(&text, utf8, df_utf8_encode((unsigned char)member->text[i], utf8));
		}
		if (member->kind == DF_STRING)
			df_value_replace(member, df_value_string_copy(arena, df_buf_str(&text)));
		df_buf_done(&text);""")),
    mutant("surrogate-dropped", "types.lone-surrogate",
           "Half of a surrogate pair is left out.", "sink.c",
           members("""const char *half = member->kind == DF_STRING ? memchr(member->text, 0xed, member->len) : NULL;

		if (half)
			member->len = (uint32_t)(half - member->text);""")),
    mutant("text-truncated", "types.text-1-mib",
           "A text is cut at 64 KiB.", "sink.c",
           members("""if (member->kind == DF_STRING && member->len > 65535)
			member->len = 65535;""")),
    mutant("blanks-trimmed", "types.text-blanks",
           "Blanks around a text are cut off.", "sink.c",
           members("""if (member->kind == DF_STRING)
			df_value_replace(member, df_value_string(arena, df_str_trim(df_str(member->text, member->len))));""")),
    mutant("digits-are-numbers", "types.text-digits",
           "A text that looks like a number becomes one.", "sink.c",
           members("""int64_t n;

		if (member->kind == DF_STRING && df_str_to_int64(df_str(member->text, member->len), &n))
			df_value_replace(member, df_value_int64(arena, n));""")),
    mutant("fraction-cut", "types.text-timestamp-1969",
           "The fraction of a second is cut off texts that are times.", "sink.c",
           members("""const char *dot = member->kind == DF_STRING && member->len > 20 ? memchr(member->text, '.', member->len) : NULL;

		if (dot && member->text[10] == 'T')
			member->len = (uint32_t)(dot - member->text);""")),
    mutant("before-1970", "types.timestamptz-1969",
           "Times before 1970 become 1970.", "sink.c",
           members("""if (member->kind == DF_STRING && member->len > 10 && member->text[4] == '-' && memcmp(member->text, "1970", 4) < 0)
			df_value_replace(member, df_value_string(arena, DF_STR("1970-01-01T00:00:00Z")));""")),
    mutant("nested-dropped", "types.object",
           "Members of nested objects are left out.", "sink.c",
           members("""if (member->kind == DF_OBJECT)
			df_container_take(member);""")),
    mutant("bytes-as-text", "types.bytes",
           "Bytes are written as if they were text.", "sink.c",
           (TEXT_IS_SET, """	df_for_each (member, row)
		if (member->kind == DF_STRING && member->repr == DF_REPR_BYTES)
			df_value_replace(member, df_value_string(arena, df_str(member->text, member->len)));
	ret->text = df_value_to_arena(row, arena);
""")),
    mutant("nan-is-null", "types.nan",
           "NaN becomes null.", "sink.c",
           members("""if (member->kind == DF_STRING && member->logical == DF_LOGICAL_FLOAT64)
			df_value_replace(member, df_value_new(arena, DF_NULL));""")),
    mutant("true-is-one", "types.true",
           "true becomes the number 1.", "sink.c",
           members("""if (member->kind == DF_TRUE)
			df_value_replace(member, df_value_int64(arena, 1));""")),
]
