/*
 * Making the cluster hold what a resource shall have: server-side apply of our fields only, and only when something
 * differs; whose object it is; what an earlier operator left (kubernetes reference, sections 1 and 14).
 */
#ifndef DF_OPERATOR_ENSURE_H
#define DF_OPERATOR_ENSURE_H

#include "operator/resource.h"

enum df_ensured { DF_ENSURED_SAME, DF_ENSURED_CREATED, DF_ENSURED_UPDATED };

/* df_kube_is(err, DF_CONFLICT): an object of that name belongs to another; df_kube_is(err, DF_COLLECTING): of an older
 * resource of that name, and garbage collection will take it (come back in 5 s). */
#define DF_CONFLICT "OwnershipConflict"
#define DF_COLLECTING "Collecting"

/*
 * Applies the object, with `resource` as its owner and the applied-hash, unless the live object carries that hash and
 * still contains all of it: then no request is made, when it is watched or was verified within the last 30 min. The
 * live object of a watched kind comes from the cache. *ret_live (may be NULL): as it is afterwards; NULL there when it
 * was not read. An adoption is told as Event `Adopted`, a conflict as Event `OwnershipConflict`. A Job that is the
 * resource's stays as it was made: its template cannot be changed.
 */
int df_ensure(struct df_reconcile *r, const struct df_resource *resource, const struct df_kube_resource *kind,
	      struct df_value *object, enum df_ensured *ret, struct df_value **ret_live,
	      struct df_error *err) df_must_check;

/* Deletes the object of that name when it is the resource's; 0 also when there is none or it is another's.
 * *ret_existed may be NULL. */
int df_ensure_gone(struct df_reconcile *r, const struct df_resource *resource, const struct df_kube_resource *kind,
		   const char *name, bool *ret_existed, struct df_error *err) df_must_check;

/* May it be written for the resource, as it is: its own, or nobody's and to be taken? live NULL: there is none, false.
 */
bool df_ensure_is_ours(struct df_reconcile *r, const struct df_resource *resource, struct df_value *live);

/* What was verified of objects that are not watched; one per process, thread-safe. */
struct df_verified;
struct df_verified *df_verified_new(void); /* NULL: out of memory */
void df_verified_free(struct df_verified *v);
/* The resource is gone, or its objects are in doubt: forget them. */
void df_verified_forget(struct df_verified *v, enum df_manifest_kind kind, const char *namespace, const char *name);

/* One object, and the resource for which it was looked at. */
struct df_verified_key {
	enum df_manifest_kind kind;
	const char *namespace, *name;
	const char *plural, *object; /* plural: static */
};
/* What is known of it, at most max_age_ns old: the hash that was applied to it, "" when there is none; false: nothing.
 * v NULL: nothing. */
bool df_verified_is(struct df_verified *v, const struct df_verified_key *key, const char *hash, int64_t now_ns,
		    int64_t max_age_ns);
/* It was seen, or made, so. Without memory nothing new is known. */
void df_verified_note(struct df_verified *v, const struct df_verified_key *key, const char *hash, int64_t now_ns);

/*
 * Does the live value hold everything of the wanted one? Objects by member; lists that Kubernetes merges by a key
 * (containers, env, volumes ...) by element, others too, but in order and of the same length; quantities by value.
 * What is wanted empty may be missing, as the server leaves that out. Pure.
 */
bool df_contains(const struct df_value *live, const struct df_value *wanted);

/* ---- upgrade.c: what the original operator left ---------------------------------------------------------- */

/* Takes the original's finalizers off the resource: one JSON patch when there are any. */
int df_upgrade_finalizers(struct df_reconcile *r, struct df_value *object, struct df_error *err) df_must_check;
/* Deployment `dataflow-<name>` and ConfigMap `dataflow-<name>-spec` of ours: deleted. *ret_waits: their pods are not
 * gone yet, nothing may start. */
int df_upgrade_old_names(struct df_reconcile *r, const struct df_resource *resource, bool *ret_waits,
			 struct df_error *err) df_must_check;
/* Before an apply: the managedFields entry of what we created becomes ours by apply, so that what we do not apply goes.
 * Before the first one those that the original's Update left do, too (managers `manager`, `main`). adopted: those of
 * everybody do, but for labels and annotations. live: got from the API, with managedFields. */
int df_upgrade_managed_fields(struct df_reconcile *r, const struct df_kube_resource *kind, struct df_value *live,
			      bool adopted, struct df_error *err) df_must_check;

#endif
