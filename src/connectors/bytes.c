#include "connectors/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>
#ifdef DF_WITH_ZSTD
#include <zstd.h>
#endif

#define RAW_SIZE ((size_t)64 * 1024)
#define MAGIC_MAX 4

struct df_bytes {
	int fd;
	const char *name;
	enum df_compression compression;
	bool regular;
	bool ended;	    /* read(2) returned 0 */
	int64_t first_size; /* of a regular file when it was opened */

	/* Bytes of the descriptor that are not used yet; NULL when none were ever read ahead. */
	unsigned char *raw;
	size_t raw_at, raw_len;
	int64_t raw_offset; /* of raw[raw_len] */

	bool inside;	  /* a member or frame has begun and not ended */
	int64_t complete; /* offset behind the last one that ended */
	z_stream *gzip;
#ifdef DF_WITH_ZSTD
	ZSTD_DStream *zstd;
#endif
};

/* ---- names of compressions ------------------------------------------------------------------------------- */

enum df_compression df_compression_of(const char *text)
{
	static const char *const names[] = { "auto", "none", "gzip", "zstd" };

	for (size_t i = 0; text && i < DF_ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0)
			return (enum df_compression)i;
	}
	return DF_COMPRESSION_AUTO;
}

enum df_compression df_compression_by_name(struct df_str name, struct df_str *ret_stem)
{
	static const struct {
		struct df_str end;
		enum df_compression compression;
	} ends[] = { { DF_STR(".gz"), DF_COMPRESSION_GZIP }, { DF_STR(".zst"), DF_COMPRESSION_ZSTD } };

	for (size_t i = 0; i < DF_ARRAY_SIZE(ends); i++) {
		if (!df_str_ends(name, ends[i].end))
			continue;
		if (ret_stem)
			*ret_stem = df_str(name.ptr, name.len - ends[i].end.len);
		return ends[i].compression;
	}
	if (ret_stem)
		*ret_stem = name;
	return DF_COMPRESSION_NONE;
}

int df_compression_supported(enum df_compression compression, struct df_error *err)
{
#ifndef DF_WITH_ZSTD
	if (compression == DF_COMPRESSION_ZSTD)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"this build cannot read or write zstd: install libzstd-dev and build with -Dzstd=enabled");
#endif
	(void)compression;
	(void)err;
	return 0;
}

/* ---- the descriptor -------------------------------------------------------------------------------------- */

int df_bytes_new(int fd, const char *name, enum df_compression compression, struct df_bytes **ret, struct df_error *err)
{
	struct df_bytes *b = calloc(1, sizeof(*b));
	struct stat st;

	*ret = NULL;
	if (!b)
		return df_error_no_memory(err);
	*b = (struct df_bytes){ .fd = fd, .name = name, .compression = compression };
	b->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	b->first_size = b->regular ? st.st_size : 0;
	*ret = b;
	return 0;
}

void df_bytes_free(struct df_bytes *b)
{
	if (!b)
		return;
	if (b->gzip)
		inflateEnd(b->gzip);
	free(b->gzip);
#ifdef DF_WITH_ZSTD
	ZSTD_freeDStream(b->zstd);
#endif
	free(b->raw);
	free(b);
}

static int bytes_wait(struct df_bytes *b, struct df_context *ctx, struct df_error *err)
{
	int r = b->regular ? df_context_check(ctx, err) : df_context_wait_fd(ctx, b->fd, POLLIN, -1);

	if (r == 0 || b->regular)
		return r;
	return df_context_canceled(ctx) ? df_context_check(ctx, err)
					: df_error_set(err, r, "cannot wait for input from %s", b->name);
}

/* Straight from the descriptor. */
static int bytes_pull(struct df_bytes *b, struct df_context *ctx, void *out, size_t cap, size_t *ret_len,
		      struct df_error *err)
{
	ssize_t n;
	int r;

