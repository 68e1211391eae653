#include "base/library.h"
#include "net/curl_internal.h"

#define FILE_NAME "libcurl.so.4" /* its interface since 2006 */
#define VERSION_MIN 0x075700U	 /* 7.87: CURLOPT_QUICK_EXIT */

static struct df_curl functions;

#define SYMBOL(name) "curl_" #name,
static const char *const symbols[] = { DF_CURL_FUNCTIONS(SYMBOL) NULL };
#undef SYMBOL
_Static_assert(sizeof(functions) == sizeof(symbols) - sizeof(char *), "one member a function");

static void load(void);
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct df_error failure;
static const struct df_library library = {
	FILE_NAME, "HTTP needs it; Debian: package libcurl4", symbols, (void **)&functions, &once, load, &failure
};

static void load(void)
{
	df_library_open(&library);
	if (failure.code)
		return;
	if (functions.version_info(CURLVERSION_NOW)->version_num < VERSION_MIN)
		df_error_set(&failure, DF_ERR_CONFIG, "HTTP needs libcurl 7.87 or newer; %s is older", FILE_NAME);
	else if (functions.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		df_error_set(&failure, DF_ERR_CONFIG, FILE_NAME " cannot be initialised");
}

int df_curl_load(const struct df_curl **ret, struct df_error *err)
{
	*ret = &functions;
	return df_library_load(&library, err);
}
