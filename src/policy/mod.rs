//! What is decided about a request, as functions of plain values: no httpd, no I/O, tested by tables.
#![forbid(unsafe_code)]

pub mod acceptance;
pub mod alias;
pub mod expansion;
pub mod head;
pub mod origin;
pub mod owner;
pub mod path;
pub mod places;
pub mod proxies;
pub mod record;
pub mod single_application;
pub mod visibility;
pub mod wanted;
pub mod words;
