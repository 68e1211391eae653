/* `connector new`: writes the folder of a new connector from the templates of src/cmd/skeleton. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cmd/common.h"
#include "cmd/connector_tree.h"
#include "cmd/skeleton.h"
#include "connectors/factory.h"

struct connector_new_options {
	const char *kind, *base, *out, *subprocess;
	bool in_tree, plugin;
};

#define OPTION(...) DF_OPTION(struct connector_new_options, __VA_ARGS__)

static const char *const kinds[] = { "source", "sink", "both", NULL };
static const char *const bases[] = { "mutex", "rw", NULL };
static const char *const languages[] = { "python", "c", NULL };

static const struct df_option connector_new_rows[] = {
	OPTION(kind, "kind", 'k', .choices = kinds, .doc = "what it is (default both)"),
	OPTION(base, "base", 'b', .choices = bases,
	       .doc = "mutex: the connection takes one user at a time (default); rw: it is used without the lock"),
	OPTION(out, "out", 'o', .argument = "DIR",
	       .doc = "where the folder NAME is made (default .); with --in-tree: the top of the tree"),
	OPTION(plugin, "plugin", 0, .doc = "a shared object, built outside of this tree (the default)"),
	OPTION(in_tree, "in-tree", 0,
	       .doc = "in src/connectors of a DataFlow tree, with its row in list.h and its build option"),
	OPTION(subprocess, "subprocess", 0, .choices = languages,
	       .doc = "a program of its own, which speaks JSON lines"),
};

/* ---- what it becomes ------------------------------------------------------------------------------------- */

/* In which form a connector is shipped. */
static const struct form {
	const char *word;      /* in templates */
	const char *templates; /* which of the embedded files */
	const char *next;      /* what to do now; placeholders as in templates */
} forms[] = {
	{ "plugin", "connector/",
	  "  cd @folder@\n"
	  "  meson setup build && meson compile -C build\n"
	  "  dataflow connector test --against build/dataflow-connector-@name@.so --cleanup 'rm -rf /tmp/*.@name@' "
	  "flow.yaml\n"
	  "  dataflow --connector-dir $PWD/build connectors @name@\n" },
	{ "tree", "connector/",
	  "  cd @out@\n"
	  "  make && make generate manifests\n"
	  "  build/dataflow connector test --cleanup 'rm -rf /tmp/*.@name@' src/connectors/@name@/flow.yaml\n"
	  "  build/dataflow connectors @name@\n" },
	{ "python", "python/",
	  "  cd @folder@\n"
	  "  dataflow connector test --against $PWD/dataflow-connector-@name@ --cleanup 'rm -f /tmp/@name@.db' flow.yaml\n"
	  "  DATAFLOW_USE_SUBPROCESS_CONNECTORS=1 DATAFLOW_CONNECTOR_PATH=$PWD dataflow connectors @name@\n" },
	{ "c", "c/",
	  "  cd @folder@\n"
	  "  make\n"
	  "  dataflow connector test --against $PWD/dataflow-connector-@name@ --cleanup 'rm -f /tmp/*.@name@' flow.yaml\n"
	  "  DATAFLOW_USE_SUBPROCESS_CONNECTORS=1 DATAFLOW_CONNECTOR_PATH=$PWD dataflow connectors @name@\n" },
};

static const char *const words[] = { "source", "sink", "both", "mutex", "rw", "plugin", "tree", "python", "c", NULL };

/* Templates that are not for every connector. */
static const struct {
	const char *file, *word;
} only[] = { { "connector/source.c", "source" },
	     { "connector/sink.c", "sink" },
	     { "connector/test_@name@.c", "tree" } };

#define FILES_MAX 32

struct made {
	struct df_buf path, text;
	bool executable;
};

/* One run of the command. */
struct making {
	const struct form *form;
	const char *name, *out;
	struct df_buf folder, upper, title, class, dir;
	const char *rw;
	bool holds[DF_ARRAY_SIZE(words)];
	struct made files[FILES_MAX];
	size_t count;
};

static void making_done(struct making *m)
{
	for (size_t i = 0; i < m->count; i++) {
		df_buf_done(&m->files[i].path);
		df_buf_done(&m->files[i].text);
	}
	df_buf_done(&m->folder);
	df_buf_done(&m->upper);
	df_buf_done(&m->title);
	df_buf_done(&m->class);
	df_buf_done(&m->dir);
}

static int fill(struct making *m, const char *text, struct df_buf *ret, struct df_error *err)
{
	const struct df_placeholder placeholders[] = {
		{ "name", m->name },
		{ "NAME", df_buf_c(&m->upper) },
		{ "title", df_buf_c(&m->title) },
		{ "class", df_buf_c(&m->class) },
		{ "_rw", m->rw },
		{ "dir", df_buf_c(&m->dir) },
		{ "folder", df_buf_c(&m->folder) },
		{ "out", m->out },
		{ NULL, NULL },
	};

	return df_skeleton_fill(df_str_c(text), &(const struct df_skeleton_facts){ placeholders, words, m->holds }, ret,
				err);
}

