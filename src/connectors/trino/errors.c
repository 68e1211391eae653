/* What a failed query means: the table of the connectors reference, section 8. */
#include "base/cleanup.h"
#include "connectors/trino/client.h"

struct rule {
	const char *type; /* errorType; NULL: any */
	const char *name; /* errorName; with a * at its end: what begins so; NULL: any */
	int code;
};

/* The first that fits counts. */
static const struct rule rules[] = {
	{ NULL, "EXCEEDED_TIME_LIMIT", DF_ERR_TIMEOUT },
	{ NULL, "PERMISSION_DENIED", DF_ERR_AUTH },
	{ NULL, "INVALID_CAST_ARGUMENT", DF_ERR_INVALID_DATA },
	{ NULL, "NUMERIC_VALUE_OUT_OF_RANGE", DF_ERR_INVALID_DATA },
	{ NULL, "INVALID_LITERAL", DF_ERR_INVALID_DATA },
	{ NULL, "INVALID_FUNCTION_ARGUMENT", DF_ERR_INVALID_DATA },
	{ NULL, "DIVISION_BY_ZERO", DF_ERR_INVALID_DATA },
	{ NULL, "QUERY_TEXT_TOO_LARGE", DF_ERR_INVALID_DATA },
	{ NULL, "TYPE_MISMATCH", DF_ERR_INVALID_DATA },
	{ NULL, "CONSTRAINT_VIOLATION", DF_ERR_CONSTRAINT },
	{ NULL, "MERGE_TARGET_ROW_MULTIPLE_MATCHES", DF_ERR_CONSTRAINT },
	{ NULL, "TRANSACTION_CONFLICT", DF_ERR_TRANSIENT },
	{ NULL, "SERVER_STARTING_UP", DF_ERR_CONNECTION }, /* as away as before: no attempt of the statement's */
	{ NULL, "SERVER_SHUTTING_DOWN", DF_ERR_CONNECTION },
	{ NULL, "COMPILER_ERROR", DF_ERR_UNKNOWN },
	{ NULL, "FUNCTION_IMPLEMENTATION_*", DF_ERR_UNKNOWN },
	{ NULL, "CORRUPT_*", DF_ERR_UNKNOWN },
	{ NULL, "CONFIGURATION_INVALID", DF_ERR_CONFIG },
	{ NULL, "ADMINISTRATIVELY_KILLED", DF_ERR_TRANSIENT },
	{ NULL, "ADMINISTRATIVELY_PREEMPTED", DF_ERR_TRANSIENT },
	{ NULL, "ABANDONED_QUERY", DF_ERR_TRANSIENT },
	{ NULL, "USER_CANCELED", DF_ERR_TRANSIENT }, /* by another user: we do not read on after a cancel of ours */
	{ "INTERNAL_ERROR", NULL, DF_ERR_TRANSIENT },
	{ "INSUFFICIENT_RESOURCES", NULL, DF_ERR_TRANSIENT },
	{ "EXTERNAL", NULL, DF_ERR_TRANSIENT },
	{ "USER_ERROR", NULL, DF_ERR_CONFIG },
};

static bool fits(const char *wanted, struct df_str text)
{
	size_t n = wanted ? strlen(wanted) : 0;

	if (!wanted)
		return true;
	if (wanted[n - 1] == '*')
		return df_str_starts(text, df_str(wanted, n - 1));
	return df_str_equal_c(text, wanted);
}

static struct df_str text_of(const struct df_value *object, const char *key, struct df_arena *arena)
{
	struct df_value *v = df_object_get_c(object, key);

	return v && v->kind == DF_STRING ? df_value_text(v, arena) : df_str(NULL, 0);
}

int df_trino_error(const struct df_value *error, struct df_arena *arena, struct df_error *err)
{
	struct df_str type = text_of(error, "errorType", arena);
	struct df_str name = text_of(error, "errorName", arena);
	struct df_str message = text_of(error, "message", arena);
	char remote[DF_ERROR_REMOTE_MAX];
	int code = DF_ERR_UNKNOWN;

	for (size_t i = 0; i < DF_ARRAY_SIZE(rules); i++)
		if (fits(rules[i].type, type) && fits(rules[i].name, name)) {
			code = rules[i].code;
			break;
		}
	size_t n = name.len < sizeof(remote) ? name.len : sizeof(remote) - 1;
	memcpy(remote, name.ptr ? name.ptr : "", n);
	remote[n] = '\0';

	/* The message of a refused value shows the value: only where it came from is told. */
	if (df_code_poison(code))
		(void)df_error_set(err, code, "the server refuses a value (%s)", remote);
	else
		(void)df_error_set(err, code, DF_STR_FMT " (%s)", DF_STR_ARG(message), remote);
	df_error_remote(err, remote);
	return code;
}
