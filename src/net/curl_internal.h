/*
 * libcurl, loaded when the first client is made. It brings some twenty more libraries (LDAP, Kerberos, SSH ...), which
 * cost a process that never asks anything of a server 4 ms of start and 3 MiB; most flows are such processes.
 */
#ifndef DF_NET_CURL_INTERNAL_H
#define DF_NET_CURL_INTERNAL_H

#define CURL_DISABLE_TYPECHECK /* its checks are macros around the linked function; set_long and others do it here */
#include <curl/curl.h>

#include "base/error.h"

#define DF_CURL_FUNCTIONS(F)   \
	F(easy_cleanup)        \
	F(easy_getinfo)        \
	F(easy_init)           \
	F(easy_reset)          \
	F(easy_setopt)         \
	F(easy_strerror)       \
	F(free)                \
	F(getdate)             \
	F(global_init)         \
	F(multi_add_handle)    \
	F(multi_cleanup)       \
	F(multi_info_read)     \
	F(multi_init)          \
	F(multi_perform)       \
	F(multi_poll)          \
	F(multi_remove_handle) \
	F(multi_strerror)      \
	F(slist_append)        \
	F(slist_free_all)      \
	F(url)                 \
	F(url_cleanup)         \
	F(url_get)             \
	F(url_set)             \
	F(version_info)

/* The functions by their names without curl_. */
struct df_curl {
#define DF_CURL_MEMBER(name) __typeof__(&curl_##name) name;
	DF_CURL_FUNCTIONS(DF_CURL_MEMBER)
#undef DF_CURL_MEMBER
};

/* The library, loaded and initialised by the first call. DF_ERR_CONFIG: it is not there. Thread-safe. */
int df_curl_load(const struct df_curl **ret, struct df_error *err) df_must_check;

#endif