static bool wanted(const struct making *m, const struct df_skeleton_file *file)
{
	const struct df_skeleton_facts facts = { .words = words, .holds = m->holds };
	bool known;

	if (strncmp(file->name, m->form->templates, strlen(m->form->templates)) != 0)
		return false;
	for (size_t i = 0; i < DF_ARRAY_SIZE(only); i++)
		if (strcmp(only[i].file, file->name) == 0)
			return df_skeleton_holds(&facts, df_str_c(only[i].word), &known);
	return true;
}

static int make_file(struct making *m, const struct df_skeleton_file *file, const char *text, struct df_error *err)
{
	struct made *made = &m->files[m->count++];
	int code;

	df_buf_printf(&made->path, "%s/", df_buf_c(&m->folder));
	made->executable = file->executable;
	code = fill(m, file->name + strlen(m->form->templates), &made->path, err);
	if (code == 0)
		code = fill(m, text, &made->text, err);
	df_buf_c(&made->path); /* from now on it ends with a NUL */
	return code == 0 ? 0 : df_error_prefix(err, "template %s", file->name);
}

static int make_files(struct making *m, struct df_error *err)
{
	df_cleanup(df_freep) char *texts = df_skeleton_unpack();
	int code = texts ? 0 : df_error_no_memory(err);

	for (const struct df_skeleton_file *f = df_skeleton_files; f->name && code == 0 && m->count < FILES_MAX; f++)
		if (wanted(m, f))
			code = make_file(m, f, texts + f->offset, err);
	return code;
}

static void set_word(struct making *m, const char *word)
{
	for (size_t i = 0; words[i]; i++)
		m->holds[i] |= strcmp(words[i], word) == 0;
}

static void prepare(struct making *m, const struct connector_new_options *o)
{
	const char *kind = o->kind ? o->kind : "both", *base = o->base ? o->base : "mutex";
	bool tree = strcmp(m->form->word, "tree") == 0;

	set_word(m, m->form->word);
	set_word(m, base);
	set_word(m, kind);
	if (strcmp(kind, "both") == 0) {
		set_word(m, "source");
		set_word(m, "sink");
	}
	m->rw = strcmp(base, "rw") == 0 ? "_rw" : "";
	for (const char *c = m->name; *c; c++) {
		char upper = (char)toupper((unsigned char)*c);

		df_buf_add_char(&m->upper, upper);
		df_buf_add_char(&m->title, c == m->name ? upper : *c == '_' ? ' ' : *c);
		if (*c != '_')
			df_buf_add_char(&m->class, c == m->name || c[-1] == '_' ? upper : *c);
	}
	if (tree)
		df_buf_printf(&m->dir, "connectors/%s/", m->name);
	if (strcmp(m->out, ".") != 0)
		df_buf_printf(&m->folder, "%s/", m->out);
	df_buf_printf(&m->folder, "%s%s", tree ? "src/connectors/" : "", m->name);
}

/* ---- checks ---------------------------------------------------------------------------------------------- */

#define NAME_MAX_BYTES 40

/* df_<name>_open and struct df_<name> would be something else already. */
static const char *const taken_words[] = {
	"arena",     "base",	 "batch",    "buf",	"clock", "commit", "component", "conformance",
	"connector", "context",	 "document", "emitter", "error", "field",  "file",	"ledger",
	"log",	     "logger",	 "message",  "number",	"opt",	 "pair",   "partition", "path",
	"plugin",    "registry", "rule",     "secret",	"sink",	 "source", "spec",	"str",
	"strings",   "table",	 "type",     "value",	"write", "writer", "zone",
};

static int check_name(const char *name, struct df_error *err)
{
	bool good = islower((unsigned char)name[0]) && strlen(name) <= NAME_MAX_BYTES;

	for (const char *c = name; *c; c++)
		good = good && (islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_');
	if (!good)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"'%s' cannot be the name: lower case letters, digits and _, beginning with a letter, at "
			"most %d; such as my_db",
			name, NAME_MAX_BYTES);
	for (size_t i = 0; i < DF_ARRAY_SIZE(taken_words); i++)
		if (strcmp(taken_words[i], name) == 0)
			return df_error_set(err, DF_ERR_CONFIG,
					    "'%s' cannot be the name: DataFlow's own names begin with df_%s; take a "
					    "longer one, such as my_%s",
					    name, name, name);
	if (df_connector_find(DF_SOURCE, df_str_c(name)) || df_connector_find(DF_SINK, df_str_c(name)))
		return df_error_set(err, DF_ERR_CONFIG, "there is a connector `%s` already; take another name", name);
	return 0;
}

