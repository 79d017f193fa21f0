/* Everything that is a macro or a bit-field in httpd's headers, as functions. No decisions are taken here. */

#include "src/httpd/bindings.h"
#include "apr_optional.h"
#include "apr_poll.h"
#include "apr_strings.h"
#include <stdint.h>
#ifndef WIN32
#include <unistd.h>
#endif

int wsgi_shim_ends_with_eos(const apr_bucket_brigade *brigade)
{
    return !APR_BRIGADE_EMPTY(brigade) && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(brigade));
}

int wsgi_shim_error_status(const apr_bucket_brigade *brigade)
{
    const apr_bucket *bucket;
    for (bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade); bucket = APR_BUCKET_NEXT(bucket)) {
        if (AP_BUCKET_IS_ERROR(bucket)) {
            return ((const ap_bucket_error *)bucket->data)->status;
        }
    }
    return 0;
}

void wsgi_shim_append(apr_bucket_brigade *brigade, apr_bucket *bucket)
{
    APR_BRIGADE_INSERT_TAIL(brigade, bucket);
}

void wsgi_shim_append_file(apr_bucket_brigade *brigade, apr_file_t *file, apr_off_t offset, apr_off_t length,
                           apr_pool_t *pool)
{
    apr_bucket *bucket = apr_brigade_insert_file(brigade, file, offset, length, pool);
#if APR_HAS_MMAP
    apr_bucket_file_enable_mmap(bucket, 0);
#endif
}

void wsgi_shim_insert_after(apr_bucket *bucket, apr_bucket *next)
{
    APR_BUCKET_INSERT_AFTER(bucket, next);
}

apr_bucket *wsgi_shim_new_bucket(apr_bucket_alloc_t *list)
{
    apr_bucket *bucket = apr_bucket_alloc(sizeof(*bucket), list);
    APR_BUCKET_INIT(bucket);
    bucket->free = apr_bucket_free;
    bucket->list = list;
    return bucket;
}

int wsgi_shim_request_logs(const request_rec *r, int module_index, int level)
{
    return APLOG_R_MODULE_IS_LEVEL(r, module_index, level);
}

int wsgi_shim_server_logs(const server_rec *s, int module_index, int level)
{
    return APLOG_MODULE_IS_LEVEL(s, module_index, level);
}

int wsgi_shim_request_level(const request_rec *r, int module_index)
{
    return ap_get_request_module_loglevel(r, module_index);
}

int wsgi_shim_server_level(const server_rec *s, int module_index)
{
    return ap_get_server_module_loglevel(s, module_index);
}

void wsgi_shim_log_request(const char *file, int line, int module_index, int level, const request_rec *r,
                           const char *text)
{
    ap_log_rerror_(file, line, module_index, level, 0, r, "%s", text);
}

void wsgi_shim_log_server(const char *file, int line, int module_index, int level, const server_rec *s,
                          const char *text)
{
    ap_log_error_(file, line, module_index, level, 0, s, "%s", text);
}

int wsgi_shim_has_log_format(const server_rec *s)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    return core->error_log_format != NULL;
}

int wsgi_shim_core_flags(const request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    int flags = 0;
    if (core->cgi_pass_auth == AP_CGI_PASS_AUTH_ON) {
        flags |= WSGI_SHIM_CGI_PASS_AUTH;
    }
    if (core->cgi_var_rules) {
        const char *rule = apr_hash_get(core->cgi_var_rules, "REQUEST_URI", APR_HASH_KEY_STRING);
        if (rule && !strcmp(rule, "current-uri")) {
            flags |= WSGI_SHIM_CURRENT_URI;
        }
    }
    if (core->enable_mmap != ENABLE_MMAP_OFF) {
        flags |= WSGI_SHIM_MMAP;
    }
    if (core->enable_sendfile == ENABLE_SENDFILE_ON) {
        flags |= WSGI_SHIM_SENDFILE;
    }
    return flags;
}

#ifndef WIN32
static apr_status_t close_descriptor(void *fd)
{
    close((int)(intptr_t)fd);
    return APR_SUCCESS;
}

/* A bucket that is set aside makes another apr_file_t of the descriptor, which closes nothing (APR_FOPEN_NOCLEANUP).
 * The pool of the main request closes it: the request ends after its last bucket has been sent. */
