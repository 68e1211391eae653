/*
 * Byte streams: what a descriptor holds, decompressed on the way. gzip (RFC 1952, any number of members) and zstd (RFC
 * 8878, any number of frames). Shared by the file-like connectors. A stream belongs to one thread.
 */
#ifndef DF_CONNECTORS_BYTES_H
#define DF_CONNECTORS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/context.h"
#include "base/error.h"
#include "base/str.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

enum df_compression {
	DF_COMPRESSION_AUTO, /* by the first bytes: no text begins like gzip or zstd */
	DF_COMPRESSION_NONE,
	DF_COMPRESSION_GZIP,
	DF_COMPRESSION_ZSTD,
};

/* Of a setting's text: "auto", "none", "gzip", "zstd"; anything else is AUTO. */
enum df_compression df_compression_of(const char *text);
/* By the end of a file's name: .gz, .zst; else NONE. *ret_stem, if given, is the name without that end. */
enum df_compression df_compression_by_name(struct df_str name, struct df_str *ret_stem);
/* DF_ERR_CONFIG when this build cannot do it (zstd without libzstd). */
int df_compression_supported(enum df_compression compression, struct df_error *err) df_must_check;

struct df_bytes;

/* fd and name (for errors) are borrowed and must outlive the stream; fd stands at its first byte. Reads nothing yet.
 * DF_ERR_NO_MEMORY. */
int df_bytes_new(int fd, const char *name, enum df_compression compression, struct df_bytes **ret,
		 struct df_error *err) df_must_check;
void df_bytes_free(struct df_bytes *b); /* accepts NULL */

/*
 * Reads 1 to cap bytes into out; *ret_len 0 with 0 is the end (of a growing file: for now, call again later). Pipes and
 * terminals are waited for within ctx. DF_ERR_INVALID_DATA: damaged or truncated compressed data; what came before it
 * was handed out already. DF_ERR_CONNECTION: a stale network file; DF_ERR_UNKNOWN: other I/O errors; DF_ERR_CANCELED.
 */
int df_bytes_read(struct df_bytes *b, struct df_context *ctx, char *out, size_t cap, size_t *ret_len,
		  struct df_error *err) df_must_check;

/* Would read return without waiting? Always true for regular files. */
bool df_bytes_ready(struct df_bytes *b);

/* AUTO is settled now instead of at the first read; an empty regular file stays undecided. */
int df_bytes_detect(struct df_bytes *b, struct df_context *ctx, struct df_error *err) df_must_check;

/* What it is, as far as is known. */
enum df_compression df_bytes_compression(const struct df_bytes *b);

/* A regular file without compression: it can be read again from any offset. */
bool df_bytes_seekable(const struct df_bytes *b);
int df_bytes_seek(struct df_bytes *b, int64_t offset, struct df_error *err) df_must_check;
/* How many newlines there are before this offset of a seekable stream; -1 when it cannot be read. Does not move it. */
int64_t df_bytes_count_lines(const struct df_bytes *b, int64_t offset);
/* At the end of a stream: DF_ERR_INVALID_DATA when a seekable one ends earlier than it was read. */
int df_bytes_check_end(const struct df_bytes *b, struct df_error *err) df_must_check;
/* A guess at how many bytes are still to come; 0 when there is none. */
size_t df_bytes_size_hint(const struct df_bytes *b);

/* Of compressed data: the offset in the descriptor behind the last member or frame that was read completely. */
int64_t df_bytes_complete(const struct df_bytes *b);

DF_DEFINE_CLEANUP(struct df_bytes *, df_bytes_free)

#pragma GCC visibility pop

#endif
