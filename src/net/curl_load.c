#include <dlfcn.h>
#include <pthread.h>

#include "net/curl_internal.h"

#define LIBRARY "libcurl.so.4" /* its interface since 2006 */
#define VERSION_MIN 0x075700U  /* 7.87: CURLOPT_QUICK_EXIT */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct df_curl functions;
static struct df_error failure;

static void load(void)
{
	bool complete = true;
	void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);

	if (!library) {
		df_error_set(&failure, DF_ERR_CONFIG, "HTTP needs libcurl (Debian: package libcurl4): %s", dlerror());
		return;
	}
	/* POSIX's way around the rule that a data pointer is no function pointer. */
#define RESOLVE(name)                                              \
	*(void **)&functions.name = dlsym(library, "curl_" #name); \
	complete &= functions.name != NULL;
	DF_CURL_FUNCTIONS(RESOLVE)
#undef RESOLVE
	if (!complete || functions.version_info(CURLVERSION_NOW)->version_num < VERSION_MIN) {
		df_error_set(&failure, DF_ERR_CONFIG, "HTTP needs libcurl 7.87 or newer; %s is older", LIBRARY);
		return;
	}
	if (functions.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		df_error_set(&failure, DF_ERR_CONFIG, LIBRARY " cannot be initialised");
}

int df_curl_load(const struct df_curl **ret, struct df_error *err)
{
	pthread_once(&once, load);
	*ret = &functions;
	return failure.code ? df_error_set(err, failure.code, "%s", failure.text) : 0;
}
