//! Django: the way of the article "Using mod_wsgi-express with Django", the management command, and the demo in a
//! browser.

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails a test, with its place")]

mod asgi_pages;
mod checks;
mod demo;
mod files;
mod newcomer;
mod pages;
mod runmodwsgi;
mod templates;
