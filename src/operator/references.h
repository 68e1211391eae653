/* Secrets that a spec refers to: which are allowed, mirrors of those in other namespaces, and what is missing
 * (kubernetes reference, section 3). No value of a Secret ever stands in a text. */
#ifndef DF_OPERATOR_REFERENCES_H
#define DF_OPERATOR_REFERENCES_H

#include "operator/resource.h"

/* An error for each reference to another namespace that is not allowed, at its path: names field, Secret and the chart
 * value `crossNamespaceSecrets`. For the webhook and the reconciler. */
void df_references_check(const struct df_operator_settings *settings, const struct df_resource *resource,
			 struct df_diags *diags);

/*
 * Step 3 of a reconcile: mirrors of allowed references are made and kept current, those no longer used or no longer
 * allowed are deleted; where the operator may `get` a Secret, missing keys are found before anything else is touched.
 * Asks to come back in 5 min when there are mirrors. Error: the text for the status names Secret and key.
 */
int df_references_ensure(struct df_reconcile *r, const struct df_resource *resource,
			 struct df_error *err) df_must_check;

#endif
