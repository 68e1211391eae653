"""Variants that mistake names and keys for something else."""
from mutant import TEXT_IS_SET, members, mutant

ESCAPE = """		if (strchr("-_", *name) || (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
		    (*name >= 'A' && *name <= 'Z'))
"""

IDENTIFIERS = [
    mutant("name-not-escaped", "identifiers.name-paths",
           "The collection's name is taken for a file's name as it is: `../x` leads elsewhere.", "store.c",
           (ESCAPE, "		if (true)\n")),
    mutant("name-dropped-characters", "identifiers.name-quotes",
           "Characters that are not letters or digits are dropped, so that two names become one.", "store.c",
           ('			df_buf_printf(path, "%%%02X", (unsigned char)*name);\n', "			continue;\n")),
    mutant("name-truncated", "identifiers.name-long",
           "Names are cut at 63 characters, so that two become one.", "store.c",
           ("	size_t begin = path->len;\n\n	for (; *name; name++) {\n", "	size_t begin = path->len;\n	const char *all = name;\n\n	for (; *name && name - all < 63; name++) {\n")),
    mutant("name-too-long", "identifiers.name-long",
           "Long names fail with an error that says nothing about the name.", "store.c",
           ("	db->path = df_buf_take(&path);\n", "	if (path.len - strlen(connection->path) > 128)\n		return df_error_set(err, DF_ERR_UNKNOWN, \"the store cannot be opened\");\n	db->path = df_buf_take(&path);\n")),
    mutant("key-truncated", "identifiers.key-long",
           "Keys of rows are cut at 63 characters.", "sink.c",
           members("""if (member->key_len > 63)
			df_object_rename(member, df_str(member->key, 63));""")),
    mutant("key-lower-case", "identifiers.key-case",
           "Keys of rows are made lower case.", "sink.c",
           members("""char *key = df_arena_alloc(arena, member->key_len);

		for (size_t i = 0; i < member->key_len; i++)
			key[i] = member->key[i] >= 'A' && member->key[i] <= 'Z' ? (char)(member->key[i] + 32) : member->key[i];
		df_object_rename(member, df_str(key, member->key_len));""")),
    mutant("key-cut-at-dot", "identifiers.key-separators",
           "A dot in a key is taken for a path.", "sink.c",
           members("""const char *dot = memchr(member->key, '.', member->key_len);

		if (dot)
			df_object_rename(member, df_str(member->key, (size_t)(dot - member->key)));""")),
    mutant("key-pasted", "identifiers.key-quotes",
           "Keys are pasted between quotes without escaping them.", "sink.c",
           (TEXT_IS_SET, """	struct df_buf pasted = { 0 };

	df_buf_add_char(&pasted, '{');
	df_for_each (member, row) {
		df_buf_printf(&pasted, "%s\\"%.*s\\":", pasted.len > 1 ? "," : "", (int)member->key_len, member->key);
		df_value_write(member, &pasted);
	}
	df_buf_add_char(&pasted, '}');
	ret->text = df_arena_dup(arena, df_buf_str(&pasted));
	df_buf_done(&pasted);
""")),
    mutant("format-string", "identifiers.name-formats",
           "The collection's name is used as a format.", "store.c",
           ('	db->path = df_buf_take(&path);\n', """	struct df_buf formatted = { 0 };

	df_buf_printf(&formatted, df_buf_c(&path), "", "", "", "");
	df_buf_done(&path);
	path = formatted;
	db->path = df_buf_take(&path);
"""), (ESCAPE, "		if (*name == '%' || strchr(\"-_\", *name) || (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z'))\n")),
    mutant("name-trimmed", "identifiers.name-separators",
           "Blanks around a name are cut off, so that two names become one.", "store.c",
           ("	size_t begin = path->len;\n\n", "	size_t begin = path->len;\n\n	name += strspn(name, \" \");\n"),
           ("		if (strchr(\"-_\", *name) ||", "		if (*name == ' ')\n			continue;\n		if (strchr(\"-_\", *name) ||")),
    mutant("name-ascii", "identifiers.name-unicode",
           "What is not ASCII becomes an underscore, so that two names become one.", "store.c",
           ('			df_buf_printf(path, "%%%02X", (unsigned char)*name);\n',
            '			(unsigned char)*name > 127 ? df_buf_add_char(path, \'_\') : df_buf_printf(path, "%%%02X", (unsigned char)*name);\n')),
    mutant("name-begins-with-letter", "identifiers.name-starts",
           "What stands before the first letter of a name is left out.", "store.c",
           ("	size_t begin = path->len;\n\n", "	size_t begin = path->len;\n\n	name += strcspn(name, \"abcdefghijklmnopqrstuvwxyz\");\n")),
    mutant("name-is-keyword", "identifiers.name-keywords",
           "A name that is a word of SQL fails with an error that does not name it.", "store.c",
           ("	db->path = df_buf_take(&path);\n", "	if (strcmp(connection->collection, \"order\") == 0)\n		return df_error_set(err, DF_ERR_CONFIG, \"syntax error near (\");\n	db->path = df_buf_take(&path);\n")),
    mutant("name-ends-at-comment", "identifiers.name-comments",
           "A name ends where a comment begins, so that two names become one.", "store.c",
           ("	for (; *name; name++) {\n",
            "	for (; *name && *name != '#' && strncmp(name, \"--\", 2) && strncmp(name, \"/*\", 2); name++) {\n")),
    mutant("name-ends-at-semicolon", "identifiers.name-injections",
           "A name ends at a semicolon, and what stands before it is another store's name.", "store.c",
           ("	for (; *name; name++) {\n", "	for (; *name && *name != ';'; name++) {\n")),
    mutant("key-comment", "identifiers.key-comments",
           "A key ends where a comment of SQL begins.", "sink.c",
           members("""const char *comment = memmem(member->key, member->key_len, "--", 2);

		if (comment && comment > member->key)
			df_object_rename(member, df_str(member->key, (size_t)(comment - member->key)));""")),
    mutant("key-ends-at-semicolon", "identifiers.key-injections",
           "A key ends at a semicolon.", "sink.c",
           members("""const char *end = memchr(member->key, ';', member->key_len);

		if (end)
			df_object_rename(member, df_str(member->key, (size_t)(end - member->key)));""")),
    mutant("key-format", "identifiers.key-formats",
           "A key is used as a format.", "sink.c",
           members("""struct df_buf name = { 0 }, key = { 0 };

		df_buf_add(&key, member->key, member->key_len);
		df_buf_printf(&name, df_buf_c(&key), 1, 2, 3, 4);
		df_object_rename(member, df_arena_dup(arena, df_buf_str(&name)));
		df_buf_done(&key);
		df_buf_done(&name);""")),
    mutant("key-keyword", "identifiers.key-keywords",
           "A key that is a word of SQL gets a quote that stays.", "sink.c",
           members("""if (df_str_equal_c(df_value_key(member), "order"))
			df_object_rename(member, DF_STR("\\"order\\""));""")),
    mutant("key-hidden", "identifiers.key-hidden",
           "Keys with an underscore before them are taken for columns of the store's own, and left out.", "sink.c",
           members("""if (member->key_len > 1 && member->key[0] == '_' && member->key[1] != '_')
			df_value_replace(member, df_value_new(arena, DF_NULL));""")),
    mutant("key-ascii", "identifiers.key-unicode",
           "What is not ASCII in a key becomes a question mark.", "sink.c",
           members("""char *key = df_arena_alloc(arena, member->key_len + 1);

		for (size_t i = 0; i < member->key_len; i++)
			key[i] = (unsigned char)member->key[i] > 127 ? '?' : member->key[i];
		df_object_rename(member, df_str(key, member->key_len));""")),
    mutant("key-digit", "identifiers.key-starts",
           "A key that begins with a digit gets an underscore before it.", "sink.c",
           members("""if (member->key_len > 0 && member->key[0] >= '0' && member->key[0] <= '9') {
			struct df_buf key = { 0 };

			df_buf_printf(&key, "_%.*s", (int)member->key_len, member->key);
			df_object_rename(member, df_arena_dup(arena, df_buf_str(&key)));
			df_buf_done(&key);
		}""")),
    mutant("key-nul", "identifiers.key-odd",
           "A key ends at its first NUL byte.", "sink.c",
           members("""df_object_rename(member, df_str(member->key, strnlen(member->key, member->key_len)));""")),
]
