"""Variants that break settings, and the keeping of secrets."""
from mutant import mutant

SETTINGS = [
    mutant("wrong-token-is-connection", "settings.credentials",
           "Wrong credentials are reported as a lost connection, which is tried for ever.", "store.c",
           ('	return df_error_set(err, DF_ERR_AUTH, "the store %s refuses', '	return df_error_set(err, DF_ERR_CONNECTION, "the store %s refuses')),
    mutant("token-not-checked", "settings.credentials",
           "Wrong credentials are accepted.", "store.c",
           ("	code = check_token(connection, err);\n	if (code != 0)\n		return code;\n", "	(void)check_token;\n")),
    mutant("secret-in-error", "settings.secrets",
           "The error of a refused token shows the token.", "store.c",
           ('set `token` to what its " TOKEN " says",\n			    connection->path);',
            'not %s",\n			    connection->path, connection->token.value);')),
    mutant("secret-in-log", "settings.secrets-in-use",
           "A log line of connect shows the token.", "sink.c",
           ('"writing to the collection %s of %s", connection->collection,\n		connection->path);',
            '"writing to the collection %s of %s with %s", connection->collection,\n		connection->path, connection->token.value);')),
    mutant("secret-in-debug-log", "settings.secrets-in-use",
           "A debug line of write shows the token.", "sink.c",
           ("	records = df_arena_alloc(", '	df_debug(s->base.state.env.logger, "token=%s", s->settings->connection.token.value);\n	records = df_arena_alloc(')),
    mutant("secret-in-command-line", "settings.secrets-in-use",
           "The token stands in the process's command line.", "sink.c",
           ("	s->base.state.connected = true;\n",
            "	if (connection->token.value)\n		memcpy(program_invocation_name, connection->token.value, strlen(connection->token.value));\n	s->base.state.connected = true;\n"),
           ('#include "store.h"\n', '#include "store.h"\n\n#include <errno.h>\n')),
    mutant("secret-not-sensitive", "settings.secrets-marked",
           "The settings' table does not say that the token is secret.", "settings.c",
           ('"token", DF_SENSITIVE, ', '"token", 0, ')),
    mutant("required-not-required", "settings.left-out",
           "A setting that is needed may be left out.", "settings.c",
           ('"collection", DF_REQUIRED | DF_NO_BLANK,', '"collection", 0,')),
    mutant("secret-in-warning", "settings.secrets-invalid",
           "The warning about a token that is malformed shows it.", "sink.c",
           ("	s->settings = settings;\n", """	s->settings = settings;
	if (s->settings->connection.token.value && s->settings->connection.token.value[0] == ' ')
		df_warn(env->logger, "the token \\"%s\\" begins with a blank", s->settings->connection.token.value);
""")),
]
