#include "connectors/plugin_load.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "connectors/factory.h"
#include "connectors/plugin.h"
#include "connectors/plugin_elf.h"

#define DF_PLUGINS_MAX 64
#define DF_PLUGIN_TYPES_MAX 128

/* Filled before there are threads, never emptied. */
static struct df_plugin_info df_plugin_list[DF_PLUGINS_MAX];
static size_t df_plugin_count;

static struct {
	const struct df_type *type;
	const char *file;
} df_plugin_types[DF_PLUGIN_TYPES_MAX];
static size_t df_plugin_type_count;

const struct df_plugin_info *df_plugins(size_t *ret_count)
{
	*ret_count = df_plugin_count;
	return df_plugin_list;
}

const char *df_plugin_file_of(const struct df_type *type)
{
	for (size_t i = 0; i < df_plugin_type_count; i++)
		if (df_plugin_types[i].type == type)
			return df_plugin_types[i].file;
	return NULL;
}

/* ---- who may have put it there --------------------------------------------------------------------------- */

static int df_plugin_trust(int fd, const char *path, mode_t kind, struct df_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot look at %s", path);
	if ((st.st_mode & S_IFMT) != kind)
		return df_error_set(err, DF_ERR_CONFIG, "%s is no %s", path, kind == S_IFDIR ? "directory" : "file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return df_error_set(err, DF_ERR_CONFIG,
				    "%s belongs to another user (%u), who could run code as this one (%u): chown it to "
				    "root or to this user",
				    path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & S_IWOTH)
		return df_error_set(err, DF_ERR_CONFIG,
				    "%s is writable by everybody, who could run code as this user: chmod o-w %s", path,
				    path);
	return 0;
}

/* ---- was it made for this program? ----------------------------------------------------------------------- */

#define DF_PLUGIN_SIZE_NUMBER_(name) DF_PLUGIN_SIZE_OF_##name,
enum { DF_PLUGIN_STRUCTS(DF_PLUGIN_SIZE_NUMBER_) DF_PLUGIN_SIZES };

#define DF_PLUGIN_GROWING_ROW_(name) { "struct " #name, sizeof(struct name), true },
#define DF_PLUGIN_FIXED_ROW_(name) { "struct " #name, sizeof(struct name), false },

static const struct {
	const char *name;
	size_t size;
	bool growing;
} df_plugin_structs[] = { DF_PLUGIN_GROWING(DF_PLUGIN_GROWING_ROW_) DF_PLUGIN_FIXED(DF_PLUGIN_FIXED_ROW_) };

_Static_assert(DF_ARRAY_SIZE(df_plugin_structs) == DF_PLUGIN_SIZES, "one row a struct");

static int df_plugin_check_abi(uint32_t abi, struct df_error *err)
{
	if (abi == DF_PLUGIN_ABI)
		return 0;
	return df_error_set(err, DF_ERR_CONFIG, "compiled for connector ABI %u, this program (%s) has %u: %s", abi,
			    DF_VERSION, DF_PLUGIN_ABI,
			    abi > DF_PLUGIN_ABI
				    ? "update the program, or compile the plugin with this program's headers"
				    : "compile the plugin again, with this program's headers");
}

/* The same number promises the same layouts; sizes find a promise that was not kept. */
static int df_plugin_check_sizes(const struct df_plugin *plugin, struct df_error *err)
{
	for (size_t i = 0; i < DF_PLUGIN_SIZES && i < plugin->size_count; i++) {
		size_t theirs = plugin->sizes[i], ours = df_plugin_structs[i].size;

		if (theirs > ours || (theirs < ours && !df_plugin_structs[i].growing))
			return df_error_set(err, DF_ERR_CONFIG,
					    "compiled with other headers: %s has %zu bytes there and %zu in this "
					    "program (%s); compile the plugin with this program's headers",
					    df_plugin_structs[i].name, theirs, ours, DF_VERSION);
	}
	if (plugin->size < sizeof(*plugin) || plugin->size_count <= DF_PLUGIN_SIZE_OF_df_type)
		return df_error_set(err, DF_ERR_CONFIG, "damaged: what DF_PLUGIN() made is not whole");
	return 0;
}

/* ---- what it holds --------------------------------------------------------------------------------------- */

struct df_plugin_op {
	const char *name;
	size_t offset;
};
#define DF_PLUGIN_OP(S, name)                   \
	{                                       \
#name, offsetof(struct S, name) \
	}

static const struct df_plugin_op df_plugin_source_ops[] = {
	DF_PLUGIN_OP(df_source_ops, create), DF_PLUGIN_OP(df_source_ops, connect), DF_PLUGIN_OP(df_source_ops, read),
	DF_PLUGIN_OP(df_source_ops, close),  DF_PLUGIN_OP(df_source_ops, free),
};
static const struct df_plugin_op df_plugin_sink_ops[] = {
	DF_PLUGIN_OP(df_sink_ops, create), DF_PLUGIN_OP(df_sink_ops, connect), DF_PLUGIN_OP(df_sink_ops, write),
	DF_PLUGIN_OP(df_sink_ops, close),  DF_PLUGIN_OP(df_sink_ops, free),
};

