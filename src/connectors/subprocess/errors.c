#include "connectors/subprocess/errors.h"

#include <ctype.h>

#include "base/cleanup.h"
#include "connectors/subprocess/scan.h"

#define TEXT_LOOKED_AT 4096 /* bytes of a message that the rules read */

static const struct {
	const char *name;
	int code;
} codes[] = {
	{ "connection_error", DF_ERR_CONNECTION },
	{ "timeout", DF_ERR_TIMEOUT },
	{ "transient", DF_ERR_TRANSIENT },
	{ "auth_error", DF_ERR_AUTH },
	{ "constraint_violation", DF_ERR_CONSTRAINT },
	{ "invalid_data", DF_ERR_INVALID_DATA },
	/* Only the pipeline cancels: a program that says so gave something up by itself. */
	{ "context_canceled", DF_ERR_TRANSIENT },
	{ "config", DF_ERR_CONFIG },
	{ "unknown", DF_ERR_UNKNOWN },
};

/* In the order of the errors reference; the first that is found decides. */
static const struct {
	const char *text;
	int code;
} rules[] = {
	{ "context canceled", DF_ERR_TRANSIENT }, { "timeout", DF_ERR_TIMEOUT },
	{ "timed out", DF_ERR_TIMEOUT },	  { "deadline exceeded", DF_ERR_TIMEOUT },
	{ "authentication", DF_ERR_AUTH },	  { "unauthorized", DF_ERR_AUTH },
	{ "permission denied", DF_ERR_AUTH },	  { "access denied", DF_ERR_AUTH },
	{ "invalid credentials", DF_ERR_AUTH },	  { "password", DF_ERR_AUTH },
	{ "constraint", DF_ERR_CONSTRAINT },	  { "duplicate key", DF_ERR_CONSTRAINT },
	{ "violates", DF_ERR_CONSTRAINT },	  { "unique", DF_ERR_CONSTRAINT },
	{ "invalid", DF_ERR_INVALID_DATA },	  { "parse", DF_ERR_INVALID_DATA },
	{ "unmarshal", DF_ERR_INVALID_DATA },	  { "json", DF_ERR_INVALID_DATA },
	{ "schema", DF_ERR_INVALID_DATA },	  { "syntax", DF_ERR_INVALID_DATA },
	{ "temporar", DF_ERR_TRANSIENT },	  { "try again", DF_ERR_TRANSIENT },
	{ "too many", DF_ERR_TRANSIENT },	  { "unavailable", DF_ERR_TRANSIENT },
	{ "deadlock", DF_ERR_TRANSIENT },	  { "connect", DF_ERR_CONNECTION },
	{ "refused", DF_ERR_CONNECTION },	  { "reset", DF_ERR_CONNECTION },
	{ "broken pipe", DF_ERR_CONNECTION },	  { "eof", DF_ERR_CONNECTION },
	{ "no such host", DF_ERR_CONNECTION },	  { "closed", DF_ERR_CONNECTION },
	{ "network", DF_ERR_CONNECTION },
};

static int code_of_text(struct df_str message)
{
	char lower[TEXT_LOOKED_AT + 1];
	size_t len = message.len < TEXT_LOOKED_AT ? message.len : TEXT_LOOKED_AT;

	for (size_t i = 0; i < len; i++)
		lower[i] = (char)tolower((unsigned char)message.ptr[i]);
	for (size_t i = 0; i < DF_ARRAY_SIZE(rules); i++)
		if (memmem(lower, len, rules[i].text, strlen(rules[i].text)))
			return rules[i].code;
	return DF_ERR_UNKNOWN;
}

/* 0: not one of ours. */
static int code_of_name(struct df_str name)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(codes); i++)
		if (df_str_equal_c(name, codes[i].name))
			return codes[i].code;
	return 0;
}

static int decide(struct df_str code, struct df_str message, struct df_str retryable)
{
	bool again;
	int r = code_of_name(code);

	if (r)
		return r;
	if (df_scan_bool(retryable, &again))
		return again ? DF_ERR_TRANSIENT : DF_ERR_UNKNOWN;
	return code_of_text(message);
}

static struct df_str text_of(struct df_str value, struct df_arena *arena)
{
	struct df_str text;

	return df_scan_text(value, arena, &text) ? text : value.ptr && value.ptr[0] != '"' ? value : df_str(NULL, 0);
}

/* One line of printable text: what a program says goes into logs and error records. */
static void flatten(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

int df_program_error(const struct df_members *members, const struct df_hidden *hidden, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf shown = { 0 }, remote = { 0 };
	struct df_arena arena;

	df_arena_init(&arena, NULL);
	struct df_str message = text_of(members->message, &arena), code = text_of(members->code, &arena);
	int r = decide(code, message, members->retryable);
	df_hidden_write(hidden, message, &shown);
	df_hidden_write(hidden, code, &remote);
	df_arena_done(&arena);
	df_error_set(err, r, "%s", *df_buf_c(&shown) ? df_buf_c(&shown) : "the program gave no reason");
	if (err)
		flatten(err->text);
	if (!code_of_name(code))
		df_error_remote(err, df_buf_c(&remote));
	return r;
}
