//! What is decided about a request or a configuration, as functions of plain values.
//!
//! Knows the rules. Must not know httpd, nor do any I/O, so that tables test it.
#![forbid(unsafe_code)]

pub mod abi;
pub mod acceptance;
pub mod alias;
pub mod asked_in_loop;
pub mod encoded_word;
pub mod expansion;
pub mod guarded;
pub mod head;
pub mod linger;
pub mod observed_variables;
pub mod origin;
pub mod owner;
pub mod page_origin;
pub mod passed_sockets;
pub mod path;
pub mod proxies;
pub mod reachable_scripts;
pub mod record;
pub mod script_directives;
pub mod single_application;
pub mod suspension;
pub mod trace;
pub mod tree;
pub mod undefined;
pub mod variable;
pub mod visibility;
pub mod words;
