#include "net/certificate.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/gnutls_internal.h"

struct df_gnutls df_gnutls;
DF_LIBRARY_DEFINE(gnutls, "libgnutls.so.30", "the HTTPS server needs it; Debian: package libgnutls30",
		  DF_GNUTLS_FUNCTIONS)

#define SERIAL_BYTES 16
#define KEY_ID_BYTES 20
#define CHAIN_BYTES_MAX (1 << 20)

static void x509_crt_deinitp(gnutls_x509_crt_t *crt)
{
	if (*crt)
		df_gnutls.gnutls_x509_crt_deinit(*crt);
}

static void x509_privkey_deinitp(gnutls_x509_privkey_t *key)
{
	if (*key)
		df_gnutls.gnutls_x509_privkey_deinit(*key);
}

static int failed(struct df_error *err, int code, const char *what)
{
	return df_error_set(err, code == GNUTLS_E_MEMORY_ERROR ? DF_ERR_NO_MEMORY : DF_ERR_CONFIG, "%s: %s", what,
			    df_gnutls.gnutls_strerror(code));
}

/* ---- looking --------------------------------------------------------------------------------------------- */

static bool same_key(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	unsigned char of_crt[KEY_ID_BYTES], of_key[KEY_ID_BYTES];
	size_t crt_len = sizeof(of_crt), key_len = sizeof(of_key);

	return df_gnutls.gnutls_x509_crt_get_key_id(crt, 0, of_crt, &crt_len) == 0 &&
	       df_gnutls.gnutls_x509_privkey_get_key_id(key, 0, of_key, &key_len) == 0 && crt_len == key_len &&
	       memcmp(of_crt, of_key, crt_len) == 0;
}

int df_certificate_look(struct df_str chain, struct df_str key_text, const char *host, struct df_certificate_facts *ret,
			struct df_error *err)
{
	df_cleanup(x509_crt_deinitp) gnutls_x509_crt_t crt = NULL;
	df_cleanup(x509_privkey_deinitp) gnutls_x509_privkey_t key = NULL;
	gnutls_datum_t crt_pem = { (unsigned char *)chain.ptr, (unsigned)chain.len };
	gnutls_datum_t key_pem = { (unsigned char *)key_text.ptr, (unsigned)key_text.len };
	int code = df_gnutls_load(err);

	if (code < 0)
		return code;
	if (chain.len > CHAIN_BYTES_MAX || key_text.len > CHAIN_BYTES_MAX)
		return df_error_set(err, DF_ERR_CONFIG, "the certificate or its key is larger than 1 MiB");
	if ((code = df_gnutls.gnutls_x509_crt_init(&crt)) < 0 || (code = df_gnutls.gnutls_x509_privkey_init(&key)) < 0)
		return failed(err, code, "a certificate");
	if ((code = df_gnutls.gnutls_x509_crt_import(crt, &crt_pem, GNUTLS_X509_FMT_PEM)) < 0)
		return failed(err, code, "the certificate");
	if ((code = df_gnutls.gnutls_x509_privkey_import(key, &key_pem, GNUTLS_X509_FMT_PEM)) < 0)
		return failed(err, code, "the certificate's key");
	if (!same_key(crt, key))
		return df_error_set(err, DF_ERR_CONFIG, "the certificate and the key do not belong together");
	*ret = (struct df_certificate_facts){
		.from = df_gnutls.gnutls_x509_crt_get_activation_time(crt),
		.until = df_gnutls.gnutls_x509_crt_get_expiration_time(crt),
		.names = !host || df_gnutls.gnutls_x509_crt_check_hostname(crt, host) != 0,
	};
	return 0;
}

/* ---- making ---------------------------------------------------------------------------------------------- */

/* What is being made; `code` is the first failure, after which nothing more is done. */
struct making {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
	int code;
};

#define STEP(m, function, ...)                                       \
	do {                                                         \
		if ((m)->code >= 0)                                  \
			(m)->code = df_gnutls.function(__VA_ARGS__); \
	} while (0)

