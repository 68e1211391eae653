/*
 * How to reach an API server, and as whom: a kubeconfig file, or what every pod is given.
 *
 * Source of the format: "Organizing Cluster Access Using kubeconfig Files" and the v1 Config type of client-go. Client
 * certificates, tokens and token files are taken; credentials that need a program to be run (exec, auth-provider) are
 * refused with the way out.
 */
#ifndef DF_KUBE_CONFIG_H
#define DF_KUBE_CONFIG_H

#include "base/cleanup.h"
#include "base/error.h"

struct df_kube_config {
	char *server;	       /* "https://10.96.0.1:443", without a slash at its end */
	char *ca, *cert, *key; /* PEM text or a path; NULL: none */
	char *token;	       /* NULL: none, or token_file */
	char *token_file;      /* read anew when it changes: a pod's token lives an hour */
	char *namespace;       /* the context's, or the pod's; "default" */
	bool insecure;	       /* insecure-skip-tls-verify */
};

/*
 * file: a kubeconfig, with its current-context. NULL: the one of KUBECONFIG, else a pod's own (KUBERNETES_SERVICE_HOST
 * and the files of its service account), else ~/.kube/config. DF_ERR_CONFIG names the file and what is wrong with it.
 */
int df_kube_config_load(const char *file, struct df_kube_config *ret, struct df_error *err) df_must_check;
void df_kube_config_done(struct df_kube_config *config); /* accepts a zeroed one */

#endif
