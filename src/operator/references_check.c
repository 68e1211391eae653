#include "operator/references.h"

struct checking {
	const struct df_operator_settings *settings;
	const struct df_resource *resource;
	struct df_diags *diags;
};

static void check_reference(void *arg, const char *path, const struct df_secret_ref *ref)
{
	const struct checking *c = arg;
	struct df_place place = { .path = path };

	if (!ref->namespace || !ref->namespace[0] || strcmp(ref->namespace, c->resource->namespace) == 0 ||
	    df_operator_allows(c->settings, df_str_c(c->resource->namespace), df_str_c(ref->namespace),
			       df_str_c(ref->name)))
		return;
	df_diag_error(c->diags, &place, NULL,
		      "the Secret %s is in namespace %s, and this operator does not allow flows of %s to use it; who "
		      "runs it allows that with the chart's value `crossNamespaceSecrets`",
		      ref->name, ref->namespace, c->resource->namespace);
}

void df_references_check(const struct df_operator_settings *settings, const struct df_resource *resource,
			 struct df_diags *diags)
{
	struct checking c = { settings, resource, diags };

	df_settings_secret_refs(df_resource_table(resource->kind), &resource->spec, check_reference, &c);
}
