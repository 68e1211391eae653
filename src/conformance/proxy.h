/*
 * A TCP proxy of the suite's own, between a connector and its server, in a process of its own so that it is still there
 * when the rule hangs. IPv4 and IPv6 upstream; it listens on 127.0.0.1.
 */
#ifndef DF_CONFORMANCE_PROXY_H
#define DF_CONFORMANCE_PROXY_H

#include "conformance/stage.h"

struct df_proxy;

/* Listens and forwards to options.server; from now on `{address}` is the proxy's. It ends with the rule. */
struct df_proxy *df_proxy_start(struct df_stage *st);

void df_proxy_delay(struct df_proxy *p, int64_t ns);   /* every chunk in both directions, from now on; 0: none */
void df_proxy_stall(struct df_proxy *p, bool stalled); /* accept, and forward nothing */
void df_proxy_refuse(struct df_proxy *p, bool refuse); /* new connections are reset at once */
void df_proxy_cut(struct df_proxy *p, bool reset);     /* all connections end now: FIN, or RST */
/* The connection is cut when so many more bytes went through in that direction. */
void df_proxy_cut_after(struct df_proxy *p, bool to_server, uint64_t bytes, bool reset);
/* One bit of the byte so many bytes on in that direction is flipped. */
void df_proxy_corrupt_after(struct df_proxy *p, bool to_server, uint64_t bytes);
void df_proxy_rate(struct df_proxy *p, uint64_t bytes_per_second); /* towards the server; 0: unlimited */
uint64_t df_proxy_connections(struct df_proxy *p);		   /* accepted so far */
uint64_t df_proxy_bytes(struct df_proxy *p, bool to_server);

#endif
