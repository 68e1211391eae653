#include "operator/names.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "operator/text.h"

#define RUN_ID_LEN 8
#define JOB_NAME_MAX 63 /* it becomes a label's value */

const char *df_text(struct df_arena *arena, const char *fmt, ...)
{
	df_cleanup(df_freep) char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return NULL;
	}
	return df_arena_dup(arena, df_str(text, (size_t)n)).ptr;
}

/* A cron has its checkpoint where a flow of its name would have it, as in the original: restored backups fit. */
static const struct {
	const char *prefixes[2]; /* by enum df_manifest_kind */
	const char *suffix;
} names[] = {
	[DF_NAME_SPEC] = { { "df-", "dfc-" }, "-spec" },
	[DF_NAME_CHECKPOINT] = { { "df-", "df-" }, "-checkpoint" },
	[DF_NAME_PROCESSOR] = { { "df-", "df-" }, "-processor" },
	[DF_NAME_WORKLOAD] = { { "df-", "dfc-" }, "" },
};

const char *df_object_name(enum df_object_name which, enum df_manifest_kind kind, const char *name,
			   struct df_arena *arena)
{
	return df_text(arena, "%s%s%s", names[which].prefixes[kind], name, names[which].suffix);
}

static void short_digest(const char *text, char ret[static RUN_ID_LEN + 1])
{
	char hex[DF_SHA1_HEX];

	df_sha1_hex(df_str_c(text), hex);
	memcpy(ret, hex, RUN_ID_LEN);
	ret[RUN_ID_LEN] = 0;
}

void df_run_id(const char *processor_job, char ret[static RUN_ID_LEN + 1])
{
	short_digest(processor_job, ret);
}

const char *df_trigger_job_name(const char *name, const char *run_id, unsigned index, struct df_arena *arena)
{
	const char *whole = df_text(arena, "dfc-%s-%s-trigger-%u", name, run_id, index);
	char digest[RUN_ID_LEN + 1];

	if (!whole || strlen(whole) <= JOB_NAME_MAX)
		return whole;
	short_digest(whole, digest);
	return df_text(arena, "%.*s-%s", JOB_NAME_MAX - 1 - RUN_ID_LEN, whole, digest);
}

const char *df_mirror_name(const char *namespace, const char *secret, struct df_arena *arena)
{
	return df_text(arena, DF_MIRROR_PREFIX "%s.%s", namespace, secret);
}

/* A namespace is a label, without a dot; a Secret's name may have some. */
bool df_mirror_parse(const char *name, struct df_str *ret_namespace, struct df_str *ret_secret)
{
	struct df_str text = df_str_c(name), prefix = DF_STR(DF_MIRROR_PREFIX);
	const char *dot;

	if (!df_str_starts(text, prefix))
		return false;
	name += prefix.len;
	dot = strchr(name, '.');
	if (!dot)
		return false;
	*ret_namespace = df_str(name, (size_t)(dot - name));
	*ret_secret = df_str_c(dot + 1);
	return ret_namespace->len && ret_secret->len;
}
