#include "connectors/file/file.h"

char df_file_delimiter(const char *setting, const char *path)
{
	struct df_str stem;

	if (setting)
		return *setting;
	df_compression_by_name(df_str_c(path), &stem);
	return df_str_ends(stem, DF_STR(".tsv")) ? '\t' : ',';
}

/* ---- source ---------------------------------------------------------------------------------------------- */

static const char *const from_values[] = { "start", "end", NULL };

static const struct df_field source_fields[] = {
	DF_FIELD(struct file_source_settings, path, "path", DF_REQUIRED | DF_NO_BLANK, .example = "/data/in/*.jsonl",
		 .doc = "The file to read, or a pattern with `*`, `?` and `[...]`; matching files are read by name. A "
			"path that exists is taken as it stands, whatever characters it has."),
	DF_RECORDS_FIELDS(struct file_source_settings, records,
			  "by the name: .json and .geojson, .csv and .tsv; else jsonl"),
	DF_FIELD(struct file_source_settings, from, "from", 0, .def = "start", .values = from_values,
		 .doc = "Where a file that was there at the start and has no position yet begins. Files that come "
			"later begin at their start."),
	DF_FIELD(struct file_source_settings, follow, "follow", 0,
		 .doc = "Go on when files grow, come or are rotated (renamed or truncated), as `tail -F` does. A last "
			"line without a newline waits for it. Not for compressed files and not for format json. Uses "
			"inotify, which does not see what other machines write to a network file system."),
	DF_FIELD(struct file_source_settings, metadata, "metadata", 0,
		 .doc = "Set the metadata `file` (path) and `line` (number of the line, from 1) of every message."),
};

static void check_source(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct file_source_settings *s = settings;
	enum df_format format;

	if (!s->path)
		return;
	format = s->records.format ? df_format_of(s->records.format) : df_format_by_name(df_str_c(s->path));
	if (!s->records.header && s->records.columns.count == 0 && format == DF_FORMAT_CSV)
		df_diag_error(diags, place, "header", "without a header `columns` must name the columns");
	if (s->follow && format == DF_FORMAT_JSON)
		df_diag_error(diags, place, "follow", "format json is one whole document; follow needs jsonl or csv");
	if (s->follow && s->records.compression && df_compression_of(s->records.compression) >= DF_COMPRESSION_GZIP)
		df_diag_error(diags, place, "follow", "a compressed file cannot be followed");
}

static const struct df_rule source_rules[] = {
	{ DF_RULE_CHECK, .fn = check_source },
	{ DF_RULE_REQUIRES,
	  { "from", "follow" },
	  .value = "end",
	  .text = "`from: end` reads only what comes later: set `follow: true`" },
};

static const struct df_table source_table = DF_TABLE_RULES(struct file_source_settings, source_fields, source_rules);

static const struct df_type source_type = {
	.name = "file",
	.title = "Reads JSON Lines, JSON or CSV files",
	.doc = "Reads files in the order of their names and ends, or follows them. Each file is a partition of its "
	       "own; the\n"
	       "position is the offset behind the last record (in the uncompressed stream). The checkpoint keeps for "
	       "each file\n"
	       "its path, device, inode, a fingerprint of its first 256 bytes and the offset: a file that was read is "
	       "not read\n"
	       "again, one that was renamed is recognised, one that was written anew (other first bytes, or shorter "
	       "than the\n"
	       "offset) is read from its start.\n\n"
	       "A record that cannot be decoded (invalid UTF-8, a CSV row with too few or too many fields) goes to the "
	       "error\n"
	       "sink, or stops the pipeline, with `FILE:LINE` in its error. What makes the rest of a file unreadable "
	       "(truncated\n"
	       "or damaged compressed data, a line above the limit) ends the run with an error, after everything "
	       "before it was\n"
	       "delivered.",
	.settings = &source_table,
	.example = "type: file\n"
		   "config:\n"
		   "  path: /data/in/orders.jsonl\n",
};

/* ---- sink ------------------------------------------------------------------------------------------------ */

