/* Copies of the keys that flows use of Secrets in other namespaces, and what both files of references share. */
#ifndef DF_OPERATOR_MIRRORS_H
#define DF_OPERATOR_MIRRORS_H

#include "operator/references.h"
#include "operator/text.h"

/* DF_ERR_CONFIG: the Secret (NULL: there is none) lacks one of the keys. */
int df_references_keys(const struct df_secret_use *use, const char *namespace, const struct df_value *secret,
		       struct df_error *err) df_must_check;

/* Makes those of allowed references current; takes what the resource no longer uses out of others. */
int df_mirrors_ensure(struct df_reconcile *r, const struct df_resource *resource, struct df_error *err) df_must_check;

/* Deletes those of references that are not allowed. */
int df_mirrors_revoke(struct df_reconcile *r, const struct df_resource *resource, struct df_error *err) df_must_check;

/* The same of an invalid spec, whose references cannot be read: of those that the resource's own workload mounts.
 * *ret_denied: "the Secret db of namespace vault, which ...", the first that is not allowed, in the arena; NULL: none
 * is. */
int df_mirrors_revoke_mounted(struct df_reconcile *r, const struct df_resource *resource, const char **ret_denied,
			      struct df_error *err) df_must_check;

/* Does the mirror hold exactly these keys of ours with these values, and is it ours to keep? Pure. */
bool df_mirror_is_current(const struct df_value *mirror, const struct df_value *data, const char *uid,
			  const char *manager);

#endif
