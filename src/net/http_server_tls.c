/*
 * The certificate of the HTTPS server. It is asked for at each handshake, so that a new one is live at once and no
 * connection is ended for it. libmicrohttpd does not tell for which server it asks: there is one at a time.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/certificate.h"
#include "net/gnutls_internal.h"
#include "net/http_server_internal.h"

#define CHAIN_MAX 10

static struct {
	pthread_mutex_t lock;
	bool taken;
	char *chain, *key; /* NULL: none yet, and every handshake fails */
} identity = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

int df_https_begin(struct df_error *err)
{
	int code = df_gnutls_load(err);

	if (code < 0)
		return code;
	DF_LOCK_SCOPE(&identity.lock);
	if (identity.taken)
		return df_error_set(err, DF_ERR_CONFIG, "this process has an HTTPS server already");
	identity.taken = true;
	return 0;
}

void df_https_end(void)
{
	DF_LOCK_SCOPE(&identity.lock);
	wipe(identity.key);
	free(identity.chain);
	identity.chain = identity.key = NULL;
	identity.taken = false;
}

int df_https_identity(struct df_str chain, struct df_str key, struct df_error *err)
{
	char *new_chain, *new_key, *old_chain, *old_key;
	struct df_certificate_facts facts;
	int code = df_certificate_look(chain, key, NULL, &facts, err);

	if (code < 0)
		return code;
	new_chain = df_str_dup(chain);
	new_key = df_str_dup(key);
	if (!new_chain || !new_key) {
		free(new_chain);
		wipe(new_key);
		return df_error_no_memory(err);
	}
	pthread_mutex_lock(&identity.lock);
	old_chain = identity.chain;
	old_key = identity.key;
	identity.chain = new_chain;
	identity.key = new_key;
	pthread_mutex_unlock(&identity.lock);
	free(old_chain);
	wipe(old_key);
	return 0;
}

static gnutls_datum_t datum(char *text)
{
	return (gnutls_datum_t){ (unsigned char *)text, (unsigned)strlen(text) };
}

/* The key of the pair; NULL: not to be had. */
static gnutls_privkey_t import_key(void)
{
	gnutls_datum_t pem = datum(identity.key);
	gnutls_privkey_t key;

	if (df_gnutls.gnutls_privkey_init(&key) < 0)
		return NULL;
	if (df_gnutls.gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0) == 0)
		return key;
	df_gnutls.gnutls_privkey_deinit(key);
	return NULL;
}

/* What is handed over is the library's, to be freed when the handshake is over. */
static int on_handshake(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **certs,
			unsigned int *certs_length, gnutls_ocsp_data_st **ocsp, unsigned int *ocsp_length,
			gnutls_privkey_t *key, unsigned int *flags)
{
	gnutls_pcert_st *list;
	gnutls_datum_t pem;
	unsigned int count = CHAIN_MAX;

	(void)session;
	(void)info;
	*ocsp = NULL;
	*ocsp_length = 0;
	*certs_length = 0;
	DF_LOCK_SCOPE(&identity.lock);
	if (!identity.chain)
		return -1;
	list = calloc(CHAIN_MAX, sizeof(*list));
	*key = list ? import_key() : NULL;
	if (!*key) {
		free(list);
		return -1;
	}
	pem = datum(identity.chain);
	if (df_gnutls.gnutls_pcert_list_import_x509_raw(list, &count, &pem, GNUTLS_X509_FMT_PEM, 0) < 0) {
		df_gnutls.gnutls_privkey_deinit(*key);
		free(list);
		return -1;
	}
	*certs = list;
	*certs_length = count;
	*flags = GNUTLS_CERT_RETR_DEINIT_ALL;
	return 0;
}

void *const df_https_on_handshake = (void *)on_handshake;
