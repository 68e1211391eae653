#include "net/tls.h"

#include <unistd.h>

bool df_tls_is_pem(const char *text)
{
	return df_str_starts(df_str_c(text), DF_STR("-----BEGIN")) || access(text, F_OK) != 0;
}