	do {
		r = bytes_wait(b, ctx, err);
		if (r < 0)
			return r;
		n = read(b->fd, out, cap);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return df_error_errno(err, errno == ESTALE ? DF_ERR_CONNECTION : DF_ERR_UNKNOWN, errno,
				      "cannot read %s", b->name);
	b->ended = n == 0;
	b->raw_offset += n;
	*ret_len = (size_t)n;
	return 0;
}

/* More bytes behind those that wait in raw. */
static int bytes_pull_raw(struct df_bytes *b, struct df_context *ctx, struct df_error *err)
{
	size_t n;
	int r;

	if (!b->raw) {
		b->raw = malloc(RAW_SIZE);
		if (!b->raw)
			return df_error_no_memory(err);
	}
	if (b->raw_at == b->raw_len)
		b->raw_at = b->raw_len = 0;
	r = bytes_pull(b, ctx, b->raw + b->raw_len, RAW_SIZE - b->raw_len, &n, err);
	if (r == 0)
		b->raw_len += n;
	return r;
}

/* ---- auto ------------------------------------------------------------------------------------------------ */

/* What data begins with. AUTO: too short to tell. */
static enum df_compression magic_of(const unsigned char *data, size_t len)
{
	static const struct {
		unsigned char bytes[MAGIC_MAX];
		size_t len;
		enum df_compression compression;
	} magics[] = {
		{ { 0x1f, 0x8b }, 2, DF_COMPRESSION_GZIP },
		{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, DF_COMPRESSION_ZSTD },
	};

