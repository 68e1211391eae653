/*
 * Records: a byte stream cut into messages. What the file-like sources share: JSON Lines, one JSON document, or CSV.
 *
 * Bytes are read straight into the arena of the batch that is being filled, and payloads are slices of them: a line is
 * copied only when a batch ends in the middle of it. The caller owns the batch; df_records_emit hands it over and goes
 * on in a new one. A reader belongs to one thread.
 */
#ifndef DF_CONNECTORS_RECORDS_H
#define DF_CONNECTORS_RECORDS_H

#include "connectors/bytes.h"
#include "connectors/interface.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

enum df_format { DF_FORMAT_JSONL, DF_FORMAT_JSON, DF_FORMAT_CSV };

/* Of a setting's text: "jsonl", "json" or "csv". */
enum df_format df_format_of(const char *text);
/* By a file's name, after .gz or .zst is cut off: .json and .geojson, .csv and .tsv; else JSONL. */
enum df_format df_format_by_name(struct df_str name);

/* ---- settings that several connectors share -------------------------------------------------------------- */

struct df_records_settings {
	char *format; /* NULL: by name */
	char *compression;
	int64_t max_line_bytes;
	int64_t max_document_bytes;
	char *delimiter; /* one byte; NULL: by name */
	bool header;
	struct df_strings columns;
	bool empty_as_null;
};

extern const char *const df_format_values[];
extern const char *const df_compression_values[];
int df_check_delimiter(struct df_str text, struct df_error *err); /* one byte, printable or a tab */

/* Rows for a struct S with a member `struct df_records_settings at`. format_default: for people. */
#define DF_RECORDS_FIELDS(S, at, format_default)                                                                       \
	DF_FIELD(S, at.format, "format", 0, .values = df_format_values, .def_doc = format_default, .example = "csv",   \
		 .doc = "`jsonl`: each line is a message; blank lines are skipped, a carriage return before the "      \
			"newline is "                                                                                  \
			"cut off, and a line need not be JSON, but it must be UTF-8. `json`: the whole input is one "  \
			"document and one message. `csv`: each row is a message, an object of strings."),              \
		DF_FIELD(S, at.compression, "compression", 0, .def = "auto", .values = df_compression_values,          \
			 .doc = "`auto` looks at the first bytes. gzip may have several members, zstd several "        \
				"frames."),                                                                            \
		DF_FIELD(S, at.max_line_bytes, "maxLineBytes", 0, .def = "16777216", .min = 1, .max = INT32_MAX,       \
			 .example = "67108864",                                                                        \
			 .doc = "Bytes of the longest line, or CSV row; a longer one ends the run with an error, the " \
				"position stays before it. Memory grows with what is needed, not with this limit."),   \
		DF_FIELD(S, at.max_document_bytes, "maxDocumentBytes", 0, .def = "268435456", .min = 1,                \
			 .max = INT32_MAX, .example = "1073741824",                                                    \
			 .doc = "Format json: bytes of the largest document. It is held in memory while it is worked " \
				"on."),                                                                                \
		DF_FIELD(S, at.delimiter, "delimiter", 0, .check = df_check_delimiter,                                 \
			 .def_doc = "a comma; a tab when the name ends with .tsv", .example = "';'",                   \
			 .doc = "Format csv: the character between two fields."),                                      \
		DF_FIELD(S, at.header, "header", 0, .def = "true",                                                     \
			 .doc = "Format csv: does the first row hold the names of the columns? Without it `columns` "  \
				"must."),                                                                              \
		DF_FIELD(S, at.columns, "columns", 0, .example = "[id, name, price]",                                  \
			 .doc = "Format csv: the names of the columns, used instead of those in the header."),         \
		DF_FIELD(S, at.empty_as_null, "emptyAsNull", 0,                                                        \
			 .doc = "Format csv: an empty field without quotes becomes null instead of an empty string.")

/* ---- reading --------------------------------------------------------------------------------------------- */

struct df_records;

struct df_records_options {
	const struct df_records_settings *settings; /* borrowed */
	enum df_format format;
	char delimiter;
	const char *name;	/* of the input, for errors and metadata; borrowed */
	const char *limit_path; /* what stands before a setting's name in errors: "spec.source.config." */
	bool metadata;		/* set `file` and `line` */
};

/* bytes is borrowed and must outlive the reader. DF_ERR_NO_MEMORY. */
int df_records_new(struct df_bytes *bytes, const struct df_records_options *options, struct df_records **ret,
		   struct df_error *err) df_must_check;
void df_records_free(struct df_records *r); /* accepts NULL */

/* Before the first fill: where in the (uncompressed) stream to begin. Compressed data is read up to there again. */
void df_records_start(struct df_records *r, int64_t offset);

enum df_records_result {
	DF_RECORDS_END = 0,  /* nothing more, for now */
	DF_RECORDS_FULL = 1, /* the batch has enough, or the input has nothing ready: emit what there is */
};

/*
 * Adds messages to *batch (made when NULL), up to the emitter's limits: payload or document or failure, partition,
 * position (number: the offset behind the record), batch->bytes. `final`: at the end of the input a last line without a
 * newline is a line; else it is left for later. A code: see df_bytes_read; also DF_ERR_INVALID_DATA for a record that
 * is too long and for compressed data that ends before the start, and DF_ERR_CONFIG for a header that cannot be used.
 * What was read before stays in the batch, to be emitted first.
 */
int df_records_fill(struct df_records *r, struct df_context *ctx, struct df_emitter *out,
		    struct df_partition *partition, bool final, struct df_batch **batch,
		    struct df_error *err) df_must_check;

/* Hands *batch over; r (may be NULL) goes on in a new one, when it holds the beginning of a record. */
int df_records_emit(struct df_records *r, struct df_context *ctx, struct df_emitter *out, struct df_batch **batch,
		    struct df_error *err) df_must_check;

/* Forgets what was read ahead of the last record, so that the reader refers to no batch; it is read again. Seekable
 * streams only. */
int df_records_park(struct df_records *r, struct df_error *err) df_must_check;

/* The offset behind the last record that was handed out, blank lines included. */
int64_t df_records_offset(const struct df_records *r);

DF_DEFINE_CLEANUP(struct df_records *, df_records_free)

#pragma GCC visibility pop

#endif
