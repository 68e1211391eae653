/* Settings blocks that several connectors share. */
#include "connectors/settings.h"

#include <ctype.h>

#include "table/identifier.h"

const char *const df_unknown_fields_values[] = { "error", "ignore", NULL };

/* ---- tls, sasl, basic auth ------------------------------------------------------------------------------- */

static const struct df_field tls_fields[] = {
	DF_FIELD(struct df_tls_settings, insecure_skip_verify, "insecureSkipVerify", 0,
		 .doc = "Do not verify the server's certificate. Without effect when a CA is given."),
	DF_FIELD(struct df_tls_settings, ca, "caFile", 0, .ref = "caSecretRef", .example = "/etc/ssl/kafka/ca.crt",
		 .doc = "CA certificates to verify the server with: a path, or PEM text. Absent: the system's."),
	DF_FIELD(struct df_tls_settings, cert, "certFile", 0, .ref = "certSecretRef",
		 .example = "/etc/ssl/kafka/tls.crt",
		 .doc = "The client's certificate: a path, or PEM text. Together with the key."),
	DF_FIELD(struct df_tls_settings, key, "keyFile", DF_SENSITIVE, .ref = "keySecretRef",
		 .example = "/etc/ssl/kafka/tls.key",
		 .doc = "The client's private key: a path, or PEM text. Together with the certificate."),
};

static const struct df_rule tls_rules[] = {
	{ DF_RULE_TOGETHER, { "certFile", "keyFile" } },
	{ DF_RULE_FORBIDS,
	  { "insecureSkipVerify", "caFile" },
	  .warning = true,
	  .text = "`insecureSkipVerify` has no effect beside a CA: the server is verified with it" },
};

const struct df_table df_tls_table = DF_TABLE_RULES(struct df_tls_settings, tls_fields, tls_rules);

static const char *const sasl_mechanisms[] = { "plain", "scram-sha-256", "scram-sha-512", "oauthbearer", NULL };

static const struct df_field sasl_fields[] = {
	DF_FIELD(struct df_sasl_settings, mechanism, "mechanism", DF_ANY_CASE, .def = "plain",
		 .values = sasl_mechanisms,
		 .doc = "How the password is proven. `oauthbearer` gets tokens for client credentials."),
	DF_FIELD(struct df_sasl_settings, username, "username", DF_REQUIRED, .example = "dataflow",
		 .doc = "The user; with `oauthbearer` the client id."),
	DF_FIELD(struct df_sasl_settings, password, "password", DF_REQUIRED | DF_SENSITIVE,
		 .doc = "The password; with `oauthbearer` the client secret."),
	DF_FIELD(struct df_sasl_settings, token_endpoint, "tokenEndpoint", DF_OURS, .check = df_check_http_url,
		 .example = "https://login.example/realms/main/protocol/openid-connect/token",
		 .doc = "With `oauthbearer`: where tokens come from (grant `client_credentials`)."),
	DF_FIELD(struct df_sasl_settings, scope, "scope", DF_OURS, .example = "kafka",
		 .doc = "With `oauthbearer`: the scope to ask for."),
};

static const struct df_rule sasl_rules[] = {
	{ DF_RULE_REQUIRES, { "mechanism", "tokenEndpoint" }, .value = "oauthbearer" },
	{ DF_RULE_POINTLESS, { "tokenEndpoint", "mechanism" }, .value = "oauthbearer" },
	{ DF_RULE_POINTLESS, { "scope", "mechanism" }, .value = "oauthbearer" },
};

const struct df_table df_sasl_table = DF_TABLE_RULES(struct df_sasl_settings, sasl_fields, sasl_rules);

static const struct df_field basic_auth_fields[] = {
	DF_FIELD(struct df_basic_auth_settings, username, "username", 0, .example = "dataflow", .doc = "The user."),
	DF_FIELD(struct df_basic_auth_settings, password, "password", DF_SENSITIVE, .doc = "The password."),
};

static const struct df_rule basic_auth_rules[] = {
	{ DF_RULE_TOGETHER, { "username", "password" } },
};

const struct df_table df_basic_auth_table =
	DF_TABLE_RULES(struct df_basic_auth_settings, basic_auth_fields, basic_auth_rules);