static const char *const sink_format_values[] = { "jsonl", "csv", NULL };
static const char *const mode_values[] = { "append", "atomic", NULL };

static const struct df_field sink_fields[] = {
	DF_FIELD(struct file_sink_settings, path, "path", DF_REQUIRED | DF_NO_BLANK,
		 .example = "/data/out/orders.jsonl", .doc = "The file to write. Its directory must exist."),
	DF_FIELD(struct file_sink_settings, format, "format", 0, .values = sink_format_values,
		 .def_doc = "csv when the name ends with .csv or .tsv; else jsonl", .example = "csv",
		 .doc = "`jsonl`: each message is a line, JSON or not; JSON that has newlines is written without them, "
			"other payloads with newlines and empty payloads are refused. `csv`: each message must be an "
			"object and is a row."),
	DF_FIELD(struct file_sink_settings, compression, "compression", 0, .def = "auto",
		 .values = df_compression_values,
		 .doc = "`auto` looks at the name: .gz, .zst. Compressed output is written in larger groups (up to "
			"5000 messages or 5 seconds), each a gzip member or zstd frame that can be read at once."),
	DF_FIELD(struct file_sink_settings, mode, "mode", 0, .def = "append", .values = mode_values,
		 .doc = "`append`: to what is there. `atomic`: a hidden temporary file in the same directory takes the "
			"name when the run is complete, so that readers see the old file or the whole new one; "
			"positions are committed only then. The new file holds what this run wrote, and, when the "
			"source went on behind a saved position, what the old one held before it."),
	DF_FIELD(struct file_sink_settings, rotate_bytes, "rotateBytes", 0, .def = "0", .min = 0, .max = INT64_MAX,
		 .example = "104857600",
		 .doc = "Begin a new file when this size is reached: `orders.jsonl` becomes orders-000001.jsonl, "
			"orders-000002.jsonl ... A file ends with the write that reaches the size. 0: one file."),
	DF_FIELD(struct file_sink_settings, delimiter, "delimiter", 0, .check = df_check_delimiter,
		 .def_doc = "a comma; a tab when the name ends with .tsv", .example = "';'",
		 .doc = "Format csv: the character between two fields."),
	DF_FIELD(struct file_sink_settings, header, "header", 0, .def = "true",
		 .doc = "Format csv: begin each new file with the names of the columns."),
	DF_FIELD(struct file_sink_settings, columns, "columns", 0, .example = "[id, name, price]",
		 .def_doc = "those of the file that is appended to, else the keys of the first message",
		 .doc = "Format csv: the columns. A message with another key is refused; a missing key or null is an "
			"empty field, an empty string is written as \"\", objects and arrays as JSON."),
};

static const struct df_rule sink_rules[] = {
	{ DF_RULE_FORBIDS,
	  { "mode", "rotateBytes" },
	  .value = "atomic",
	  .text = "`mode: atomic` makes one file when the run is complete: leave `rotateBytes` out" },
};

static const struct df_table sink_table = DF_TABLE_RULES(struct file_sink_settings, sink_fields, sink_rules);

static const struct df_type sink_type = {
	.name = "file",
	.title = "Writes JSON Lines or CSV files",
	.doc = "A write is confirmed when it is in the file; positions are committed after an fsync. A write that "
	       "fails (full\n"
	       "disk) is taken back, so that its retry neither doubles nor tears a line. What a killed run left is "
	       "repaired when\n"
	       "the file is opened: an unfinished last line is cut off (its message was never confirmed and comes "
	       "again), a\n"
	       "complete JSON line without a newline gets one, a torn gzip member or zstd frame is cut off. The file "
	       "is locked\n"
	       "(flock), because two writers would spoil it.",
	.settings = &sink_table,
	.example = "type: file\n"
		   "config:\n"
		   "  path: /data/out/orders.jsonl\n",
};

const struct df_connector df_connector_file = {
	.source = &source_type,
	.sink = &sink_type,
	.source_ops = DF_WITH_FILE ? &df_file_source_ops : NULL,
	.sink_ops = DF_WITH_FILE ? &df_file_sink_ops : NULL,
};
