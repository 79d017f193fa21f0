//! The whole configuration as httpd has read it.

use super::bytes;
use super::sys::{self, ap_directive_t};
use crate::policy::tree::Node;

/// All directives of the configuration that has just been read; what `.htaccess` files say is not among them.
pub fn configuration() -> Vec<Node> {
    // SAFETY: httpd builds the tree before `post_config` and keeps it as long as the configuration (S5); it is not
    // changed meanwhile.
    let tree = unsafe { sys::ap_conftree };
    // SAFETY: as above.
    unsafe { nodes(tree) }
}

/// # Safety
/// `first` is null or a node of a directive tree, whose lists httpd ends with null.
unsafe fn nodes(first: *const ap_directive_t) -> Vec<Node> {
    let mut found = Vec::new();
    let mut next = first;
    // SAFETY: the caller's duty.
    while let Some(node) = unsafe { next.as_ref() } {
        // SAFETY: S6.
        let name = unsafe { bytes(node.directive) };
        // SAFETY: S6.
        let arguments = unsafe { bytes(node.args) };
        // SAFETY: what is inside a node is part of the same tree.
        let inside = unsafe { nodes(node.first_child) };
        found.push(Node {
            name: name.unwrap_or_default().to_vec(),
            arguments: arguments.unwrap_or_default().to_vec(),
            inside,
        });
        next = node.next;
    }
    found
}
