//! Which variable of the environ a header of the request becomes.
#![forbid(unsafe_code)]

/// The byte that stands in a variable's name for each byte of a header's; 0 for those that a name may not have.
const BYTES: [u8; 256] = {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let here = byte as u8;
        if here.is_ascii_alphanumeric() {
            table[byte] = here.to_ascii_uppercase();
        }
        byte += 1;
    }
    table[b'-' as usize] = b'_';
    table
};

/// Makes the variable's name of a header's; `false` if the header is none for applications: a name with other
/// characters than letters, digits and `-` could imitate another one (`X_User`), and `Proxy` would become the variable
/// HTTP_PROXY, which libraries obey.
pub fn of_header(header: &[u8], name: &mut Vec<u8>) -> bool {
    name.clear();
    if !header.eq_ignore_ascii_case(b"Content-Type") && !header.eq_ignore_ascii_case(b"Content-Length") {
        name.extend_from_slice(b"HTTP_");
    }
    name.extend(header.iter().map(|byte| BYTES[usize::from(*byte)]));
    !name.contains(&0) && name != b"HTTP_PROXY"
}

#[cfg(test)]
mod tests {
    use wsgi_wire::names::Name;

    use super::*;

    #[test]
    fn headers_become_variables() {
        let name = |header: &str| {
            let mut name = Vec::new();
            of_header(header.as_bytes(), &mut name).then(|| String::from_utf8(name).unwrap())
        };
        assert_eq!(name("X-Custom-Thing").as_deref(), Some("HTTP_X_CUSTOM_THING"));
        assert_eq!(name("content-type").as_deref(), Some("CONTENT_TYPE"));
        assert_eq!(name("Content-Length").as_deref(), Some("CONTENT_LENGTH"));
        for refused in ["X_User", "X.Other", "Proxy", "proxy", "X Y", "X\u{e9}"] {
            assert_eq!(name(refused), None, "{refused}");
        }
        assert_eq!(name("X-Proxy").as_deref(), Some("HTTP_X_PROXY"));
    }

    /// For `make instructions` (scripts/instructions), which has it repeated: the headers of a browser's request.
    #[test]
    fn instructions_headers_to_variables() {
        const HEADERS: [&str; 16] = [
            "Host",
            "User-Agent",
            "Accept",
            "Accept-Language",
            "Accept-Encoding",
            "Referer",
            "Connection",
            "Cookie",
            "Upgrade-Insecure-Requests",
            "Sec-Fetch-Dest",
            "Sec-Fetch-Mode",
            "Sec-Fetch-Site",
            "If-None-Match",
            "X-Forwarded-For",
            "X-CSRFToken",
            "X-Request-Start",
        ];
        let rounds = std::env::var("INSTRUCTIONS_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
        let (mut name, mut spelled) = (Vec::new(), 0);
        for _ in 0..rounds {
            for header in HEADERS {
                assert!(of_header(header.as_bytes(), &mut name));
                spelled += usize::from(matches!(Name::of(&name), Name::Text(_)));
            }
        }
        assert_eq!(spelled, 2 * rounds);
    }
}
