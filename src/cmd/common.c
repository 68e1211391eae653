#include "cmd/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int df_report_diags(const struct df_diags *diags)
{
	struct df_buf buf = { 0 };

	df_diags_print(diags, &buf);
	if (buf.len)
		fwrite(buf.data, 1, buf.len, stderr);
	if (buf.failed || diags->failed)
		fprintf(stderr, "dataflow: out of memory\n");
	df_buf_done(&buf);
	return diags->errors || diags->failed ? DF_EXIT_USAGE : DF_EXIT_OK;
}

void df_note_sentry(void)
{
	const char *dsn = getenv("SENTRY_DSN");

	if (dsn && dsn[0])
		df_info(NULL, "SENTRY_DSN is set, but this build cannot report to Sentry: errors are only logged");
}

const char *const df_log_choices[] = { "auto", "text", "json", NULL };

enum df_log_format df_log_format_of(const char *text)
{
	if (!text || strcmp(text, "auto") == 0)
		return DF_LOG_AUTO;
	return strcmp(text, "json") == 0 ? DF_LOG_JSON : DF_LOG_TEXT;
}

const char *df_human_count(uint64_t n, char *out)
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

const char *df_human_bytes(uint64_t n, char *out)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double d = (double)n;
	size_t unit = 0;

	while (d >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		d /= 1024;
		unit++;
	}
	snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", d, units[unit]);
	return out;
}

const char *df_time_text(int64_t unix_seconds, const struct df_zone *zone, char *out)
{
	int32_t offset = zone ? df_zone_offset(zone, unix_seconds) : 0;

	out[df_rfc3339_format((struct df_instant){ .seconds = unix_seconds }, offset, DF_FRACTION_NONE, out)] = '\0';
	return out;
}

struct df_manifest *df_pick_manifest(const struct df_command *command, struct df_manifests *manifests, const char *name)
{
	if (!name && manifests->count == 1)
		return &manifests->items[0];
	for (size_t i = 0; name && i < manifests->count; i++)
		if (strcmp(manifests->items[i].name, name) == 0)
			return &manifests->items[i];
	if (name)
		df_usage_error(command, "there is no flow called '%s' in this file", name);
	else
		df_usage_error(command, "the file has %zu flows; choose one with --name", manifests->count);
	for (size_t i = 0; i < manifests->count; i++)
		fprintf(stderr, "  %s\n", manifests->items[i].name);
	return NULL;
}

char *df_default_state_dir(void)
{
	const char *own = getenv("DATAFLOW_STATE_DIR"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	struct df_buf buf = { 0 };

	if (own && own[0])
		df_buf_add_c(&buf, own);
	else if (xdg && xdg[0])
		df_buf_printf(&buf, "%s/dataflow", xdg);
	else if (home && home[0])
		df_buf_printf(&buf, "%s/.local/state/dataflow", home);
	else
		df_buf_add_c(&buf, ".dataflow");
	return df_buf_take(&buf);
}
