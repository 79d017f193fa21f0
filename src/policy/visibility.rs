//! Which servers may use a process group: `directives.md` §3.1 while the configuration is read, §4.5 for each request.
#![forbid(unsafe_code)]

use super::origin::Origin;

/// Whether a directive in `here` may name the group: groups of the main server are everybody's, others belong to hosts
/// of one name.
pub fn configurable(group: &Origin, here: &Origin) -> bool {
    !group.is_virtual || group.hostname == here.hostname
}

/// Whether a request to the server `id` named `hostname` may use the group.
pub fn usable(group: &Origin, id: usize, hostname: Option<&[u8]>) -> bool {
    !group.is_virtual || group.id == id || (hostname.is_some() && group.hostname.as_deref() == hostname)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(id: usize, is_virtual: bool, hostname: Option<&str>) -> Origin {
        Origin { id, is_virtual, hostname: hostname.map(|h| h.as_bytes().to_vec()) }
    }

    #[test]
    fn a_group_of_the_main_server_is_everybodys() {
        let main = origin(1, false, None);
        assert!(configurable(&main, &origin(2, true, Some("a"))));
        assert!(usable(&main, 2, Some(b"a")));
    }

    #[test]
    fn a_group_of_a_host_belongs_to_its_name() {
        let host = origin(1, true, Some("a"));
        assert!(configurable(&host, &origin(2, true, Some("a"))));
        assert!(!configurable(&host, &origin(2, true, Some("b"))));
        assert!(!configurable(&host, &origin(2, true, None)));
        assert!(usable(&host, 1, None));
        assert!(usable(&host, 2, Some(b"a")));
        assert!(!usable(&host, 2, Some(b"b")));
        assert!(!usable(&origin(1, true, None), 2, None));
    }
}
