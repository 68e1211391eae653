/*
 * Everything that a connector is written with, in one header. Outside this tree, <dataflow/connector.h> with the flags
 * of `pkg-config --cflags dataflow`, which also resolve "connectors/base.h" and the other headers by their own names,
 * so the same sources compile here and there. C17 with GNU extensions (-std=gnu17). See docs/plugins.md.
 */
#ifndef DF_DATAFLOW_CONNECTOR_H
#define DF_DATAFLOW_CONNECTOR_H

/* The contract, and the bases that implement most of it. */
#include "connectors/base.h"
#include "connectors/interface.h"
#include "connectors/plugin.h"

/* Settings: field tables, checks, shared blocks. */
#include "connectors/settings.h"
#include "spec/diag.h"
#include "spec/field.h"
#include "spec/spec.h"

/* What is read and written. */
#include "message/ledger.h"
#include "message/message.h"
#include "value/path.h"
#include "value/value.h"

/* For row-shaped stores. */
#include "connectors/polling.h"
#include "table/columns.h"
#include "table/convert.h"
#include "table/cursor.h"
#include "table/identifier.h"
#include "table/raw.h"
#include "table/rows.h"

/* For byte streams of records. */
#include "connectors/bytes.h"
#include "connectors/records.h"
#include "connectors/writer.h"

/* For services that speak HTTP. */
#include "net/http_client.h"
#include "net/tls.h"
#include "net/url.h"

/* The ground. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/error.h"
#include "base/library.h"
#include "base/log.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/time.h"

#endif