	for (size_t i = 0; i < DF_ARRAY_SIZE(magics); i++) {
		size_t n = len < magics[i].len ? len : magics[i].len;

		if (memcmp(data, magics[i].bytes, n) == 0)
			return n == magics[i].len ? magics[i].compression : DF_COMPRESSION_AUTO;
	}
	return DF_COMPRESSION_NONE;
}

/* Reads ahead as far as needed to tell; a regular file is looked at without moving it. */
int df_bytes_detect(struct df_bytes *b, struct df_context *ctx, struct df_error *err)
{
	enum df_compression found = DF_COMPRESSION_AUTO;

	if (b->compression != DF_COMPRESSION_AUTO)
		return 0;
	if (b->regular) {
		unsigned char head[MAGIC_MAX];
		off_t at = lseek(b->fd, 0, SEEK_CUR);
		ssize_t n = pread(b->fd, head, sizeof(head), at < 0 ? 0 : at);

		found = magic_of(head, n < 0 ? 0 : (size_t)n);
		if (n == 0)
			return 0; /* still empty */
		b->compression = found == DF_COMPRESSION_AUTO ? DF_COMPRESSION_NONE : found;
		return df_compression_supported(b->compression, err);
	}
	while (found == DF_COMPRESSION_AUTO && !b->ended) {
		int r = bytes_pull_raw(b, ctx, err);

		if (r < 0)
			return r;
		found = magic_of(b->raw, b->raw_len);
	}
	b->compression = found == DF_COMPRESSION_AUTO ? DF_COMPRESSION_NONE : found;
	return df_compression_supported(b->compression, err);
}

enum df_compression df_bytes_compression(const struct df_bytes *b)
{
	return b->compression;
}

/* ---- compressed ------------------------------------------------------------------------------------------ */

static int64_t bytes_used(const struct df_bytes *b)
{
	return b->raw_offset - (int64_t)(b->raw_len - b->raw_at);
}

static int bytes_truncated(const struct df_bytes *b, const char *format, struct df_error *err)
{
	return df_error_set(
		err, DF_ERR_INVALID_DATA,
		"%s: truncated %s data: it ends at byte %" PRId64
		" in the middle of a compressed block; everything before it was read. Get the whole file again",
		b->name, format, b->raw_offset);
}

static int bytes_damaged(const struct df_bytes *b, const char *format, const char *why, struct df_error *err)
{
	return df_error_set(err, DF_ERR_INVALID_DATA,
			    "%s: damaged %s data near byte %" PRId64 ": %s; everything before it was read", b->name,
			    format, bytes_used(b), why);
}

static int gzip_begin(struct df_bytes *b, struct df_error *err)
{
	if (b->gzip)
		return inflateReset(b->gzip) == Z_OK ? 0 : df_error_no_memory(err);
	b->gzip = calloc(1, sizeof(*b->gzip));
	if (!b->gzip)
		return df_error_no_memory(err);
	if (inflateInit2(b->gzip, 15 + 16) != Z_OK) {
		free(DF_TAKE(b->gzip));
		return df_error_no_memory(err);
	}
	return 0;
}

/* One step; *ret_len bytes came out, maybe none. */
static int gzip_step(struct df_bytes *b, char *out, size_t cap, size_t *ret_len, struct df_error *err)
{
	int r = b->inside ? 0 : gzip_begin(b, err);

	if (r < 0)
		return r;
	z_stream *z = b->gzip;
	b->inside = true;
	z->next_in = b->raw + b->raw_at;
	z->avail_in = (uInt)(b->raw_len - b->raw_at);
	z->next_out = (Bytef *)out;
	z->avail_out = cap < UINT32_MAX ? (uInt)cap : UINT32_MAX;
	int status = inflate(z, Z_NO_FLUSH);
	b->raw_at = b->raw_len - z->avail_in;
	*ret_len = (size_t)((char *)z->next_out - out);
	if (status == Z_MEM_ERROR)
		return df_error_no_memory(err);
	if (status != Z_OK && status != Z_BUF_ERROR && status != Z_STREAM_END)
		return bytes_damaged(b, "gzip", z->msg ? z->msg : "unknown block", err);
	b->inside = status != Z_STREAM_END;
	return 0;
}

#ifdef DF_WITH_ZSTD
static int zstd_step(struct df_bytes *b, char *out, size_t cap, size_t *ret_len, struct df_error *err)
{
	ZSTD_inBuffer in = { b->raw, b->raw_len, b->raw_at };
	ZSTD_outBuffer to = { out, cap, 0 };

	if (!b->zstd)
		b->zstd = ZSTD_createDStream();
	if (!b->zstd)
		return df_error_no_memory(err);
	size_t status = ZSTD_decompressStream(b->zstd, &to, &in);
	b->raw_at = in.pos;
	*ret_len = to.pos;
	if (ZSTD_isError(status))
		return bytes_damaged(b, "zstd", ZSTD_getErrorName(status), err);
	b->inside = status != 0;
	return 0;
}
#else
static int zstd_step(struct df_bytes *b, char *out, size_t cap, size_t *ret_len, struct df_error *err)
{
	(void)b, (void)out, (void)cap, (void)ret_len;
	return df_compression_supported(DF_COMPRESSION_ZSTD, err);
}
#endif

/* Padding behind the last member: tapes and block devices fill up with zeros. */
static void skip_padding(struct df_bytes *b)
{
	while (!b->inside && b->complete > 0 && b->raw_at < b->raw_len && b->raw[b->raw_at] == 0)
		b->raw_at++;
}

static int bytes_decompress(struct df_bytes *b, struct df_context *ctx, char *out, size_t cap, size_t *ret_len,
			    struct df_error *err)
{
	bool gzip = b->compression == DF_COMPRESSION_GZIP;

	for (*ret_len = 0; *ret_len == 0;) {
		int r = 0;

		skip_padding(b);
		if (b->raw_at == b->raw_len && !b->ended)
			r = bytes_pull_raw(b, ctx, err);
		if (r < 0)
			return r;
		bool starved = b->raw_at == b->raw_len;
		if (starved && !b->ended)
			continue;
		if (starved && !b->inside)
			return 0;
		/* A decompressor that is starved may still hold output. */
		r = gzip ? gzip_step(b, out, cap, ret_len, err) : zstd_step(b, out, cap, ret_len, err);
		if (r < 0)
			return r;
		if (!b->inside)
			b->complete = bytes_used(b);
		else if (starved && *ret_len == 0)
			return bytes_truncated(b, gzip ? "gzip" : "zstd", err);
	}
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* What was read ahead to detect the compression comes first. */
static int bytes_plain(struct df_bytes *b, struct df_context *ctx, char *out, size_t cap, size_t *ret_len,
		       struct df_error *err)
{
	size_t ahead = b->raw_len - b->raw_at;

