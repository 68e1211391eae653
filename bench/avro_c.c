/* The same messages through avro-c: its generic value, and that as JSON. Usage: bench-avro-c MESSAGES ROUNDS [--check]
 */
#include <avro.h>
#include <string.h>

#include "avro_messages.h"

int main(int argc, char **argv)
{
	avro_schema_t schema;
	avro_value_iface_t *iface;
	avro_value_t value;
	size_t len;
	uint8_t *data;

	if (argc < 3 || avro_schema_from_json_length(bench_schema, sizeof(bench_schema) - 1, &schema))
		return 1;
	iface = avro_generic_class_from_schema(schema);
	avro_generic_value_new(iface, &value);
	data = bench_read(argv[1], &len);
	for (int round = 0; round < atoi(argv[2]); round++) {
		const uint8_t *at = data, *message;
		long n;

		while ((n = bench_next(&at, data + len, &message)) >= 0) {
			avro_reader_t reader = avro_reader_memory((const char *)message, n);
			char *json;

			avro_value_reset(&value);
			if (avro_value_read(reader, &value) || avro_value_to_json(&value, 1, &json))
				return 1;
			if (argc > 3)
				puts(json);
			free(json);
			avro_reader_free(reader);
		}
	}
	return 0;
}
