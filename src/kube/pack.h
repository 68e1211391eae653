/*
 * Texts that look like each other, kept small: each is deflated (RFC 1951) with the first one as the dictionary, so
 * that of the thousandth Deployment little more stays than what makes it another. The same text always packs to the
 * same bytes.
 */
#ifndef DF_KUBE_PACK_H
#define DF_KUBE_PACK_H

#include "base/str.h"

struct df_kube_packer;

struct df_kube_packed {
	char *data; /* heap; NULL: none */
	uint32_t len, text_len;
};

struct df_kube_packer *df_kube_packer_new(void);    /* NULL: out of memory */
void df_kube_packer_free(struct df_kube_packer *p); /* accepts NULL */

/* One thread at a time. DF_ERR_NO_MEMORY. */
int df_kube_pack(struct df_kube_packer *p, struct df_str text, struct df_kube_packed *ret,
		 struct df_error *err) df_must_check;
/* Any thread, also while another packs. out has text_len bytes. DF_ERR_NO_MEMORY. */
int df_kube_unpack(const struct df_kube_packer *p, const struct df_kube_packed *packed, char *out,
		   struct df_error *err) df_must_check;

#endif
