//! Whatever frames an application sends, one request gets one response, and the next request its own.
