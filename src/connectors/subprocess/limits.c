#include "connectors/subprocess/limits.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/time.h"

/* Seconds, or a duration. */
static int read_duration(const char *name, int64_t fallback, int64_t *ret, struct df_error *err)
{
	const char *text = getenv(name);
	int64_t seconds;

	*ret = fallback;
	if (!text || !*text)
		return 0;
	if (df_str_to_int64(df_str_c(text), &seconds) && seconds > 0 && seconds <= INT32_MAX)
		*ret = seconds * DF_NS_PER_S;
	else if (!df_duration_parse(df_str_c(text), ret) || *ret <= 0)
		return df_error_set(err, DF_ERR_CONFIG, "%s is neither seconds nor a duration (90s, 2m): \"%.40s\"",
				    name, text);
	return 0;
}

int df_program_limits_read(struct df_program_limits *ret, struct df_error *err)
{
	const char *bytes = getenv("DATAFLOW_CONNECTOR_LINE_BYTES");
	int64_t number = 64 << 20;
	int r = read_duration("DATAFLOW_CONNECTOR_TIMEOUT", 60 * DF_NS_PER_S, &ret->timeout_ns, err);

	if (r == 0)
		r = read_duration("DATAFLOW_CONNECTOR_GRACE", 5 * DF_NS_PER_S, &ret->grace_ns, err);
	if (r == 0 && bytes && *bytes && (!df_str_to_int64(df_str_c(bytes), &number) || number < 4096))
		r = df_error_set(err, DF_ERR_CONFIG,
				 "DATAFLOW_CONNECTOR_LINE_BYTES is no number of bytes from 4096: \"%.40s\"", bytes);
	ret->line_bytes = (size_t)number;
	return r;
}

/* ---- environment ----------------------------------------------------------------------------------------- */

static const char *const inherited[] = {
	"PATH",	      "HOME",	       "LANG",	       "LC_ALL",     "LC_CTYPE",    "TZ",
	"TMPDIR",     "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
	"http_proxy", "https_proxy",   "no_proxy",     "LOG_LEVEL",
};

static bool is_inherited(struct df_str name)
{
	const char *more = getenv("DATAFLOW_CONNECTOR_ENV");

	for (size_t i = 0; i < sizeof(inherited) / sizeof(*inherited); i++)
		if (df_str_equal_c(name, inherited[i]))
			return true;
	for (size_t len; more && *more; more += len + (more[len] == ',')) {
		len = strcspn(more, ",");
		if (df_str_equal(df_str_trim(df_str(more, len)), name))
			return true;
	}
	return false;
}

char **df_program_environment(void)
{
	size_t count = 0;

	for (char **e = environ; *e; e++)
		count++;
	char **list = calloc(count + 1, sizeof(*list));
	size_t n = 0;
	for (char **e = environ; list && *e; e++) {
		if (!is_inherited(df_str(*e, strcspn(*e, "="))))
			continue;
		list[n] = df_str_dup(df_str_c(*e));
		if (!list[n++]) {
			df_program_environment_free(list);
			return NULL;
		}
	}
	return list;
}

void df_program_environment_free(char **environment)
{
	for (char **e = environment; e && *e; e++)
		free(*e);
	free(environment);
}
