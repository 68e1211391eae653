#include "kube/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "spec/yaml.h"

#define POD_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

void df_kube_config_done(struct df_kube_config *config)
{
	free(config->server);
	free(config->ca);
	free(config->cert);
	free(config->key);
	free(config->token);
	free(config->token_file);
	free(config->namespace);
	*config = (struct df_kube_config){ 0 };
}

/* ---- a kubeconfig ---------------------------------------------------------------------------------------- */

struct reading {
	const char *file;
	struct df_arena arena;
	struct df_error *err;
};

static int wrong(struct reading *r, const char *fmt, ...) df_printf(2, 3);
static int wrong(struct reading *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	df_error_setv(r->err, DF_ERR_CONFIG, fmt, args);
	va_end(args);
	df_error_prefix(r->err, "%s", r->file);
	return DF_ERR_CONFIG;
}

/* A member's text as a heap string; *ret stays as it is when there is none. */
static int take_text(struct reading *r, const struct df_value *object, const char *key, char **ret)
{
	struct df_value *v = df_object_get_c(object, key);
	struct df_str text;

	if (!v || v->kind == DF_NULL)
		return 0;
	if (v->kind != DF_STRING)
		return wrong(r, "%s is not a string", key);
	text = df_value_text(v, &r->arena);
	if (text.len == 0)
		return 0;
	if (memchr(text.ptr, 0, text.len))
		return wrong(r, "%s holds a NUL byte", key);
	free(*ret);
	*ret = df_str_dup(text);
	return *ret ? 0 : df_error_no_memory(r->err);
}

/* PEM in base64 under "<key>-data", else a path, relative to the kubeconfig's own folder. */
static int take_pem(struct reading *r, const struct df_value *object, const char *key, char **ret)
{
	df_cleanup(df_freep) char *data = NULL, *path = NULL;
	struct df_buf name = { 0 }, out = { 0 };
	const char *slash = strrchr(r->file, '/');
	int code;

	df_buf_printf(&name, "%s-data", key);
	code = take_text(r, object, df_buf_c(&name), &data);
	df_buf_done(&name);
	if (code == 0)
		code = take_text(r, object, key, &path);
	if (code != 0 || (!data && !path))
		return code;
	if (data && !df_buf_add_base64_decoded(&out, df_str_c(data)))
		return wrong(r, "%s-data is not base64", key);
	if (!data && path[0] != '/' && slash)
		df_buf_add(&out, r->file, (size_t)(slash - r->file) + 1);
	if (!data)
		df_buf_add_c(&out, path);
	*ret = df_buf_take(&out);
	return *ret ? 0 : df_error_no_memory(r->err);
}

/* The element of the list `plural` that is called `name`, and in it the object `singular`. */
static int find(struct reading *r, const struct df_value *root, const char *plural, const char *singular,
		const char *name, const struct df_value **ret)
{
	const struct df_value *list = df_object_get_c(root, plural);

	if (list && list->kind == DF_ARRAY) {
		df_for_each (item, list) {
			const struct df_value *called = df_object_get_c(item, "name");

			if (!called || !df_value_string_equal(called, df_str_c(name)))
				continue;
			*ret = df_object_get_c(item, singular);
			if (*ret && (*ret)->kind == DF_OBJECT)
				return 0;
			return wrong(r, "%s `%s` has no `%s`", plural, name, singular);
		}
	}
	return wrong(r, "there is no `%s` in %s", name, plural);
}

static int take_cluster(struct reading *r, const struct df_value *cluster, struct df_kube_config *ret)
{
	const struct df_value *insecure = df_object_get_c(cluster, "insecure-skip-tls-verify");
	int code = take_text(r, cluster, "server", &ret->server);

	if (code == 0 && !ret->server)
		return wrong(r, "the cluster has no server");
	if (code == 0)
		code = take_pem(r, cluster, "certificate-authority", &ret->ca);
	if (code != 0)
		return code;
	ret->insecure = insecure && insecure->kind == DF_TRUE;
	for (size_t n = strlen(ret->server); n > 0 && ret->server[n - 1] == '/'; n--)
		ret->server[n - 1] = '\0';
	return 0;
}

static int take_user(struct reading *r, const struct df_value *user, struct df_kube_config *ret)
{
	static const char *const programs[] = { "exec", "auth-provider" };
	int code;

	for (size_t i = 0; i < DF_ARRAY_SIZE(programs); i++)
		if (df_object_get_c(user, programs[i]))
			return wrong(
				r,
				"the user's credentials come from a program (`%s`), which is not run here: give it a "
				"token, a tokenFile or a client certificate",
				programs[i]);
	if (df_object_get_c(user, "username"))
		return wrong(r, "user name and password are not taken by the API any more: give it a token or a client "
				"certificate");
	code = take_pem(r, user, "client-certificate", &ret->cert);
	if (code == 0)
		code = take_pem(r, user, "client-key", &ret->key);
	if (code == 0)
		code = take_text(r, user, "token", &ret->token);
	if (code == 0)
		code = take_text(r, user, "tokenFile", &ret->token_file);
	if (code == 0 && !ret->cert != !ret->key)
		return wrong(r, "client-certificate and client-key go together");
	return code;
}