static void begin(struct making *m, const char *name, int64_t from, int64_t until)
{
	unsigned char serial[SERIAL_BYTES], key_id[KEY_ID_BYTES];
	size_t key_id_len = sizeof(key_id);

	STEP(m, gnutls_x509_privkey_init, &m->key);
	STEP(m, gnutls_x509_privkey_generate, m->key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
	     0);
	STEP(m, gnutls_x509_crt_init, &m->crt);
	STEP(m, gnutls_x509_crt_set_version, m->crt, 3);
	STEP(m, gnutls_rnd, GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and always of that length */
	STEP(m, gnutls_x509_crt_set_serial, m->crt, serial, sizeof(serial));
	STEP(m, gnutls_x509_crt_set_activation_time, m->crt, from);
	STEP(m, gnutls_x509_crt_set_expiration_time, m->crt, until);
	STEP(m, gnutls_x509_crt_set_dn, m->crt, name, NULL);
	STEP(m, gnutls_x509_crt_set_key, m->crt, m->key);
	STEP(m, gnutls_x509_privkey_get_key_id, m->key, 0, key_id, &key_id_len);
	STEP(m, gnutls_x509_crt_set_subject_key_id, m->crt, key_id, key_id_len);
}

static void finish(struct making *m, const struct making *ca)
{
	unsigned char key_id[KEY_ID_BYTES];
	size_t key_id_len = sizeof(key_id);

	STEP(m, gnutls_x509_privkey_get_key_id, ca->key, 0, key_id, &key_id_len);
	STEP(m, gnutls_x509_crt_set_authority_key_id, m->crt, key_id, key_id_len);
	STEP(m, gnutls_x509_crt_sign2, m->crt, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0);
}

static void add_name(struct making *m, const char *name)
{
	struct in_addr address;

	if (inet_pton(AF_INET, name, &address) == 1)
		STEP(m, gnutls_x509_crt_set_subject_alt_name, m->crt, GNUTLS_SAN_IPADDRESS, &address, sizeof(address),
		     GNUTLS_FSAN_APPEND);
	else
		STEP(m, gnutls_x509_crt_set_subject_alt_name, m->crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name),
		     GNUTLS_FSAN_APPEND);
}

static void make_ca(struct making *ca, int64_t from, int64_t until)
{
	begin(ca, "CN=dataflow-operator-ca", from, until);
	STEP(ca, gnutls_x509_crt_set_basic_constraints, ca->crt, 1, 0);
	STEP(ca, gnutls_x509_crt_set_key_usage, ca->crt, GNUTLS_KEY_KEY_CERT_SIGN);
	finish(ca, ca);
}

static void make_server(struct making *m, const struct making *ca, const char *const *names, size_t count, int64_t from,
			int64_t until)
{
	begin(m, "CN=dataflow-operator-webhook", from, until);
	STEP(m, gnutls_x509_crt_set_basic_constraints, m->crt, 0, -1);
	STEP(m, gnutls_x509_crt_set_key_usage, m->crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	STEP(m, gnutls_x509_crt_set_key_purpose_oid, m->crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	for (size_t i = 0; i < count; i++)
		add_name(m, names[i]);
	finish(m, ca);
}

/* The PEM as a heap string of ours; the library's memory is malloc's, as nobody told it otherwise. */
static char *take_pem(gnutls_datum_t *pem)
{
	char *text = pem->data ? df_str_dup(df_str((char *)pem->data, pem->size)) : NULL;

	if (pem->data)
		explicit_bzero(pem->data, pem->size);
	free(pem->data);
	return text;
}

static char *crt_pem(struct making *m)
{
	gnutls_datum_t pem = { 0 };

	STEP(m, gnutls_x509_crt_export2, m->crt, GNUTLS_X509_FMT_PEM, &pem);
	return take_pem(&pem);
}

static char *key_pem(struct making *m)
{
	gnutls_datum_t pem = { 0 };

	STEP(m, gnutls_x509_privkey_export2, m->key, GNUTLS_X509_FMT_PEM, &pem);
	return take_pem(&pem);
}

static void done(struct making *m)
{
	x509_crt_deinitp(&m->crt);
	x509_privkey_deinitp(&m->key);
}

int df_certificate_make(const char *const *names, size_t count, int64_t from, int64_t until, struct df_certificate *ret,
			struct df_error *err)
{
	struct making ca = { 0 }, server = { 0 };
	int code = df_gnutls_load(err);

	*ret = (struct df_certificate){ 0 };
	if (code < 0)
		return code;
	make_ca(&ca, from, until);
	server.code = ca.code;
	make_server(&server, &ca, names, count, from, until);
	ret->ca = crt_pem(&ca);
	ret->cert = crt_pem(&server);
	ret->key = key_pem(&server);
	code = ca.code < 0 ? ca.code : server.code;
	if (code < 0)
		code = failed(err, code, "making a certificate");
	else if (!ret->ca || !ret->cert || !ret->key)
		code = df_error_no_memory(err);
	if (code < 0)
		df_certificate_done(ret);
	done(&server);
	done(&ca);
	return code;
}

void df_certificate_done(struct df_certificate *c)
{
	if (c->key)
		explicit_bzero(c->key, strlen(c->key));
	free(c->ca);
	free(c->cert);
	free(c->key);
	*c = (struct df_certificate){ 0 };
}
