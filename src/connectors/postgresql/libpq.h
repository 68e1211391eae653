/*
 * libpq, loaded by the first connection. It brings Kerberos, LDAP and OpenSSL along, which a flow without PostgreSQL
 * need not carry. Calls read as they always do; one that is missing here does not link.
 */
#ifndef DF_CONNECTORS_POSTGRESQL_LIBPQ_H
#define DF_CONNECTORS_POSTGRESQL_LIBPQ_H

#include <libpq-fe.h>

#include "base/library.h"

#define DF_LIBPQ_FUNCTIONS(F)   \
	F(PQbinaryTuples)       \
	F(PQcancel)             \
	F(PQclear)              \
	F(PQcmdTuples)          \
	F(PQconnectPoll)        \
	F(PQconnectStartParams) \
	F(PQconninfoFree)       \
	F(PQconninfoParse)      \
	F(PQconsumeInput)       \
	F(PQenterPipelineMode)  \
	F(PQerrorMessage)       \
	F(PQescapeLiteral)      \
	F(PQexitPipelineMode)   \
	F(PQfinish)             \
	F(PQflush)              \
	F(PQfname)              \
	F(PQfreeCancel)         \
	F(PQfreemem)            \
	F(PQftype)              \
	F(PQgetCancel)          \
	F(PQgetCopyData)        \
	F(PQgetResult)          \
	F(PQgetisnull)          \
	F(PQgetlineAsync)       \
	F(PQgetvalue)           \
	F(PQhost)               \
	F(PQisBusy)             \
	F(PQnfields)            \
	F(PQntuples)            \
	F(PQparameterStatus)    \
	F(PQpipelineSync)       \
	F(PQport)               \
	F(PQputCopyData)        \
	F(PQputCopyEnd)         \
	F(PQresultErrorField)   \
	F(PQresultStatus)       \
	F(PQsendPrepare)        \
	F(PQsendQuery)          \
	F(PQsendQueryParams)    \
	F(PQsendQueryPrepared)  \
	F(PQserverVersion)      \
	F(PQsetErrorVerbosity)  \
	F(PQsetNoticeReceiver)  \
	F(PQsetnonblocking)     \
	F(PQsocket)             \
	F(PQstatus)             \
	F(PQtransactionStatus)

extern struct df_libpq {
	DF_LIBPQ_FUNCTIONS(DF_LIBRARY_MEMBER)
} df_libpq;

/* Once, thread-safe. DF_ERR_CONFIG: it is not there, or too old. */
int df_libpq_load(struct df_error *err) df_must_check;

#define PQbinaryTuples df_libpq.PQbinaryTuples
#define PQcancel df_libpq.PQcancel
#define PQclear df_libpq.PQclear
#define PQcmdTuples df_libpq.PQcmdTuples
#define PQconnectPoll df_libpq.PQconnectPoll
#define PQconnectStartParams df_libpq.PQconnectStartParams
#define PQconninfoFree df_libpq.PQconninfoFree
#define PQconninfoParse df_libpq.PQconninfoParse
#define PQconsumeInput df_libpq.PQconsumeInput
#define PQenterPipelineMode df_libpq.PQenterPipelineMode
#define PQerrorMessage df_libpq.PQerrorMessage
#define PQescapeLiteral df_libpq.PQescapeLiteral
#define PQexitPipelineMode df_libpq.PQexitPipelineMode
#define PQfinish df_libpq.PQfinish
#define PQflush df_libpq.PQflush
#define PQfname df_libpq.PQfname
#define PQfreeCancel df_libpq.PQfreeCancel
#define PQfreemem df_libpq.PQfreemem
#define PQftype df_libpq.PQftype
#define PQgetCancel df_libpq.PQgetCancel
#define PQgetCopyData df_libpq.PQgetCopyData
#define PQgetResult df_libpq.PQgetResult
#define PQgetisnull df_libpq.PQgetisnull
#define PQgetlineAsync df_libpq.PQgetlineAsync
#define PQgetvalue df_libpq.PQgetvalue
#define PQhost df_libpq.PQhost
#define PQisBusy df_libpq.PQisBusy
#define PQnfields df_libpq.PQnfields
#define PQntuples df_libpq.PQntuples
#define PQparameterStatus df_libpq.PQparameterStatus
#define PQpipelineSync df_libpq.PQpipelineSync
#define PQport df_libpq.PQport
#define PQputCopyData df_libpq.PQputCopyData
#define PQputCopyEnd df_libpq.PQputCopyEnd
#define PQresultErrorField df_libpq.PQresultErrorField
#define PQresultStatus df_libpq.PQresultStatus
#define PQsendPrepare df_libpq.PQsendPrepare
#define PQsendQuery df_libpq.PQsendQuery
#define PQsendQueryParams df_libpq.PQsendQueryParams
#define PQsendQueryPrepared df_libpq.PQsendQueryPrepared
#define PQserverVersion df_libpq.PQserverVersion
#define PQsetErrorVerbosity df_libpq.PQsetErrorVerbosity
#define PQsetNoticeReceiver df_libpq.PQsetNoticeReceiver
#define PQsetnonblocking df_libpq.PQsetnonblocking
#define PQsocket df_libpq.PQsocket
#define PQstatus df_libpq.PQstatus
#define PQtransactionStatus df_libpq.PQtransactionStatus

#endif
