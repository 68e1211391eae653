#include "connectors/writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>
#ifdef DF_WITH_ZSTD
#include <zstd.h>
#endif

#define PACKED_SIZE ((size_t)64 * 1024)

struct df_writer {
	int fd;
	bool own;
	bool regular;
	char *name;
	enum df_compression compression;
	struct df_buf buf;
	int64_t size;	 /* of the file when the step began */
	int64_t stepped; /* bytes written since */

	bool packing; /* a member or frame is open */
	unsigned char *packed;
	z_stream *gzip;
#ifdef DF_WITH_ZSTD
	ZSTD_CStream *zstd;
#endif
};

/* ---- making ---------------------------------------------------------------------------------------------- */

static int writer_init(struct df_writer *w, const char *name, struct df_error *err)
{
	struct stat st;

	w->name = df_str_dup(df_str_c(name));
	if (!w->name)
		return df_error_no_memory(err);
	w->regular = fstat(w->fd, &st) == 0 && S_ISREG(st.st_mode);
	w->size = w->regular ? st.st_size : 0;
	if (w->compression == DF_COMPRESSION_NONE)
		return 0;
	w->packed = malloc(PACKED_SIZE);
	return w->packed ? df_compression_supported(w->compression, err) : df_error_no_memory(err);
}

int df_writer_new(int fd, bool own, const char *name, enum df_compression compression, struct df_writer **ret,
		  struct df_error *err)
{
	df_cleanup(df_writer_freep) struct df_writer *w = calloc(1, sizeof(*w));
	int r;

	*ret = NULL;
	if (!w) {
		if (own)
			close(fd);
		return df_error_no_memory(err);
	}
	w->fd = fd;
	w->own = own;
	w->compression = compression;
	r = writer_init(w, name, err);
	if (r == 0)
		*ret = DF_TAKE(w);
	return r;
}

void df_writer_free(struct df_writer *w)
{
	if (!w)
		return;
	if (w->gzip)
		deflateEnd(w->gzip);
	free(w->gzip);
#ifdef DF_WITH_ZSTD
	ZSTD_freeCStream(w->zstd);
#endif
	if (w->own)
		close(w->fd);
	df_buf_done(&w->buf);
	free(w->packed);
	free(w->name);
	free(w);
}

struct df_buf *df_writer_buf(struct df_writer *w)
{
	return &w->buf;
}

int64_t df_writer_size(const struct df_writer *w)
{
	return w->size;
}

bool df_writer_waits(const struct df_writer *w)
{
	return !w->regular;
}

/* ---- the descriptor -------------------------------------------------------------------------------------- */

static int write_error(const struct df_writer *w, int errnum, struct df_error *err)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		return df_error_errno(err, DF_ERR_TRANSIENT, errnum, "cannot write %s, make room on its file system",
				      w->name);
	case EFBIG:
		return df_error_errno(
			err, DF_ERR_UNKNOWN, errnum,
			"cannot write %s, it reached the size limit of the process (ulimit -f) or of its file system",
			w->name);
	case EPIPE:
		return df_error_errno(err, DF_ERR_UNKNOWN, errnum, "cannot write %s, nobody reads it any more",
				      w->name);
	case ESTALE:
		return df_error_errno(err, DF_ERR_CONNECTION, errnum, "cannot write %s", w->name);
	default:
		return df_error_errno(err, DF_ERR_UNKNOWN, errnum, "cannot write %s", w->name);
	}
}

/* A pipe takes PIPE_BUF bytes without blocking when poll says that it is ready; more could block beyond a cancel. The
 * descriptor may be shared with other programs, so that O_NONBLOCK is not ours to set. */
static int wait_writable(const struct df_writer *w, struct df_context *ctx, struct df_error *err)
{
	int r = df_context_wait_fd(ctx, w->fd, POLLOUT, -1);

	if (r == 0)
		return 0;
	return df_context_canceled(ctx) ? df_context_check(ctx, err)
					: df_error_set(err, r, "cannot wait for room in %s", w->name);
}

static int write_all(struct df_writer *w, struct df_context *ctx, const void *data, size_t len, struct df_error *err)
{
	const char *at = data;

	while (len > 0) {
		size_t part = w->regular || len < PIPE_BUF ? len : PIPE_BUF;
		int r = w->regular ? 0 : wait_writable(w, ctx, err);
		ssize_t n;

		if (r < 0)
			return r;
		n = write(w->fd, at, part);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return write_error(w, n < 0 ? errno : ENOSPC, err);
		at += n;
		len -= (size_t)n;
		w->stepped += n;
	}
	return 0;
}

/* ---- compression ----------------------------------------------------------------------------------------- */

