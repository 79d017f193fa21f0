/* What bindgen reads: the httpd headers, and the shim for what bindgen cannot express. */
#ifndef WSGI_BINDINGS_H
#define WSGI_BINDINGS_H

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_auth.h"
#include "mod_core.h"
#include "ap_listen.h"
#include "ap_mpm.h"
#include "ap_regex.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "util_script.h"
#include "apr_buckets.h"
#include "apr_date.h"
#include "apr_file_info.h"
#include "apr_md5.h"
#include "apr_optional_hooks.h"
#include "apr_portable.h"
#include "apr_strings.h"
#include "apr_thread_proc.h"
#include "apr_user.h"
#ifndef WIN32
#include "unixd.h"
#endif

/* Macros over buckets. */
int wsgi_shim_ends_with_eos(const apr_bucket_brigade *brigade);
int wsgi_shim_error_status(const apr_bucket_brigade *brigade);
void wsgi_shim_append(apr_bucket_brigade *brigade, apr_bucket *bucket);
void wsgi_shim_append_file(apr_bucket_brigade *brigade, apr_file_t *file, apr_off_t offset, apr_off_t length,
                           apr_pool_t *pool);
void wsgi_shim_insert_after(apr_bucket *bucket, apr_bucket *next);
/* A bucket that is in no brigade and has neither type nor data yet. */
apr_bucket *wsgi_shim_new_bucket(apr_bucket_alloc_t *list);

/* Logging: the level is tested before the text is made, and the text is never a format. */
int wsgi_shim_request_logs(const request_rec *r, int module_index, int level);
int wsgi_shim_server_logs(const server_rec *s, int module_index, int level);
int wsgi_shim_server_level(const server_rec *s, int module_index);
int wsgi_shim_request_level(const request_rec *r, int module_index);
void wsgi_shim_log_request(const char *file, int line, int module_index, int level, const request_rec *r,
                           const char *text);
/* Whether ErrorLogFormat says how lines look. */
int wsgi_shim_has_log_format(const server_rec *s);
void wsgi_shim_log_server(const char *file, int line, int module_index, int level, const server_rec *s,
                          const char *text);

/* Bit-fields of the core module's configuration for this request's directory. */
#define WSGI_SHIM_CGI_PASS_AUTH 1
#define WSGI_SHIM_CURRENT_URI 2
#define WSGI_SHIM_MMAP 4
#define WSGI_SHIM_SENDFILE 8
int wsgi_shim_core_flags(const request_rec *r);

/* Makes a descriptor an APR file for sendfile that is closed with the request. */
#ifndef WIN32
apr_status_t wsgi_shim_take_file(apr_file_t **file, int fd, const request_rec *r);
#endif

/* Whether nothing is there to be read now, which is no failure. */
int wsgi_shim_is_would_block(apr_status_t status);

/* What ErrorDocument names for a status, or null. httpd keeps that to itself on Windows: there it may be a URL of this
 * server for each. */
const char *wsgi_shim_error_document(request_rec *r, int status);

/* Whether one of the output filters has this name, in small letters. */
int wsgi_shim_has_output_filter(const request_rec *r, const char *name);

#ifndef WIN32
/* Tells the filters of a connection that nothing follows; what the core's filter does not write at once is lost. */
void wsgi_shim_pass_end_of_connection(conn_rec *c);
#endif

/* The type of the first output filter, and whether there is any. */
int wsgi_shim_first_output_filter(const request_rec *r);
int wsgi_shim_sends_unseen(const request_rec *r);
int wsgi_shim_first_input_filter(const request_rec *r);

/* What mod_http2 says, where it is loaded: the descriptor that tells that a stream has something to read, or -1; and
 * how many streams a child serves at a time, or 0. */
int wsgi_shim_stream_input(conn_rec *c);
int wsgi_shim_stream_workers(server_rec *s);

/* The name of the client that mod_remoteip has found, or, before httpd 2.4.19, of who has connected; null if there is
   none. */
const char *wsgi_shim_remote_host(request_rec *r);

#endif
