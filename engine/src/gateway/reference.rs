//! The page of the documentation that is made of the keys of the environ.

use wsgi_wire::names::{self, KNOWN, MEANINGS};

use super::environ::RESERVED;

const HEAD: &str = "# The environ

What an application finds in its `environ`, beside a key for each header of the request: `X-Colour` is `HTTP_X_COLOUR`. Headers with other characters than letters, digits
and `-` in their name are left out, and so are `Proxy` and, without [`WSGIPassAuthorization`](directives.md), `Authorization`. Variables of `SetEnv`, `SetEnvIf` and of other
modules (`SSL_…` with `SSLOptions +StdEnvVars`, `REDIRECT_…` in an `ErrorDocument`) are keys, too, but cannot take the place of those below. Values are strings where
nothing else is said. This page is made of the tables in the code: `UPDATE_ENVIRON=1 cargo test -p wsgi-engine --lib reference`.
";

/// The keys that only some requests have and that are in no table.
const OPTIONAL: &[(&str, &str)] =
    &[("apache.request_rec", "in embedded mode with [`WSGIPassApacheRequest On`](directives.md): a capsule")];

fn rows<'a>(keys: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    let row = |(key, meaning): &(&str, &str)| format!("| `{key}` | {meaning} |\n");
    "\n| key | |\n|---|---|\n".to_owned() + &keys.iter().map(row).collect::<String>()
}

fn page() -> String {
    let known = || KNOWN.iter().copied().zip(MEANINGS.iter().copied()).filter(|(_, meaning)| !meaning.is_empty());
    let https = KNOWN[usize::from(names::HTTPS)];
    let is_of_cgi = |(key, _): &(&str, &str)| !key.contains('.') && *key != https;
    let own = known().filter(|(key, _)| key.contains('.')).chain(RESERVED.iter().copied().skip_while(is_wsgi));
    [
        HEAD,
        "\n## WSGI\n",
        &rows(RESERVED.iter().copied().filter(is_wsgi)),
        "\n## The request and the server\n",
        &rows(known().filter(is_of_cgi)),
        "\n## Apache and mod_wsgi\n",
        &rows(own.chain(OPTIONAL.iter().copied())),
    ]
    .concat()
}

fn is_wsgi((key, _): &(&str, &str)) -> bool {
    key.starts_with("wsgi.")
}

#[test]
fn the_page_of_the_documentation_is_that_of_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/environ.md");
    if std::env::var_os("UPDATE_ENVIRON").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page(), "docs/environ.md is stale: UPDATE_ENVIRON=1 cargo test -p wsgi-engine --lib reference");
}

#[test]
fn what_is_no_header_has_a_meaning() {
    let silent: Vec<_> =
        KNOWN.iter().zip(MEANINGS).filter(|(key, m)| m.is_empty() != key.starts_with("HTTP_")).collect();
    assert!(silent.is_empty(), "{silent:?}");
}
