#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "avro/encode.h"
#include "connectors/kafka/avro.h"
#include "connectors/kafka/avro_internal.h"
#include "connectors/kafka/registry.h"

#define FILE_MAX ((size_t)16 << 20)

/* What a topic's values are written with. */
struct target {
	struct target *next;
	char *topic;
	uint32_t id;
	const struct df_avro_schema *schema; /* the writer's fixed one, or `own` */
	struct df_avro_schema *own;
};

struct df_kafka_avro_writer {
	struct df_kafka_registry *registry; /* NULL: none */
	struct df_avro_schema *fixed;	    /* the manifest's; NULL: the subject's latest */
	char *text;			    /* its */
	char *subject;			    /* NULL: <topic>-value */
	bool auto_register;
	struct target *targets; /* the latest used first */
};

/* ---- static schemas -------------------------------------------------------------------------------------- */

static int read_file(const char *path, char **ret, struct df_error *err)
{
	df_cleanup(df_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	df_cleanup(df_buf_done) struct df_buf text = { .max = FILE_MAX };
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0) {
		char *to = df_buf_reserve(&text, 65536);

		n = to ? read(fd, to, 65536) : -1;
		if (n > 0)
			text.len += (size_t)n;
	}
	if (text.failed)
		return df_error_set(err, DF_ERR_CONFIG, "avroSchemaFile: %s is larger than 16 MiB", path);
	if (n < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "avroSchemaFile: cannot read %s", path);
	*ret = df_buf_take(&text);
	return *ret ? 0 : df_error_no_memory(err);
}

int df_kafka_avro_text(const struct df_kafka_avro_options *options, char **ret, struct df_error *err)
{
	*ret = NULL;
	if (!options->schema)
		return options->schema_file ? read_file(options->schema_file, ret, err) : 0;
	*ret = strdup(options->schema);
	return *ret ? 0 : df_error_no_memory(err);
}

int df_kafka_avro_parse(const char *text, const char *field, struct df_avro_schema **ret, struct df_error *err)
{
	struct df_str s = df_str_c(text);
	int code = df_avro_schema_parse(&s, 1, ret, err);

	if (code < 0)
		df_error_prefix(err, "%s", field);
	return code;
}

/* ---- writers --------------------------------------------------------------------------------------------- */

static void target_free(struct target *target)
{
	df_avro_schema_free(target->own);
	free(target->topic);
	free(target);
}

void df_kafka_avro_writer_free(struct df_kafka_avro_writer *writer)
{
	if (!writer)
		return;
	while (writer->targets) {
		struct target *target = writer->targets;

		writer->targets = target->next;
		target_free(target);
	}
	df_avro_schema_free(writer->fixed);
	df_kafka_registry_free(writer->registry);
	free(writer->text);
	free(writer->subject);
	free(writer);
}

int df_kafka_avro_writer_new(const struct df_kafka_avro_options *options, struct df_kafka_avro_writer **ret,
			     struct df_error *err)
{
	df_cleanup(df_kafka_avro_writer_freep) struct df_kafka_avro_writer *writer = calloc(1, sizeof(*writer));
	int code;

	*ret = NULL;
	if (!writer)
		return df_error_no_memory(err);
	writer->auto_register = options->auto_register;
	if (options->subject && !(writer->subject = strdup(options->subject)))
		return df_error_no_memory(err);
	code = df_kafka_avro_text(options, &writer->text, err);
	if (code == 0 && writer->text)
		code = df_kafka_avro_parse(writer->text, options->schema ? "avroSchema" : "avroSchemaFile",
					   &writer->fixed, err);
	if (code == 0 && options->registry)
		code = df_kafka_registry_new(options->registry, &writer->registry, err);
	if (code < 0)
		return code;
	*ret = DF_TAKE(writer);
	return 0;
}

static int ask_registry(struct df_kafka_avro_writer *writer, struct df_context *ctx, struct target *target,
			struct df_error *err)
{
	df_cleanup(df_freep) char *subject = NULL;
	int code;

	if (writer->subject)
		subject = strdup(writer->subject);
	else if (asprintf(&subject, "%s-value", target->topic) < 0)
		subject = NULL;
	if (!subject)
		return df_error_no_memory(err);
	if (writer->fixed)
		return df_kafka_registry_id(writer->registry, ctx, subject, writer->text, writer->auto_register,
					    &target->id, err);
	code = df_kafka_registry_latest(writer->registry, ctx, subject, &target->id, &target->own, err);
	target->schema = target->own;
	return code;
}

/* The topic's target, first in the list from now on. */
static int find_target(struct df_kafka_avro_writer *writer, struct df_context *ctx, struct df_str topic,
		       struct target **ret, struct df_error *err)
{
	struct target **link = &writer->targets, *target;
	int code = 0;

	while (*link && !df_str_equal_c(topic, (*link)->topic))
		link = &(*link)->next;
	target = *link;
	if (target) {
		*link = target->next;
	} else {
		target = calloc(1, sizeof(*target));
		if (!target)
			return df_error_no_memory(err);
		target->schema = writer->fixed;
		target->topic = df_str_dup(topic);
		code = target->topic ? 0 : df_error_no_memory(err);
		if (code == 0 && writer->registry)
			code = ask_registry(writer, ctx, target, err);
		if (code < 0) {
			target_free(target);
			return code;
		}
	}
	target->next = writer->targets;
	writer->targets = target;
	*ret = target;
	return 0;
}

int df_kafka_avro_writer_prepare(struct df_kafka_avro_writer *writer, struct df_context *ctx, struct df_str topic,
				 struct df_error *err)
{
	struct target *target;

	return find_target(writer, ctx, topic, &target, err);
}

int df_kafka_avro_writer_encode(struct df_kafka_avro_writer *writer, struct df_context *ctx, struct df_str topic,
				struct df_value *document, struct df_arena *arena, struct df_buf *buf,
				struct df_error *err)
{
	struct target *target;
	size_t before = buf->len;
	int code = find_target(writer, ctx, topic, &target, err);

	if (code < 0)
		return code;
	if (writer->registry) {
		const uint8_t frame[] = { 0, (uint8_t)(target->id >> 24), (uint8_t)(target->id >> 16),
					  (uint8_t)(target->id >> 8), (uint8_t)target->id };

		df_buf_add(buf, frame, sizeof(frame));
	}
	code = df_avro_encode(target->schema, document, arena, buf, err);
	if (code < 0)
		buf->len = before;
	return code;
}
