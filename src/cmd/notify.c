#include "cmd/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define SOCKET_VARIABLE "NOTIFY_SOCKET"
#define PERIOD_VARIABLE "WATCHDOG_USEC"
#define PID_VARIABLE "WATCHDOG_PID"
#define MESSAGE_MAX 1024
#define PERIOD_MAX_US (INT64_MAX / 1000)

/* A path, or an abstract name that begins with @ (unix(7): with a NUL). */
static bool read_address(struct df_notify *n, const char *text)
{
	size_t len = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof(n->address.sun_path))
		return false;
	n->address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(n->address.sun_path, text, len);
	if (text[0] == '@')
		n->address.sun_path[0] = '\0';
	n->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (text[0] == '/'));
	return true;
}

static int64_t read_number(const char *variable)
{
	const char *text = getenv(variable);
	int64_t n;

	return text && df_str_to_int64(df_str_c(text), &n) && n > 0 && n < PERIOD_MAX_US ? n : 0;
}

void df_notify_open(struct df_notify *n)
{
	const char *text = getenv(SOCKET_VARIABLE);
	int64_t pid = read_number(PID_VARIABLE);

	*n = (struct df_notify){ .fd = -1 };
	if (text && !read_address(n, text))
		df_warn(NULL, SOCKET_VARIABLE " is `%s`, neither a path nor a name with @: nobody is notified", text);
	else if (text)
		n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd >= 0 && (pid == 0 || pid == getpid()))
		n->watchdog_ns = read_number(PERIOD_VARIABLE) * 1000;
	unsetenv(SOCKET_VARIABLE);
	unsetenv(PERIOD_VARIABLE);
	unsetenv(PID_VARIABLE);
}

void df_notify_close(struct df_notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

void df_notify_send(const struct df_notify *n, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list args;
	int len;

	if (n->fd < 0)
		return;
	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	if (sendto(n->fd, text, (size_t)len, MSG_NOSIGNAL, (const struct sockaddr *)&n->address, n->address_len) < 0)
		df_debug(NULL, "the service manager cannot be notified");
}
