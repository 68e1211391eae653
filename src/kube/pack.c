#include "kube/pack.h"

#include <stdlib.h>

#include <zlib.h>

/* Objects have some KiB; a larger window would be memory of each packer and found no more. */
#define WINDOW_BITS 14
#define MEMORY_LEVEL 6
#define LEVEL 4
#define RAW(bits) (-(bits)) /* zlib's way to say: no header, no checksum */

struct df_kube_packer {
	z_stream deflate;
	bool open;
	char *dictionary; /* set by the first text, and never changed */
	unsigned dictionary_len;
	char *scratch;
	size_t scratch_len;
};

struct df_kube_packer *df_kube_packer_new(void)
{
	return calloc(1, sizeof(struct df_kube_packer));
}

void df_kube_packer_free(struct df_kube_packer *p)
{
	if (!p)
		return;
	if (p->open)
		deflateEnd(&p->deflate);
	free(p->dictionary);
	free(p->scratch);
	free(p);
}

static bool begin(struct df_kube_packer *p, struct df_str text)
{
	if (!p->dictionary) {
		p->dictionary = df_str_dup(text);
		p->dictionary_len = (unsigned)text.len;
	}
	if (!p->open)
		p->open = deflateInit2(&p->deflate, LEVEL, Z_DEFLATED, RAW(WINDOW_BITS), MEMORY_LEVEL,
				       Z_DEFAULT_STRATEGY) == Z_OK;
	return p->dictionary && p->open && deflateReset(&p->deflate) == Z_OK &&
	       deflateSetDictionary(&p->deflate, (const Bytef *)p->dictionary, p->dictionary_len) == Z_OK;
}

static bool reserve(struct df_kube_packer *p, size_t len)
{
	char *scratch = p->scratch_len < len ? realloc(p->scratch, len) : p->scratch;

	if (!scratch)
		return false;
	p->scratch_len = p->scratch_len < len ? len : p->scratch_len;
	p->scratch = scratch;
	return true;
}

int df_kube_pack(struct df_kube_packer *p, struct df_str text, struct df_kube_packed *ret, struct df_error *err)
{
	*ret = (struct df_kube_packed){ .text_len = (uint32_t)text.len };
	if (!begin(p, text) || !reserve(p, deflateBound(&p->deflate, text.len)))
		return df_error_no_memory(err);
	p->deflate.next_in = (Bytef *)text.ptr;
	p->deflate.avail_in = (unsigned)text.len;
	p->deflate.next_out = (Bytef *)p->scratch;
	p->deflate.avail_out = (unsigned)p->scratch_len;
	if (deflate(&p->deflate, Z_FINISH) != Z_STREAM_END)
		return df_error_set(err, DF_ERR_UNKNOWN, "zlib could not pack %zu bytes", text.len);
	ret->len = (uint32_t)(p->scratch_len - p->deflate.avail_out);
	ret->data = malloc(ret->len);
	if (!ret->data)
		return df_error_no_memory(err);
	memcpy(ret->data, p->scratch, ret->len);
	return 0;
}

int df_kube_unpack(const struct df_kube_packer *p, const struct df_kube_packed *packed, char *out, struct df_error *err)
{
	z_stream z = { .next_in = (Bytef *)packed->data,
		       .avail_in = packed->len,
		       .next_out = (Bytef *)out,
		       .avail_out = packed->text_len };
	bool whole;

	if (inflateInit2(&z, RAW(WINDOW_BITS)) != Z_OK)
		return df_error_no_memory(err);
	whole = inflateSetDictionary(&z, (const Bytef *)p->dictionary, p->dictionary_len) == Z_OK &&
		inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0;
	inflateEnd(&z);
	return whole ? 0 : df_error_no_memory(err);
}
