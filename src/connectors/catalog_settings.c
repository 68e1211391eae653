/* Settings that the table-catalog connectors (nessie, iceberg) share. */
#include "connectors/catalog_settings.h"

const char *const df_catalog_authentication_values[] = { "AUTO", "BEARER", "BASIC", "NONE", NULL };

int df_check_snapshot_id(struct df_str text, struct df_error *err)
{
	int64_t id;

	if (text.len == 0 || text.ptr[0] < '0' || text.ptr[0] > '9' || !df_str_to_int64(text, &id))
		return df_error_set(err, DF_ERR_CONFIG, "must be a snapshot id: digits only, below 2^63");
	return 0;
}

void df_catalog_check(const struct df_catalog_settings *catalog, const struct df_place *place, struct df_diags *diags)
{
	struct df_str type = df_str_c(catalog->authentication_type);
	const struct df_basic_auth_settings *basic = catalog->basic_auth.settings;

	if (df_str_equal_c(type, "BEARER") && !df_secret_given(&catalog->bearer_token))
		df_diag_error(diags, place, "authenticationType", "BEARER needs bearerToken or tokenSecretRef");
	if (df_str_equal_c(type, "BASIC") &&
	    !(basic && df_secret_given(&basic->username) && df_secret_given(&basic->password)))
		df_diag_error(diags, place, "authenticationType", "BASIC needs basicAuth with username and password");
}
