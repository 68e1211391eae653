/*
 * Writers: buffered output to a descriptor in whole steps. What the file-like sinks share.
 *
 * A step is what one `write` of the contract puts out: append to the buffer, spill it when it is large, end the step. A
 * step that fails is undone: a regular file is cut back to where the step began, so that a retry neither doubles nor
 * tears anything. Compressed output is one gzip member or zstd frame per step, so that the same holds there and a file
 * is whole after each. A writer belongs to one thread at a time. The process must ignore SIGPIPE and SIGXFSZ.
 */
#ifndef DF_CONNECTORS_WRITER_H
#define DF_CONNECTORS_WRITER_H

#include "connectors/bytes.h"
#include "message/message.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

#define DF_WRITER_SPILL ((size_t)128 * 1024)

struct df_writer;

/*
 * fd is taken over when `own` (also on failure), and closed by free. name, for errors, is copied. offset: where a
 * regular file ends now. DF_ERR_NO_MEMORY, DF_ERR_CONFIG (zstd in a build without it).
 */
int df_writer_new(int fd, bool own, const char *name, enum df_compression compression, struct df_writer **ret,
		  struct df_error *err) df_must_check;
void df_writer_free(struct df_writer *w); /* accepts NULL; what was not ended is lost */

/* Append to it. Look at `failed` (DF_ERR_NO_MEMORY), then undo. */
struct df_buf *df_writer_buf(struct df_writer *w);

/*
 * Spill writes the buffer out when it holds more than DF_WRITER_SPILL; end writes all and ends the step. On failure the
 * step is undone and the buffer empty. DF_ERR_TRANSIENT: no space; DF_ERR_CONNECTION: a stale network file;
 * DF_ERR_CANCELED; DF_ERR_UNKNOWN: all else, a reader that is gone (EPIPE) and a size limit (EFBIG) included. ctx is
 * waited with only for pipes and terminals.
 */
int df_writer_spill(struct df_writer *w, struct df_context *ctx, struct df_error *err) df_must_check;
int df_writer_end(struct df_writer *w, struct df_context *ctx, struct df_error *err) df_must_check;
void df_writer_undo(struct df_writer *w);

/* May a write have to wait for a reader? Then it needs a context that close cancels; a regular file needs none. */
bool df_writer_waits(const struct df_writer *w);

/* fsync of a regular file. */
int df_writer_sync(struct df_writer *w, struct df_error *err) df_must_check;
/* Has the file no name any more, so that what is in it goes with the descriptor? */
bool df_writer_deleted(const struct df_writer *w);

/* Bytes in the file after the last step that ended. */
int64_t df_writer_size(const struct df_writer *w);

/*
 * Appends the message as one line. DF_ERR_INVALID_DATA, and nothing is appended: an empty payload, and one that holds a
 * newline and is not JSON (JSON is written compact). Parses into arena when it has to. Out of memory: buf->failed.
 */
int df_writer_add_line(struct df_buf *buf, struct df_message *m, struct df_arena *arena,
		       struct df_error *err) df_must_check;

DF_DEFINE_CLEANUP(struct df_writer *, df_writer_free)

#pragma GCC visibility pop

#endif