static int check_new(const struct making *m, struct df_error *err)
{
	struct stat st;

	for (size_t i = 0; i < m->count; i++) {
		const struct made *made = &m->files[i];

		if (lstat(made->path.data, &st) == 0)
			return df_error_set(err, DF_ERR_CONFIG,
					    "%s exists already, and nothing is ever written over; take another name or "
					    "--out, or remove it",
					    made->path.data);
	}
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static int make_parents(const char *path, struct df_error *err)
{
	char *copy = df_str_dup(df_str_c(path));
	int code = copy ? 0 : df_error_no_memory(err);

	for (char *slash = copy ? strchr(copy + 1, '/') : NULL; slash && code == 0; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0777) < 0 && errno != EEXIST)
			code = df_error_errno(err, DF_ERR_CONFIG, errno, "cannot make the folder %s", copy);
		*slash = '/';
	}
	free(copy);
	return code;
}

static int write_file(const struct made *made, struct df_error *err)
{
	const char *path = made->path.data;
	FILE *f;
	bool ok;
	int code = make_parents(path, err);

	if (code != 0)
		return code;
	f = fopen(path, "wx");
	ok = f && (made->text.len == 0 || fwrite(made->text.data, 1, made->text.len, f) == made->text.len);
	if (f && fclose(f) != 0)
		ok = false;
	if (ok && made->executable)
		ok = chmod(path, 0755) == 0;
	if (!ok)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot write %s", path);
	printf("wrote %s\n", path);
	return 0;
}

static int write_all(struct making *m, struct df_error *err)
{
	struct df_buf next = { 0 };
	int code = 0;

	for (size_t i = 0; i < m->count && code == 0; i++)
		code = write_file(&m->files[i], err);
	if (code == 0 && strcmp(m->form->word, "tree") == 0)
		code = df_connector_tree_add(m->out, m->name, err);
	if (code == 0)
		code = fill(m, m->form->next, &next, err);
	if (code == 0)
		printf("\nIt works as it is, on a small store of its own. Now:\n\n%s\n"
		       "and replace what is marked: grep -rn 'FILL IN' %s\n",
		       df_buf_c(&next), df_buf_c(&m->folder));
	df_buf_done(&next);
	return code;
}

/* ---- the command ----------------------------------------------------------------------------------------- */

static const struct form *form_of(const struct connector_new_options *o)
{
	const char *word = o->subprocess ? o->subprocess : o->in_tree ? "tree" : "plugin";
	const struct form *form = forms;

	while (strcmp(form->word, word) != 0)
		form++;
	return form;
}

static int make(struct making *m, const struct connector_new_options *o, struct df_error *err)
{
	int code = check_name(m->name, err);

	if (code == 0 && o->in_tree)
		code = df_connector_tree_check(m->out, m->name, err);
	if (code != 0)
		return code;
	prepare(m, o);
	code = make_files(m, err);
	if (code == 0)
		code = check_new(m, err);
	return code == 0 ? write_all(m, err) : code;
}

static int connector_new_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct connector_new_options *o = options;
	struct making m = { .form = form_of(o), .name = operand[0], .out = o->out ? o->out : ".", .rw = "" };
	struct df_error err = DF_ERROR_INIT;
	int code;

	(void)operands;
	if (o->in_tree + o->plugin + (o->subprocess != NULL) > 1)
		return df_usage_error(command, "one of --plugin, --in-tree and --subprocess");
	if (o->subprocess && o->base)
		return df_usage_error(command,
				      "--base is for connectors that run in this program, not with --subprocess");
	code = make(&m, o, &err);
	making_done(&m);
	if (code == 0)
		return DF_EXIT_OK;
	fflush(stdout);
	fprintf(stderr, "dataflow %s: %s\n", command->name, err.text);
	return code == DF_ERR_CONFIG ? DF_EXIT_USAGE : DF_EXIT_FAILED;
}

const struct df_command df_command_connector_new = {
	.name = "connector new",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "write the folder of a new connector",
	.doc = "Writes the folder of a connector of the type NAME: settings, source, sink, build file, a manifest for\n"
	       "`connector test`, documentation. It compiles and passes the conformance suite as written, on a small "
	       "store of\n"
	       "its own; `FILL IN` marks what to replace, and says with what. Files that exist are never written over.\n"
	       "A guide: docs/connector-development.md.",
	.examples = "  dataflow connector new my_db\n"
		    "  dataflow connector new my_db --kind sink --base rw --out connectors\n"
		    "  dataflow connector new my_db --in-tree --out ~/dataflow\n"
		    "  dataflow connector new my_db --subprocess python\n",
	.options = connector_new_rows,
	.option_count = sizeof(connector_new_rows) / sizeof(connector_new_rows[0]),
	.size = sizeof(struct connector_new_options),
	.run = connector_new_run,
};