	if (ahead == 0 && b->ended && !b->regular)
		return 0; /* a terminal would ask for a second end */
	if (ahead == 0)
		return bytes_pull(b, ctx, out, cap, ret_len, err);
	*ret_len = ahead < cap ? ahead : cap;
	memcpy(out, b->raw + b->raw_at, *ret_len);
	b->raw_at += *ret_len;
	return 0;
}

int df_bytes_read(struct df_bytes *b, struct df_context *ctx, char *out, size_t cap, size_t *ret_len,
		  struct df_error *err)
{
	int r = df_bytes_detect(b, ctx, err);

	*ret_len = 0;
	if (r < 0)
		return r;
	if (b->compression == DF_COMPRESSION_GZIP || b->compression == DF_COMPRESSION_ZSTD)
		return bytes_decompress(b, ctx, out, cap, ret_len, err);
	return bytes_plain(b, ctx, out, cap, ret_len, err);
}

bool df_bytes_ready(struct df_bytes *b)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };

	return b->regular || b->raw_at < b->raw_len || poll(&p, 1, 0) != 0;
}

/* ---- seeking --------------------------------------------------------------------------------------------- */

bool df_bytes_seekable(const struct df_bytes *b)
{
	return b->regular && (b->compression == DF_COMPRESSION_NONE || b->compression == DF_COMPRESSION_AUTO);
}

int df_bytes_seek(struct df_bytes *b, int64_t offset, struct df_error *err)
{
	if (lseek(b->fd, offset, SEEK_SET) < 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot go to byte %" PRId64 " of %s", offset,
				      b->name);
	b->ended = false;
	b->raw_offset = offset;
	return 0;
}

int64_t df_bytes_count_lines(const struct df_bytes *b, int64_t offset)
{
	df_cleanup(df_freep) char *buffer = malloc(RAW_SIZE);
	int64_t lines = 0;

	for (int64_t at = 0; buffer && at < offset;) {
		int64_t left = offset - at;
		ssize_t n = pread(b->fd, buffer, left < (int64_t)RAW_SIZE ? (size_t)left : RAW_SIZE, at);

		if (n <= 0)
			return -1;
		for (ssize_t i = 0; i < n; i++)
			lines += buffer[i] == '\n';
		at += n;
	}
	return buffer ? lines : -1;
}

size_t df_bytes_size_hint(const struct df_bytes *b)
{
	struct stat st;
	off_t at = lseek(b->fd, 0, SEEK_CUR);

	if (!df_bytes_seekable(b) || at < 0 || fstat(b->fd, &st) < 0 || st.st_size <= at)
		return 0;
	return (size_t)(st.st_size - at);
}

int df_bytes_check_end(const struct df_bytes *b, struct df_error *err)
{
	struct stat st;
	off_t at = lseek(b->fd, 0, SEEK_CUR);

	/* Files of the kernel are empty and can be read. */
	if (!df_bytes_seekable(b) || b->first_size == 0 || at < 0 || fstat(b->fd, &st) < 0 || st.st_size >= at)
		return 0;
	return df_error_set(err, DF_ERR_INVALID_DATA,
			    "%s became shorter while it was read (%" PRId64 " bytes, %" PRId64
			    " were read): its last record may be torn",
			    b->name, (int64_t)st.st_size, (int64_t)at);
}

int64_t df_bytes_complete(const struct df_bytes *b)
{
	return b->complete;
}
