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

/// REQUEST_METHOD for a request whose method is `method`; `is_get` is Apache's view, for which HEAD is GET too.
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
        let rows: [(Mapping, &[u8], bool, bool, &[u8]); 7] = [
            (Mapping::Off, b"HEAD", true, true, b"HEAD"),
            (Mapping::On, b"HEAD", true, false, b"GET"),
            (Mapping::Auto, b"HEAD", true, false, b"HEAD"),
            (Mapping::Auto, b"HEAD", true, true, b"GET"),
            (Mapping::On, b"GET", true, false, b"GET"),
            (Mapping::On, b"POST", false, false, b"POST"),
            (Mapping::On, b"PURGE", false, true, b"PURGE"),
        ];
        for (mapping, given, is_get, filter, seen) in rows {
            assert_eq!(method(mapping, given, is_get, filter), seen, "{mapping:?} {given:?}");
        }
    }
}
