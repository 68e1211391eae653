/* Connection strings: a URL or key=value pairs as the parameters that libpq takes. Pure; private to the connection. */
#ifndef DF_CONNECTORS_POSTGRESQL_CONNINFO_H
#define DF_CONNECTORS_POSTGRESQL_CONNINFO_H

#include "base/error.h"
#include "base/str.h"

#define DF_PG_PARAMS_MAX 64

/* Heap texts, NULL-terminated lists as PQconnectStartParams takes them. Zero-initialised is valid and empty. */
struct df_pg_params {
	char *keys[DF_PG_PARAMS_MAX + 1];
	char *values[DF_PG_PARAMS_MAX + 1];
	size_t count;
};

/* Which parameters libpq knows. */
struct df_pg_known {
	bool (*has)(const struct df_pg_known *known, const char *key);
};

/*
 * Takes the text apart. A URL's user, password and hosts are decoded; when it is no proper URL, the last `@` ends the
 * password, which is then taken as it stands. Parameters that `known` does not know: those of Go's pools are named in
 * `ignored` (comma-separated), all others become run-time settings in `options`. DF_ERR_CONFIG without any of the
 * text's content, which may be a secret; DF_ERR_NO_MEMORY.
 */
int df_pg_params_parse(struct df_str text, const struct df_pg_known *known, struct df_pg_params *ret,
		       struct df_buf *ignored, struct df_error *err) df_must_check;
void df_pg_params_done(struct df_pg_params *params);

/* The value, or NULL. */
const char *df_pg_params_get(const struct df_pg_params *params, const char *key);
/* Sets it; DF_ERR_NO_MEMORY. */
int df_pg_params_set(struct df_pg_params *params, const char *key, struct df_str value) df_must_check;
/* The same unless it is set already. */
int df_pg_params_default(struct df_pg_params *params, const char *key, const char *value) df_must_check;
/* Appends ` -c key=value` to `options`, escaped. */
int df_pg_params_setting(struct df_pg_params *params, const char *key, struct df_str value) df_must_check;

#endif