static int take_root(struct reading *r, const struct df_value *root, struct df_kube_config *ret)
{
	df_cleanup(df_freep) char *current = NULL, *cluster = NULL, *user = NULL;
	const struct df_value *object;
	int code;

	if (root->kind != DF_OBJECT)
		return wrong(r, "not a kubeconfig");
	code = take_text(r, root, "current-context", &current);
	if (code == 0 && !current)
		return wrong(r, "current-context is missing: set it with `kubectl config use-context NAME`");
	if (code == 0)
		code = find(r, root, "contexts", "context", current, &object);
	if (code == 0)
		code = take_text(r, object, "cluster", &cluster);
	if (code == 0)
		code = take_text(r, object, "user", &user);
	if (code == 0)
		code = take_text(r, object, "namespace", &ret->namespace);
	if (code == 0 && !cluster)
		return wrong(r, "the context `%s` has no cluster", current);
	if (code == 0)
		code = find(r, root, "clusters", "cluster", cluster, &object);
	if (code == 0)
		code = take_cluster(r, object, ret);
	if (code == 0 && user) {
		code = find(r, root, "users", "user", user, &object);
		if (code == 0)
			code = take_user(r, object, ret);
	}
	return code;
}

static int load_file(const char *file, struct df_kube_config *ret, struct df_error *err)
{
	struct reading r = { .file = file, .err = err };
	struct df_yaml_documents documents = { 0 };
	struct df_diags diags = { 0 };
	int code;

	df_arena_init(&r.arena, NULL);
	df_yaml_load(file, &r.arena, &documents, &diags);
	code = df_diags_error(&diags, err);
	if (code == 0)
		code = documents.count == 1 ? take_root(&r, documents.items[0], ret) : wrong(&r, "not a kubeconfig");
	df_diags_done(&diags);
	df_arena_done(&r.arena);
	return code;
}

/* ---- a pod's own ----------------------------------------------------------------------------------------- */

/* The first line of a small file; *ret NULL when there is no such file. */
static int read_line(const char *path, char **ret, struct df_error *err)
{
	df_cleanup(df_fclosep) FILE *file = fopen(path, "re");
	size_t cap = 0;

	*ret = NULL;
	if (!file)
		return errno == ENOENT ? 0 : df_error_errno(err, DF_ERR_CONFIG, errno, "%s", path);
	if (getline(ret, &cap, file) < 0) {
		free(DF_TAKE(*ret));
		return df_error_set(err, DF_ERR_CONFIG, "%s is empty", path);
	}
	(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return 0;
}

static int load_pod(const char *host, struct df_kube_config *ret, struct df_error *err)
{
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct df_buf server = { 0 };

	df_buf_printf(&server, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port ? port : "443");
	ret->server = df_buf_take(&server);
	ret->ca = strdup(POD_DIR "/ca.crt");
	ret->token_file = strdup(POD_DIR "/token");
	if (!ret->server || !ret->ca || !ret->token_file)
		return df_error_no_memory(err);
	if (access(ret->token_file, R_OK) != 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno,
				      "the pod has no token at %s (is automountServiceAccountToken false?)",
				      ret->token_file);
	return read_line(POD_DIR "/namespace", &ret->namespace, err);
}

/* ---- which one ------------------------------------------------------------------------------------------- */

static int load_any(const char *file, struct df_kube_config *ret, struct df_error *err)
{
	const char *from_env = getenv("KUBECONFIG"), *host = getenv("KUBERNETES_SERVICE_HOST"), *home = getenv("HOME");
	struct df_buf path = { 0 };
	int code;

	if (!file && from_env && *from_env)
		file = from_env;
	if (file && strchr(file, ':'))
		return df_error_set(
			err, DF_ERR_CONFIG,
			"KUBECONFIG names several files; give one (`kubectl config view --flatten --minify` "
			"makes one of them)");
	if (file)
		return load_file(file, ret, err);
	if (host && *host)
		return load_pod(host, ret, err);
	df_buf_printf(&path, "%s/.kube/config", home ? home : "");
	if (access(df_buf_c(&path), F_OK) == 0)
		code = load_file(df_buf_c(&path), ret, err);
	else
		code = df_error_set(err, DF_ERR_CONFIG,
				    "no cluster to talk to: not in a pod, and there is no %s; give --kubeconfig FILE",
				    df_buf_c(&path));
	df_buf_done(&path);
	return code;
}

int df_kube_config_load(const char *file, struct df_kube_config *ret, struct df_error *err)
{
	int code;

	*ret = (struct df_kube_config){ 0 };
	code = load_any(file, ret, err);
	if (code == 0 && !ret->namespace) {
		ret->namespace = strdup("default");
		code = ret->namespace ? 0 : df_error_no_memory(err);
	}
	if (code != 0)
		df_kube_config_done(ret);
	return code;
}
