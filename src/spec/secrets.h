/* Where Secret references find their values: `kind: Secret` documents of the same file, then a directory laid out as
 * mounted Secrets (DIR/<secret>/<key>, DIR/<secret>@<namespace>/<key>; kubernetes reference, section 3), or as
 * systemd's credentials (DIR/<secret>_<key>). */
#ifndef DF_SPEC_SECRETS_H
#define DF_SPEC_SECRETS_H

#include "spec/spec.h"

struct df_secret_store;

/* directory and namespace (the manifest's own) may be NULL. NULL when out of memory. */
struct df_secret_store *df_secret_store_new(const char *directory, const char *own_namespace);
/* A Secret of which the store has no key at all is not missing, it is elsewhere: it stays unresolved. */
void df_secret_store_partial(struct df_secret_store *store);
void df_secret_store_free(struct df_secret_store *store); /* wipes the values */

/* Adds a `kind: Secret` document (data in base64, stringData as is). */
void df_secret_store_add(struct df_secret_store *store, const struct df_value *document, const char *file,
			 struct df_diags *diags);

/* The interface that df_parse_options takes; borrowed from the store. */
const struct df_secrets *df_secret_store_get(struct df_secret_store *store);

#endif