_Static_assert(DF_ARRAY_SIZE(df_plugin_source_ops) == DF_ARRAY_SIZE(df_plugin_sink_ops), "one loop for both");

/* A name becomes a key in manifests and part of a file's name in the reference pages. */
static bool df_plugin_name_valid(const char *name)
{
	size_t n = 0;

	for (; name && name[n]; n++)
		if (!isalnum((unsigned char)name[n]) && !(n > 0 && (name[n] == '-' || name[n] == '_')))
			return false;
	return n > 0 && n <= 64;
}

static int df_plugin_check_type(enum df_component_kind kind, const struct df_type *type, const void *ops,
				struct df_error *err)
{
	const struct df_plugin_op *needed = kind == DF_SOURCE ? df_plugin_source_ops : df_plugin_sink_ops;
	const char *what = df_component_kind_name(kind);
	void (*op)(void);

	if (!df_plugin_name_valid(type->name))
		return df_error_set(
			err, DF_ERR_CONFIG,
			"its %s has a type that is no name: a letter or digit, then up to 63 of these, - and _", what);
	if (!type->title || !type->doc || !type->settings)
		return df_error_set(err, DF_ERR_CONFIG, "its %s `%s` has no title, doc or settings", what, type->name);
	for (size_t i = 0; i < DF_ARRAY_SIZE(df_plugin_source_ops); i++) {
		if (ops)
			memcpy(&op, (const char *)ops + needed[i].offset, sizeof(op));
		if (!ops || !op)
			return df_error_set(err, DF_ERR_CONFIG, "its %s `%s` has no function `%s`", what, type->name,
					    needed[i].name);
	}
	return 0;
}

static int df_plugin_check_taken(const struct df_type *type, struct df_error *err)
{
	for (int kind = DF_SOURCE; kind <= DF_SINK; kind++) {
		const struct df_connector *other = df_connector_find(kind, df_str_c(type->name));

		if (!other)
			continue;
		const char *file = df_plugin_file_of(kind == DF_SOURCE ? other->source : other->sink);
		return df_error_set(err, DF_ERR_CONFIG,
				    "its type `%s` is taken by %s: one of the two must get another name", type->name,
				    file ? file : "a connector of this program");
	}
	return 0;
}

static int df_plugin_check_connector(const struct df_connector *c, struct df_error *err)
{
	int r = 0;

	if (!c->source && !c->sink)
		return df_error_set(err, DF_ERR_CONFIG, "one of its connectors is neither source nor sink");
	if (c->source)
		r = df_plugin_check_type(DF_SOURCE, c->source, c->source_ops, err);
	if (c->sink && r == 0)
		r = df_plugin_check_type(DF_SINK, c->sink, c->sink_ops, err);
	if (c->source && r == 0)
		r = df_plugin_check_taken(c->source, err);
	if (c->sink && r == 0)
		r = df_plugin_check_taken(c->sink, err);
	return r;
}

/* ---- taking it over -------------------------------------------------------------------------------------- */

/* Of a plugin that was compiled when these structs were shorter: whole ones, the rest zero. */
struct df_plugin_whole {
	struct df_plugin_whole *next; /* kept for ever, reachable */
	struct df_connector connector;
	struct df_source_ops source_ops;
	struct df_sink_ops sink_ops;
	struct df_type source, sink;
};

static struct df_plugin_whole *df_plugin_wholes;

static const void *df_plugin_grown(const struct df_plugin *plugin, int number, const void *theirs, void *whole)
{
	if (!theirs)
		return NULL;
	memcpy(whole, theirs, plugin->sizes[number]);
	return whole;
}

/* The connector with all structs as this program knows them; its own when they are that already. NULL: out of memory.
 */
static const struct df_connector *df_plugin_complete(const struct df_plugin *plugin, const struct df_connector *theirs)
{
	struct df_plugin_whole *w;
	bool same = true;

	for (size_t i = 0; i < DF_PLUGIN_SIZES && i < plugin->size_count; i++)
		same = same && plugin->sizes[i] == df_plugin_structs[i].size;
	if (same)
		return theirs;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->next = df_plugin_wholes;
	df_plugin_wholes = w;
	df_plugin_grown(plugin, DF_PLUGIN_SIZE_OF_df_connector, theirs, &w->connector);
	w->connector = (struct df_connector){
		.source = df_plugin_grown(plugin, DF_PLUGIN_SIZE_OF_df_type, w->connector.source, &w->source),
		.sink = df_plugin_grown(plugin, DF_PLUGIN_SIZE_OF_df_type, w->connector.sink, &w->sink),
		.source_ops = df_plugin_grown(plugin, DF_PLUGIN_SIZE_OF_df_source_ops, w->connector.source_ops,
					      &w->source_ops),
		.sink_ops = df_plugin_grown(plugin, DF_PLUGIN_SIZE_OF_df_sink_ops, w->connector.sink_ops, &w->sink_ops),
		.original = theirs,
	};
	return &w->connector;
}

