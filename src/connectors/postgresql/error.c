/* What the server and libpq say, as errors of ours. */
#include "connectors/postgresql/connection.h"

#include <ctype.h>

#define SQLSTATE_LEN 5

/* ---- SQLSTATE -------------------------------------------------------------------------------------------- */

/* By the longest beginning that fits: classes and single states (PostgreSQL manual, appendix A). */
static const struct {
	const char *state;
	int code;
	const char *advice; /* NULL: the server's own text says it all */
} states[] = {
	{ "08", DF_ERR_CONNECTION, NULL },
	{ "0A", DF_ERR_INVALID_DATA, NULL },
	{ "21", DF_ERR_INVALID_DATA, NULL },
	{ "22", DF_ERR_INVALID_DATA, NULL },
	{ "23", DF_ERR_CONSTRAINT, NULL },
	{ "25006", DF_ERR_CONNECTION, "the server only reads; after a failover the next connection finds the primary" },
	{ "25P03", DF_ERR_CONNECTION, NULL },
	{ "28", DF_ERR_AUTH, "check user, password and pg_hba.conf" },
	{ "3D000", DF_ERR_CONFIG, "create the database, or correct the connection string" },
	{ "3F000", DF_ERR_CONFIG, "create the schema, or correct `table`" },
	{ "40001", DF_ERR_TRANSIENT, NULL },
	{ "40P01", DF_ERR_TRANSIENT, NULL },
	{ "42501", DF_ERR_AUTH, "GRANT the user what is missing" },
	{ "42601", DF_ERR_CONFIG, NULL },
	{ "42703", DF_ERR_INVALID_DATA, NULL },
	{ "42804", DF_ERR_INVALID_DATA, NULL },
	{ "42", DF_ERR_CONFIG, NULL },
	{ "53300", DF_ERR_TRANSIENT, "raise max_connections, or let fewer clients connect" },
	{ "53", DF_ERR_TRANSIENT, NULL },
	{ "55006", DF_ERR_TRANSIENT, NULL },
	{ "55P03", DF_ERR_TRANSIENT, NULL },
	{ "57014", DF_ERR_TIMEOUT, NULL },
	{ "57P01", DF_ERR_CONNECTION, NULL },
	{ "57P02", DF_ERR_CONNECTION, NULL },
	{ "57P03", DF_ERR_CONNECTION, NULL },
	{ "57P05", DF_ERR_CONNECTION, NULL },
	{ "58030", DF_ERR_TRANSIENT, NULL },
	{ "XX", DF_ERR_UNKNOWN, NULL },
};

static int look_up(const char *sqlstate, const char **ret_advice)
{
	size_t best = DF_ARRAY_SIZE(states), best_len = 0;

	for (size_t i = 0; i < DF_ARRAY_SIZE(states); i++) {
		size_t len = strlen(states[i].state);
		if (len > best_len && strncmp(states[i].state, sqlstate, len) == 0) {
			best = i;
			best_len = len;
		}
	}
	*ret_advice = best_len ? states[best].advice : NULL;
	return best_len ? states[best].code : DF_ERR_UNKNOWN;
}

int df_pg_code(const char *sqlstate)
{
	const char *advice;

	return look_up(sqlstate, &advice);
}

/* ---- results --------------------------------------------------------------------------------------------- */

static void append_named(struct df_buf *text, const PGresult *result, int field, const char *what)
{
	const char *name = PQresultErrorField(result, field);

	if (name)
		df_buf_printf(text, "%s%s \"%s\"", text->len ? ", " : "", what, name);
}

static const char *server_of(const struct df_pg *pg)
{
	return pg->server ? pg->server : "PostgreSQL";
}

int df_pg_result_error(const struct df_pg *pg, const PGresult *result, struct df_error *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	df_cleanup(df_buf_done) struct df_buf where = { 0 };
	const char *advice;

	if (!state || !primary)
		return df_pg_connection_error(pg, err);
	int code = look_up(state, &advice);
	append_named(&where, result, PG_DIAG_TABLE_NAME, "table");
	append_named(&where, result, PG_DIAG_COLUMN_NAME, "column");
	append_named(&where, result, PG_DIAG_CONSTRAINT_NAME, "constraint");
	advice = hint ? hint : advice;
	df_error_set(err, code, "%s: %s%s%s%s%s%s", server_of(pg), primary, where.len ? " (" : "",
		     where.len ? df_buf_c(&where) : "", where.len ? ")" : "", advice ? "; " : "", advice ? advice : "");
	df_error_remote(err, state);
	return code;
}

/* ---- connections ----------------------------------------------------------------------------------------- */

