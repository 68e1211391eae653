/* A plugin's file, as far as it is read before it is loaded: any bytes give a number or an error, and with one byte cut
 * off its segments end too early. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "connectors/plugin_elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	df_cleanup(df_closep) int fd = memfd_create("plugin", MFD_CLOEXEC);
	struct df_error err = DF_ERROR_INIT;
	uint32_t abi = 0;
	int code;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	code = df_plugin_read_abi(fd, &abi, &err);
	if (code != 0 && (code != DF_ERR_CONFIG || !err.text[0]))
		abort();
	return 0;
}
