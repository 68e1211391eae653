/* @title@: what a manifest may say. */
#ifndef DF_CONNECTORS_@NAME@_SETTINGS_H
#define DF_CONNECTORS_@NAME@_SETTINGS_H

//@if tree
#include "connectors/base.h"
#include "connectors/settings.h"
//@else
#include <dataflow/connector.h>
//@end

//@if both
/* FILL IN: what source and sink both need to connect. A text that may come from a Secret is a struct df_secret. */
//@else
/* FILL IN: what it needs to connect. A text that may come from a Secret is a struct df_secret. */
//@end
struct df_@name@_connection {
	char *path;
	struct df_secret token;
	char *collection;
	int32_t connect_timeout; /* seconds */
};

//@if source
/* FILL IN: the source's own settings. */
struct df_@name@_source_settings {
	struct df_@name@_connection connection;
	int32_t poll_interval; /* seconds */
};

//@end
//@if sink
/* FILL IN: the sink's own settings. */
struct df_@name@_sink_settings {
	struct df_@name@_connection connection;
	struct df_batch_settings batch;
	bool upsert_mode;
	char *conflict_key;
};

//@end
//@if source
/* source.c */
extern const struct df_source_ops df_@name@_source_ops;
//@end
//@if sink
/* sink.c */
extern const struct df_sink_ops df_@name@_sink_ops;
//@end

#endif