static int gzip_begin(struct df_writer *w, struct df_error *err)
{
	w->packing = true;
	if (w->gzip)
		return deflateReset(w->gzip) == Z_OK ? 0 : df_error_no_memory(err);
	w->gzip = calloc(1, sizeof(*w->gzip));
	if (!w->gzip)
		return df_error_no_memory(err);
	if (deflateInit2(w->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK)
		return 0;
	free(DF_TAKE(w->gzip));
	return df_error_no_memory(err);
}

static int gzip_write(struct df_writer *w, struct df_context *ctx, bool end, struct df_error *err)
{
	int r = w->packing ? 0 : gzip_begin(w, err);
	int status = Z_OK;

	if (r < 0)
		return r;
	z_stream *z = w->gzip;
	z->next_in = (Bytef *)w->buf.data;
	z->avail_in = (uInt)w->buf.len;
	do {
		z->next_out = w->packed;
		z->avail_out = PACKED_SIZE;
		status = deflate(z, end ? Z_FINISH : Z_NO_FLUSH);
		r = write_all(w, ctx, w->packed, PACKED_SIZE - z->avail_out, err);
	} while (r == 0 && (end ? status == Z_OK : z->avail_out == 0));
	return r;
}

#ifdef DF_WITH_ZSTD
static int zstd_write(struct df_writer *w, struct df_context *ctx, bool end, struct df_error *err)
{
	ZSTD_inBuffer in = { w->buf.data, w->buf.len, 0 };
	size_t left;
	int r = 0;

	if (!w->zstd)
		w->zstd = ZSTD_createCStream();
	if (!w->zstd)
		return df_error_no_memory(err);
	if (!w->packing)
		ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_only);
	w->packing = true;
	do {
		ZSTD_outBuffer to = { w->packed, PACKED_SIZE, 0 };

		left = ZSTD_compressStream2(w->zstd, &to, &in, end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return df_error_set(err, DF_ERR_NO_MEMORY, "cannot compress for %s: %s", w->name,
					    ZSTD_getErrorName(left));
		r = write_all(w, ctx, w->packed, to.pos, err);
	} while (r == 0 && (end ? left > 0 : in.pos < in.size));
	return r;
}
#else
static int zstd_write(struct df_writer *w, struct df_context *ctx, bool end, struct df_error *err)
{
	(void)w, (void)ctx, (void)end;
	return df_compression_supported(DF_COMPRESSION_ZSTD, err);
}
#endif

/* ---- steps ----------------------------------------------------------------------------------------------- */

void df_writer_undo(struct df_writer *w)
{
	struct stat st;

	w->packing = false;
	w->buf.len = 0;
	w->buf.failed = false;
	/* Only what this step wrote is taken back: somebody else may write the same file. */
	if (w->stepped > 0 && w->regular && fstat(w->fd, &st) == 0 && st.st_size == w->size + w->stepped &&
	    ftruncate(w->fd, w->size) == 0 && lseek(w->fd, w->size, SEEK_SET) >= 0)
		w->stepped = 0;
	w->size += w->stepped;
	w->stepped = 0;
}

static int writer_put(struct df_writer *w, struct df_context *ctx, bool end, struct df_error *err)
{
	int r;

	if (w->buf.failed)
		r = df_error_no_memory(err);
	else if (w->compression == DF_COMPRESSION_NONE)
		r = write_all(w, ctx, w->buf.data, w->buf.len, err);
	else if (w->buf.len == 0 && !w->packing)
		r = 0;
	else if (w->compression == DF_COMPRESSION_GZIP)
		r = gzip_write(w, ctx, end, err);
	else
		r = zstd_write(w, ctx, end, err);
	if (r < 0)
		df_writer_undo(w);
	w->buf.len = 0;
	return r;
}

int df_writer_spill(struct df_writer *w, struct df_context *ctx, struct df_error *err)
{
	return w->buf.len < DF_WRITER_SPILL && !w->buf.failed ? 0 : writer_put(w, ctx, false, err);
}

int df_writer_end(struct df_writer *w, struct df_context *ctx, struct df_error *err)
{
	int r = writer_put(w, ctx, true, err);

	if (r < 0)
		return r;
	w->packing = false;
	w->size += w->stepped;
	w->stepped = 0;
	return 0;
}

int df_writer_sync(struct df_writer *w, struct df_error *err)
{
	if (!w->regular || fsync(w->fd) == 0)
		return 0;
	return write_error(w, errno, err);
}

bool df_writer_deleted(const struct df_writer *w)
{
	struct stat st;

	return w->regular && fstat(w->fd, &st) == 0 && st.st_nlink == 0;
}

/* ---- lines ----------------------------------------------------------------------------------------------- */

static bool all_blank(struct df_str text)
{
	size_t i = 0;

	while (i < text.len && (text.ptr[i] == ' ' || text.ptr[i] == '\t' || text.ptr[i] == '\r'))
		i++;
	return i == text.len;
}

/* A payload that leaves as it came and has newlines: JSON can be written without them. */
static int add_compact(struct df_buf *buf, struct df_message *m, struct df_arena *arena, struct df_error *err)
{
	struct df_value *root = NULL;
	int r = df_message_document(m, arena, &root, err);

	if (r < 0)
		return r;
	if (!root)
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "the payload is not JSON and holds a newline, so that it cannot be one line");
	df_value_write(root, buf);
	return 0;
}

int df_writer_add_line(struct df_buf *buf, struct df_message *m, struct df_arena *arena, struct df_error *err)
{
	int r = 0;

	if (m->document && (m->changed || m->payload.len == 0))
		df_message_write(m, buf);
	else if (all_blank(m->payload))
		r = df_error_set(
			err, DF_ERR_INVALID_DATA,
			"the payload is empty (a tombstone?), and a blank line is no message: filter it out before");
	else if (memchr(m->payload.ptr, '\n', m->payload.len))
		r = add_compact(buf, m, arena, err);
	else
		df_buf_add_str(buf, m->payload);
	if (r == 0)
		df_buf_add_char(buf, '\n');
	return r;
}