apr_status_t wsgi_shim_take_file(apr_file_t **file, int fd, const request_rec *r)
{
    apr_os_file_t os = fd;
    apr_int32_t flags = APR_FOPEN_READ | APR_FOPEN_BINARY | APR_FOPEN_SENDFILE_ENABLED;
    while (r->main) {
        r = r->main;
    }
    apr_pool_cleanup_register(r->pool, (void *)(intptr_t)fd, close_descriptor, close_descriptor);
    return apr_os_file_put(file, &os, flags, r->pool);
}
#endif

int wsgi_shim_is_would_block(apr_status_t status)
{
    return APR_STATUS_IS_EAGAIN(status);
}

const char *wsgi_shim_error_document(request_rec *r, int status)
{
#ifndef WIN32
    return ap_response_code_string(r, ap_index_of_response(status));
#else
    return "/";
#endif
}

int wsgi_shim_has_output_filter(const request_rec *r, const char *name)
{
    const ap_filter_t *filter;
    for (filter = r->output_filters; filter; filter = filter->next) {
        if (!strcmp(filter->frec->name, name)) {
            return 1;
        }
    }
    return 0;
}

#ifndef WIN32
void wsgi_shim_pass_end_of_connection(conn_rec *c)
{
    apr_bucket_brigade *brigade = apr_brigade_create(c->pool, c->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(brigade, ap_bucket_eoc_create(c->bucket_alloc));
    ap_pass_brigade(c->output_filters, brigade);
    apr_brigade_cleanup(brigade);
}
#endif

int wsgi_shim_first_output_filter(const request_rec *r)
{
    return r->output_filters ? (int)r->output_filters->frec->ftype : AP_FTYPE_NETWORK;
}

/* Whether content reaches the socket by httpd's own filters of plain HTTP/1.1 alone, or by such as set headers or wait
   for the response's end: none of them looks at it. */
int wsgi_shim_sends_unseen(const request_rec *r)
{
    static const char *const filters[] = {"fixup_headers_out", "mod_expires",    "byterange",  "content_length",
                                          "http_header",       "http_outerror", "chunk",      "reqtimeout",
                                          "core"};
    const ap_filter_t *f;
    for (f = r->output_filters; f; f = f->next) {
        size_t i = 0;
        while (i < sizeof filters / sizeof *filters && strcasecmp(f->frec->name, filters[i]))
            i++;
        if (i == sizeof filters / sizeof *filters)
            return 0;
    }
    return 1;
}

int wsgi_shim_first_input_filter(const request_rec *r)
{
    return r->input_filters ? (int)r->input_filters->frec->ftype : AP_FTYPE_NETWORK;
}

const char *wsgi_shim_remote_host(request_rec *r)
{
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 56)
    return ap_get_useragent_host(r, REMOTE_HOST, NULL);
#else
    return ap_get_remote_host(r->connection, r->per_dir_config, REMOTE_HOST, NULL);
#endif
}

/* As mod_http2.h declares them, which not every httpd has. */
APR_DECLARE_OPTIONAL_FN(apr_status_t, http2_get_pollfd_from_conn,
                        (conn_rec *c, struct apr_pollfd_t *pfd, apr_interval_time_t *ptimeout));
APR_DECLARE_OPTIONAL_FN(void, http2_get_num_workers, (server_rec *s, int *minw, int *max));

int wsgi_shim_stream_input(conn_rec *c)
{
#ifndef WIN32
    APR_OPTIONAL_FN_TYPE(http2_get_pollfd_from_conn) *get = APR_RETRIEVE_OPTIONAL_FN(http2_get_pollfd_from_conn);
    apr_pollfd_t pfd = {0};
    apr_os_file_t fd = -1;
    if (get != NULL && get(c, &pfd, NULL) == APR_SUCCESS && pfd.desc_type == APR_POLL_FILE
        && apr_os_file_get(&fd, pfd.desc.f) == APR_SUCCESS) {
        return fd;
    }
#endif
    return -1;
}

int wsgi_shim_stream_workers(server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(http2_get_num_workers) *get = APR_RETRIEVE_OPTIONAL_FN(http2_get_num_workers);
    int least = 0, most = 0;
    if (get != NULL) {
        get(s, &least, &most);
    }
    return most;
}
