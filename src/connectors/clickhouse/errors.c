#include "connectors/clickhouse/errors.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

static const int16_t transient[] = { 3,	  32,  102, 164, 201, 202, 203, 225, 236, 241, 242, 243,
				     252, 285, 286, 319, 364, 394, 425, 439, 473, 733, 745, 999 };
static const int16_t timeouts[] = { 159, 160 };
static const int16_t connection[] = { 209, 210, 279 };
static const int16_t auth[] = { 192, 193, 194, 195, 497, 516 };
static const int16_t invalid_data[] = { 6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 407, 691 };
static const int16_t constraint[] = { 469 };
static const int16_t config[] = { 16, 36, 43, 44, 47, 50, 57, 60, 62, 81, 344 };

#define CLASS(code, list)                       \
	{                                       \
		code, list, DF_ARRAY_SIZE(list) \
	}
static const struct {
	int class;
	const int16_t *codes;
	size_t count;
} classes[] = {
	CLASS(DF_ERR_TRANSIENT, transient),
	CLASS(DF_ERR_TIMEOUT, timeouts),
	CLASS(DF_ERR_CONNECTION, connection),
	CLASS(DF_ERR_AUTH, auth),
	CLASS(DF_ERR_INVALID_DATA, invalid_data),
	CLASS(DF_ERR_CONSTRAINT, constraint),
	CLASS(DF_ERR_CONFIG, config),
};

int df_ch_code_class(int code)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(classes); i++)
		for (size_t k = 0; k < classes[i].count; k++)
			if (classes[i].codes[k] == code)
				return classes[i].class;
	return DF_ERR_UNKNOWN;
}

/* Where a message begins to quote the query, or says what only its makers read. */
static const char *const ends[] = { " Stack trace",	 ": In scope ",		 ": while executing",
				    ": While executing", ": While processing",	 ": while processing",
				    " (version ",	 ", e.displayText() = ", "\n" };

static struct df_str tidy(struct df_str message)
{
	static const char *const starts[] = { "Code: ", "DB::Exception: ", "DB::NetException: " };

	/* "Code: 60. DB::Exception: Table ..." and "DB::Exception: Table ..." */
	if (df_str_starts(message, DF_STR("Code: "))) {
		const char *at = memmem(message.ptr, message.len, "Exception: ", strlen("Exception: "));
		if (at)
			message = df_str(at + strlen("Exception: "),
					 message.len - (size_t)(at + strlen("Exception: ") - message.ptr));
	}
	for (size_t i = 1; i < DF_ARRAY_SIZE(starts); i++)
		if (df_str_starts(message, df_str_c(starts[i])))
			message = df_str(message.ptr + strlen(starts[i]), message.len - strlen(starts[i]));
	for (size_t i = 0; i < DF_ARRAY_SIZE(ends); i++) {
		const char *at = message.len ? memmem(message.ptr, message.len, ends[i], strlen(ends[i])) : NULL;
		if (at)
			message.len = (size_t)(at - message.ptr);
	}
	message = df_str_trim(message);
	return message.len > 400 ? df_str(message.ptr, 400) : message;
}

int df_ch_server_error(const char *peer, int code, struct df_str message, struct df_error *err)
{
	char remote[16];
	int class = df_ch_code_class(code);

	message = tidy(message);
	df_error_set(err, class, "%s: ClickHouse error %d: " DF_STR_FMT, peer, code, DF_STR_ARG(message));
	snprintf(remote, sizeof(remote), "%d", code);
	df_error_remote(err, remote);
	return class;
}

int df_ch_error_code(const struct df_error *err)
{
	return err ? atoi(err->remote) : 0;
}