/* What libpq finds out by itself has no SQLSTATE, only its text (fe-secure-openssl.c, fe-secure-common.c, fe-auth.c,
 * fe-connect.c); all that is not here is a connection that failed. */
static const struct {
	const char *text;
	int code;
	const char *advice;
} texts[] = {
	{ "certificate verify failed", DF_ERR_AUTH, "check sslrootcert: the CA that signed the server's certificate" },
	{ "does not match host name", DF_ERR_AUTH, "connect by the name in the certificate, or use sslmode=verify-ca" },
	{ "root certificate file", DF_ERR_CONFIG, NULL },
	{ "could not load private key file", DF_ERR_CONFIG, NULL },
	{ "private key file", DF_ERR_CONFIG, NULL },
	{ "could not read certificate file", DF_ERR_CONFIG, NULL },
	{ "server does not support SSL", DF_ERR_AUTH, "turn `ssl` on at the server, or set sslmode" },
	{ "no password supplied", DF_ERR_AUTH, "put the password into the connection string or a passfile" },
	{ "definition of service", DF_ERR_CONFIG, NULL },
	{ "service file", DF_ERR_CONFIG, NULL },
	{ "invalid port number", DF_ERR_CONFIG, NULL },
	{ "invalid sslmode value", DF_ERR_CONFIG, NULL },
	{ "invalid target_session_attrs value", DF_ERR_CONFIG, NULL },
	{ "invalid channel_binding value", DF_ERR_CONFIG, NULL },
	{ "invalid gssencmode value", DF_ERR_CONFIG, NULL },
	{ "could not match", DF_ERR_CONFIG, NULL },
	{ "out of memory", DF_ERR_NO_MEMORY, NULL },
};

/* The SQLSTATE in a line of verbose text ("FATAL:  28P01: ..."), whatever the language: the first five capitals or
 * digits between two blanks and `: `. Returns what is behind it, or NULL. */
static const char *find_state(struct df_str line, char state[SQLSTATE_LEN + 1])
{
	for (size_t i = 0; i + 2 + SQLSTATE_LEN + 2 <= line.len; i++) {
		const char *at = line.ptr + i;
		size_t n = 0;

		if (at[0] != ' ' || at[1] != ' ')
			continue;
		while (n < SQLSTATE_LEN && (isdigit((unsigned char)at[2 + n]) || isupper((unsigned char)at[2 + n])))
			n++;
		if (n == SQLSTATE_LEN && at[2 + n] == ':' && at[3 + n] == ' ') {
			memcpy(state, at + 2, SQLSTATE_LEN);
			state[SQLSTATE_LEN] = 0;
			return at + 2 + SQLSTATE_LEN + 2;
		}
	}
	return NULL;
}

/* The line that tells most: the first with a SQLSTATE, else the last that says what failed, else the last that is no
 * explanation. */
static struct df_str telling_line(const char *text, char state[SQLSTATE_LEN + 1])
{
	static const char failed[] = " failed: ";
	struct df_str best = DF_STR("");
	bool found = false;

	state[0] = 0;
	while (*text) {
		struct df_str line = df_str(text, strcspn(text, "\n"));
		const char *behind = find_state(line, state);

		if (behind)
			return df_str(behind, (size_t)(line.ptr + line.len - behind));
		behind = memmem(line.ptr, line.len, failed, strlen(failed));
		if (behind) {
			behind += strlen(failed);
			best = df_str(behind, (size_t)(line.ptr + line.len - behind));
			found = true;
		} else if (!found && line.len && line.ptr[0] != '\t' && line.ptr[0] != ' ') {
			best = line;
		}
		text += line.len;
		text += *text == '\n';
	}
	return best;
}

int df_pg_connection_error(const struct df_pg *pg, struct df_error *err)
{
	char state[SQLSTATE_LEN + 1];
	const char *advice = NULL;
	int code = DF_ERR_CONNECTION;
	struct df_str line = telling_line(pg->conn ? PQerrorMessage(pg->conn) : "", state);

	if (state[0]) {
		code = look_up(state, &advice);
	} else {
		for (size_t i = 0; i < DF_ARRAY_SIZE(texts); i++)
			if (line.len && memmem(line.ptr, line.len, texts[i].text, strlen(texts[i].text))) {
				code = texts[i].code;
				advice = texts[i].advice;
				break;
			}
	}
	if (line.len == 0)
		line = DF_STR("the connection is lost");
	df_error_set(err, code, "%s: " DF_STR_FMT "%s%s", server_of(pg), DF_STR_ARG(line), advice ? "; " : "",
		     advice ? advice : "");
	if (state[0])
		df_error_remote(err, state);
	return code;
}
