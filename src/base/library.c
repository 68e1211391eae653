#include "base/library.h"

#include <dlfcn.h>

void df_library_open(const struct df_library *library)
{
	void *handle = dlopen(library->file, RTLD_LAZY | RTLD_LOCAL);

	if (!handle) {
		df_error_set(library->failure, DF_ERR_CONFIG, "cannot load %s (%s): %s", library->file, library->hint,
			     dlerror());
		return;
	}
	for (size_t i = 0; library->symbols[i]; i++) {
		library->functions[i] = dlsym(handle, library->symbols[i]);
		if (!library->functions[i]) {
			df_error_set(library->failure, DF_ERR_CONFIG, "%s is too old: it has no %s (%s)", library->file,
				     library->symbols[i], library->hint);
			return;
		}
	}
}

int df_library_load(const struct df_library *library, struct df_error *err)
{
	pthread_once(library->once, library->load);
	return library->failure->code ? df_error_set(err, library->failure->code, "%s", library->failure->text) : 0;
}