static int df_plugin_note_types(const struct df_connector *c, const char *file, struct df_error *err)
{
	const struct df_type *types[] = { c->source, c->sink };

	for (size_t i = 0; i < DF_ARRAY_SIZE(types); i++) {
		if (!types[i])
			continue;
		if (df_plugin_type_count == DF_PLUGIN_TYPES_MAX)
			return df_error_set(err, DF_ERR_CONFIG, "one too many: %d types can be loaded",
					    DF_PLUGIN_TYPES_MAX);
		df_plugin_types[df_plugin_type_count].type = types[i];
		df_plugin_types[df_plugin_type_count++].file = file;
	}
	return 0;
}

static int df_plugin_add(const struct df_plugin *plugin, const char *path, struct df_error *err)
{
	char *file;
	int r = 0;

	if (df_plugin_count == DF_PLUGINS_MAX)
		return df_error_set(err, DF_ERR_CONFIG, "one too many: %d plugins can be loaded", DF_PLUGINS_MAX);
	file = strdup(path);
	if (!file)
		return df_error_no_memory(err);
	df_plugin_list[df_plugin_count] = (struct df_plugin_info){ file, plugin->name, plugin->version };
	for (size_t i = 0; i < plugin->connector_count && r == 0; i++) {
		const struct df_connector *c = df_plugin_complete(plugin, plugin->connectors[i]);

		r = c ? df_plugin_check_connector(c, err) : df_error_no_memory(err);
		if (r == 0)
			r = df_plugin_note_types(c, file, err);
		if (r == 0)
			r = df_connectors_add(c, false, err);
	}
	if (r == 0)
		df_plugin_count++;
	return r;
}

/* What the linker says, without the file's name, which stands before it already, and with what it means. */
static int df_plugin_link_error(const char *path, struct df_error *err)
{
	const char *text = dlerror(), *symbol;
	size_t len = strlen(path);

	if (!text)
		text = "";
	if (strncmp(text, path, len) == 0 && text[len] == ':')
		text += len + 2;
	symbol = strstr(text, "undefined symbol: ");
	if (symbol && strncmp(symbol, "undefined symbol: df_", 21) == 0)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"it needs `%s`, which this program (%s) does not offer: it was compiled for a newer "
			"one, or uses what no installed header declares",
			symbol + 18, DF_VERSION);
	return df_error_set(err, DF_ERR_CONFIG, "it cannot be linked: %s", text);
}

static int df_plugin_open(const char *path, struct df_error *err)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct df_plugin *plugin;
	int r;

	if (!handle)
		return df_plugin_link_error(path, err);
	plugin = dlsym(handle, "df_plugin");
	if (!plugin)
		return df_error_set(err, DF_ERR_CONFIG,
				    "it does not export `df_plugin`, which DF_PLUGIN() defines: look at its "
				    "version script");
	r = df_plugin_check_abi(plugin->abi, err);
	if (r == 0)
		r = df_plugin_check_sizes(plugin, err);
	return r < 0 ? r : df_plugin_add(plugin, path, err);
}

int df_plugin_load_file(const char *path, struct df_error *err)
{
	df_cleanup(df_freep) char *real = realpath(path, NULL);
	df_cleanup(df_closep) int fd = real ? open(real, O_RDONLY | O_CLOEXEC) : -1;
	uint32_t abi;
	int r;

	if (fd < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot open the connector plugin %s", path);
	r = df_plugin_trust(fd, real, S_IFREG, err);
	if (r < 0)
		return r;
	r = df_plugin_read_abi(fd, &abi, err);
	if (r == 0)
		r = df_plugin_check_abi(abi, err);
	if (r == 0)
		r = df_plugin_open(real, err);
	return r < 0 ? df_error_prefix(err, "the connector plugin %s", real) : 0;
}

/* ---- directories ----------------------------------------------------------------------------------------- */

static int df_plugin_is_object(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && df_str_ends(df_str_c(entry->d_name), DF_STR(".so"));
}

static int df_plugin_load_named(const char *directory, const char *name, struct df_error *err)
{
	struct df_buf path = { 0 };
	int r;

	df_buf_printf(&path, "%s/%s", directory, name);
	r = path.failed ? df_error_no_memory(err) : df_plugin_load_file(df_buf_c(&path), err);
	df_buf_done(&path);
	return r;
}

int df_plugin_load_directory(const char *path, struct df_error *err)
{
	df_cleanup(df_closep) int fd = -1;
	struct dirent **entries;
	int count, r;

	if (path[0] != '/')
		return df_error_set(err, DF_ERR_CONFIG,
				    "the connector directory `%s` is not an absolute path; write it from / on", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot open the connector directory %s", path);
	r = df_plugin_trust(fd, path, S_IFDIR, err);
	if (r < 0)
		return df_error_prefix(err, "the connector directory");
	count = scandir(path, &entries, df_plugin_is_object, alphasort);
	if (count < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot read the connector directory %s", path);
	for (int i = 0; i < count; i++) {
		if (r == 0)
			r = df_plugin_load_named(path, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return r;
}
