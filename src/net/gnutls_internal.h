/* GnuTLS, loaded when a server first needs it; calls read as they always do. */
#ifndef DF_NET_GNUTLS_INTERNAL_H
#define DF_NET_GNUTLS_INTERNAL_H

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "base/library.h"

#define DF_GNUTLS_FUNCTIONS(F)                   \
	F(gnutls_pcert_list_import_x509_raw)     \
	F(gnutls_privkey_deinit)                 \
	F(gnutls_privkey_import_x509_raw)        \
	F(gnutls_privkey_init)                   \
	F(gnutls_rnd)                            \
	F(gnutls_strerror)                       \
	F(gnutls_x509_crt_check_hostname)        \
	F(gnutls_x509_crt_deinit)                \
	F(gnutls_x509_crt_export2)               \
	F(gnutls_x509_crt_get_activation_time)   \
	F(gnutls_x509_crt_get_expiration_time)   \
	F(gnutls_x509_crt_get_key_id)            \
	F(gnutls_x509_crt_import)                \
	F(gnutls_x509_crt_init)                  \
	F(gnutls_x509_crt_set_activation_time)   \
	F(gnutls_x509_crt_set_authority_key_id)  \
	F(gnutls_x509_crt_set_basic_constraints) \
	F(gnutls_x509_crt_set_dn)                \
	F(gnutls_x509_crt_set_expiration_time)   \
	F(gnutls_x509_crt_set_key)               \
	F(gnutls_x509_crt_set_key_purpose_oid)   \
	F(gnutls_x509_crt_set_key_usage)         \
	F(gnutls_x509_crt_set_serial)            \
	F(gnutls_x509_crt_set_subject_alt_name)  \
	F(gnutls_x509_crt_set_subject_key_id)    \
	F(gnutls_x509_crt_set_version)           \
	F(gnutls_x509_crt_sign2)                 \
	F(gnutls_x509_privkey_deinit)            \
	F(gnutls_x509_privkey_export2)           \
	F(gnutls_x509_privkey_generate)          \
	F(gnutls_x509_privkey_get_key_id)        \
	F(gnutls_x509_privkey_import)            \
	F(gnutls_x509_privkey_init)

struct df_gnutls {
	DF_GNUTLS_FUNCTIONS(DF_LIBRARY_MEMBER)
};
extern struct df_gnutls df_gnutls;
int df_gnutls_load(struct df_error *err) df_must_check;

#endif
