/* What Apache itself can do: a handler that sends twelve bytes. */

#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"
#include "ap_config.h"

static int handle(request_rec *r)
{
    if (strcmp(r->handler, "null")) {
        return DECLINED;
    }
    ap_set_content_type(r, "text/plain");
    ap_set_content_length(r, 12);
    ap_rputs("Hello World!", r);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(null) = {STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks};
