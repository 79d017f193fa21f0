//! `WSGIMapHEADToGET`: what applications see as REQUEST_METHOD of a HEAD request.
#![forbid(unsafe_code)]

/// The directive's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mapping {
    /// HEAD stays HEAD.
    Off,
    /// HEAD becomes GET.
    On,
    /// HEAD becomes GET if a content filter needs the body to compute headers (`directives.md` §7.4).
    #[default]
    Auto,
}

/// Returns REQUEST_METHOD for a request whose method is `method`; `is_get` is Apache's view, for which HEAD is GET too.
pub fn method(mapping: Mapping, method: &[u8], is_get: bool, has_content_filter: bool) -> &[u8] {
    let map = match mapping {
        Mapping::Off => false,
        Mapping::On => is_get,
        Mapping::Auto => is_get && has_content_filter,
    };
    if map && method == b"HEAD" { b"GET" } else { method }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_head_is_mapped() {
        let rows = [
            (Mapping::Off, "HEAD", true, true, "HEAD"),
            (Mapping::On, "HEAD", true, false, "GET"),
            (Mapping::Auto, "HEAD", true, false, "HEAD"),
            (Mapping::Auto, "HEAD", true, true, "GET"),
            (Mapping::On, "GET", true, false, "GET"),
            (Mapping::On, "POST", false, false, "POST"),
            (Mapping::On, "PURGE", false, true, "PURGE"),
        ];
        for (mapping, given, is_get, filter, seen) in rows {
            assert_eq!(method(mapping, given.as_bytes(), is_get, filter), seen.as_bytes(), "{mapping:?} {given}");
        }
    }
}