/* ---- batches --------------------------------------------------------------------------------------------- */

void df_batch_check(const struct df_batch_settings *batch, int32_t advised, const struct df_place *place,
		    struct df_diags *diags)
{
	if (!batch->size.set)
		return;
	if (batch->interval_seconds == 0)
		df_diag_warning(diags, place, "batchFlushIntervalSeconds",
				"0 with batchSize %d: rows can wait for ever; set an interval in seconds",
				(int)batch->size.value);
	if (batch->size.value > 0 && batch->size.value < advised)
		df_diag_warning(diags, place, "batchSize", "%d is small and slow; %d or more is advised",
				(int)batch->size.value, (int)advised);
}

/* ---- queries and names ----------------------------------------------------------------------------------- */

/* Behind the quoted text, comment or dollar quote that begins at i; i + 1 when there is none. An unterminated one ends
 * with the text: the server will say it better. */
static size_t query_skip(struct df_str q, size_t i)
{
	char c = q.ptr[i];
	const char *end = NULL;
	size_t left = q.len - i;

	if (c == '\'' || c == '"' || c == '`') {
		end = memchr(q.ptr + i + 1, c, left - 1);
		return end ? (size_t)(end - q.ptr) + 1 : q.len;
	}
	if (c == '-' && left > 1 && q.ptr[i + 1] == '-') {
		end = memchr(q.ptr + i, '\n', left);
		return end ? (size_t)(end - q.ptr) + 1 : q.len;
	}
	if (c == '/' && left > 1 && q.ptr[i + 1] == '*') {
		end = left > 2 ? memmem(q.ptr + i + 2, left - 2, "*/", 2) : NULL;
		return end ? (size_t)(end - q.ptr) + 2 : q.len;
	}
	if (c == '$' && (i == 0 || !(isalnum((unsigned char)q.ptr[i - 1]) || q.ptr[i - 1] == '_'))) {
		size_t tag = i + 1;

		while (tag < q.len && (isalnum((unsigned char)q.ptr[tag]) || q.ptr[tag] == '_'))
			tag++;
		if (tag < q.len && q.ptr[tag] == '$' && !(tag > i + 1 && isdigit((unsigned char)q.ptr[i + 1]))) {
			size_t mark = tag + 1 - i;

			end = memmem(q.ptr + tag + 1, q.len - tag - 1, q.ptr + i, mark);
			return end ? (size_t)(end - q.ptr) + mark : q.len;
		}
	}
	return i + 1;
}

static bool query_comment(struct df_str q, size_t i)
{
	return i + 1 < q.len && ((q.ptr[i] == '-' && q.ptr[i + 1] == '-') || (q.ptr[i] == '/' && q.ptr[i + 1] == '*'));
}

int df_check_query(struct df_str text, struct df_error *err)
{
	bool any = false, ended = false;

	for (size_t i = 0; i < text.len; i = query_skip(text, i)) {
		if (isspace((unsigned char)text.ptr[i]) || query_comment(text, i))
			continue;
		if (text.ptr[i] == ';') {
			ended = true;
			continue;
		}
		if (ended)
			return df_error_set(err, DF_ERR_CONFIG, "must be one statement: there is text after `;`");
		any = true;
	}
	if (!any)
		return df_error_set(err, DF_ERR_CONFIG, "must be a SELECT statement");
	return 0;
}

struct df_str df_query_trim(struct df_str query)
{
	for (size_t i = 0; i < query.len; i = query_skip(query, i))
		if (query.ptr[i] == ';')
			return df_str_trim(df_str(query.ptr, i));
	return df_str_trim(query);
}

int df_check_table_name(struct df_str text, struct df_error *err)
{
	df_cleanup(df_table_name_done) struct df_table_name name = { 0 };
	int code = df_table_name_split(text, &name, NULL);

	if (code == DF_ERR_NO_MEMORY)
		return df_error_no_memory(err);
	if (code != 0 || df_str_trim(df_str_c(name.name)).len == 0 ||
	    (name.qualifier && df_str_trim(df_str_c(name.qualifier)).len == 0))
		return df_error_set(err, DF_ERR_CONFIG,
				    "must be `name` or `schema.name`; a part with a dot in it goes into double quotes");
	return 0;
}
