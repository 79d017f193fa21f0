//! Headers of a trusted proxy in front: `WSGITrustedProxyHeaders` and `WSGITrustedProxies` (`directives.md` §7.1,
//! `pyapi.md` §1.6).
//!
//! Addresses are parsed, never resolved: the peer asked DNS for host names in X-Forwarded-For.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::tree::Node;

/// A network of trusted proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    network: IpAddr,
    mask: u128,
}

/// The bits of an address as a number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u32::from(a).into(),
        IpAddr::V6(a) => a.into(),
    }
}

impl Subnet {
    /// Parses an address, or one with `/bits` or (IPv4) `/mask`; the IPv4 part may be cut short (`10.1/16`, `10.`).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (address, mask) = text.split_once('/').map_or((text, None), |(a, m)| (a, Some(m)));
        if address.contains(':') {
            let (network, mask) = (address.parse::<Ipv6Addr>().ok()?, bits(mask.unwrap_or("128"), 128)?);
            // IPv4 in IPv6's clothes, as addresses are looked at in `contains`.
            return Some(match network.to_ipv4_mapped() {
                Some(inner) if mask >> 32 == u128::MAX >> 32 => {
                    Self { network: IpAddr::V4(inner), mask: mask & u128::from(u32::MAX) }
                }
                _ => Self { network: IpAddr::V6(network), mask },
            });
        }
        let given = address.trim_end_matches('.').split('.').count();
        let whole = format!("{}{}", address.trim_end_matches('.'), ".0".repeat(4usize.checked_sub(given)?));
        let network = IpAddr::V4(whole.parse::<Ipv4Addr>().ok()?);
        let mask = match mask {
            None => bits(&(given * 8).to_string(), 32)?,
            Some(mask) if mask.contains('.') => u32::from(mask.parse::<Ipv4Addr>().ok()?).into(),
            Some(mask) => bits(mask, 32)?,
        };
        Some(Self { network, mask })
    }

    /// Whether the address is in this network. An IPv4 address that is mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4() && number(address) & self.mask == number(self.network) & self.mask
    }
}

fn bits(text: &str, width: u32) -> Option<u128> {
    let bits: u32 = text.parse().ok().filter(|b| *b <= width)?;
    let all = u128::MAX >> (128 - width);
    Some(if bits == 0 { 0 } else { all << (width - bits) & all })
}

/// The fact about a request that a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Category {
    Client,
    Host,
    Server,
    Port,
    Script,
    Scheme,
}

/// A header that a proxy may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedHeader(usize);

/// The headers that are known, with their categories. X-Forwarded-For is the first.
const HEADERS: [(&str, Category); 15] = [
    ("X-Forwarded-For", Category::Client),
    ("X-Client-IP", Category::Client),
    ("X-Real-IP", Category::Client),
    ("X-Forwarded-Host", Category::Host),
    ("X-Host", Category::Host),
    ("X-Forwarded-Server", Category::Server),
    ("X-Forwarded-Port", Category::Port),
    ("X-Script-Name", Category::Script),
    ("X-Forwarded-Script-Name", Category::Script),
    ("X-Forwarded-Proto", Category::Scheme),
    ("X-Forwarded-Scheme", Category::Scheme),
    ("X-Scheme", Category::Scheme),
    ("X-Forwarded-HTTPS", Category::Scheme),
    ("X-Forwarded-SSL", Category::Scheme),
    ("X-HTTPS", Category::Scheme),
];

const FORWARDED_FOR: TrustedHeader = TrustedHeader(0);

impl TrustedHeader {
    /// Returns the header of this name; `None` if it is not one of those that are known.
    pub fn parse(name: &[u8]) -> Option<Self> {
        HEADERS.iter().position(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(Self)
    }

    fn category(self) -> Category {
        HEADERS[self.0].1
    }

    fn name(self) -> &'static str {
        HEADERS[self.0].0
    }
}

/// What the headers change about a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The new REMOTE_ADDR.
    pub remote_addr: Option<Vec<u8>>,
    /// The new HTTP_HOST.
    pub host: Option<Vec<u8>>,
    /// The new SERVER_NAME.
    pub server_name: Option<Vec<u8>>,
    /// The new SERVER_PORT.
    pub server_port: Option<Vec<u8>>,
    /// The new SCRIPT_NAME and `mod_wsgi.mount_point`.
    pub script_name: Option<Vec<u8>>,
    /// Whether the scheme is https, where a header said so.
    pub https: Option<bool>,
    /// Whether a scheme header was there: then mod_ssl is not asked.
    pub scheme_applied: bool,
    /// The new HTTP_X_FORWARDED_FOR.
    pub forwarded_for: Option<Vec<u8>>,
    /// A text that stands in the place of a client's address and is none: REMOTE_ADDR stays as it is.
    pub no_address: Option<Vec<u8>>,
    /// Which headers do not reach the application, one bit each.
    removed: u16,
}

impl Changes {
    /// Sets REMOTE_ADDR if the text is an address: applications put it into logs, databases and rules as one.
    fn set_client(&mut self, text: &[u8]) {
        match client(text) {
            Some(address) => self.remote_addr = Some(address.to_string().into_bytes()),
            None => self.no_address = Some(text.to_vec()),
        }
    }

    /// Whether a request header of this name is kept from the application.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.removed != 0 && TrustedHeader::parse(name).is_some_and(|h| self.removed & (1 << h.0) != 0)
    }
}

/// Works out what the declared headers change. `value` gives a request header's value, `peer` is REMOTE_ADDR as it is
/// without them.
pub fn apply<'h>(
    declared: &[TrustedHeader],
    proxies: Option<&[Subnet]>,
    peer: &[u8],
    value: impl Fn(&str) -> Option<&'h [u8]>,
) -> Changes {
    let trusted = proxies.is_none_or(|list| address(peer).is_some_and(|a| list.iter().any(|s| s.contains(a))));
    let mut changes = Changes::default();
    let mut kept: u16 = 0;
    for header in declared {
        // Of the headers that mean the same only the last one that counted is kept.
        let siblings = siblings(header.category());
        changes.removed |= siblings;
        let Some(value) = value(header.name()).filter(|_| trusted) else { continue };
        kept = kept & !siblings | 1 << header.0;
        take(&mut changes, *header, value, proxies);
    }
    changes.removed &= !kept;
    changes
}

fn siblings(category: Category) -> u16 {
    HEADERS.iter().enumerate().filter(|(_, (_, c))| *c == category).fold(0, |all, (i, _)| all | 1 << i)
}

fn take(changes: &mut Changes, header: TrustedHeader, value: &[u8], proxies: Option<&[Subnet]>) {
    let owned = || Some(value.to_vec());
    match header.category() {
        Category::Client if header == FORWARDED_FOR => forwarded_for(changes, value, proxies),
        Category::Client => changes.set_client(value),
        Category::Host => changes.host = owned(),
        Category::Server => changes.server_name = owned(),
        Category::Port => changes.server_port = owned(),
        Category::Script => changes.script_name = owned(),
        Category::Scheme => {
            changes.scheme_applied = true;
            let word = value.to_ascii_lowercase();
            match (header.name(), word.as_slice()) {
                ("X-Forwarded-Proto" | "X-Forwarded-Scheme" | "X-Scheme", b"https") => changes.https = Some(true),
                ("X-Forwarded-Proto" | "X-Forwarded-Scheme" | "X-Scheme", b"http") => changes.https = Some(false),
                ("X-Forwarded-HTTPS" | "X-Forwarded-SSL" | "X-HTTPS", b"on" | b"true" | b"1") => {
                    changes.https = Some(true);
                }
                ("X-Forwarded-HTTPS" | "X-Forwarded-SSL" | "X-HTTPS", b"off" | b"false" | b"0") => {
                    changes.https = Some(false);
                }
                _ => {}
            }
        }
    }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Parses the address of a client, which some proxies write with a port, and RFC 7239 with brackets if it is one of
/// IPv6.
fn client(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let plain = bare.map_or_else(|| text.parse().ok(), |inside| inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6));
    plain.or_else(|| text.parse::<SocketAddr>().ok().map(|place| place.ip()))
}

/// Takes X-Forwarded-For: walks the chain from the right while the entries are trusted proxies; the client is the entry
/// left of them.
fn forwarded_for(changes: &mut Changes, value: &[u8], proxies: Option<&[Subnet]>) {
    let entries: Vec<&[u8]> = value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|e| !e.is_empty()).collect();
    let (Some(first), Some(last)) = (entries.first(), entries.len().checked_sub(1)) else { return };
    let Some(proxies) = proxies else {
        changes.set_client(first);
        return;
    };
    let is_proxy = |e: &&[u8]| client(e).is_some_and(|a| proxies.iter().any(|s| s.contains(a)));
    let chain = entries.iter().rev().take_while(|e| is_proxy(e)).count();
    let left = last.saturating_sub(chain);
    changes.set_client(entries[left]);
    changes.forwarded_for = Some(entries[left..].join(&b", "[..]));
}

/// Whether headers are declared somewhere without a list of the proxies that may send them, there or around it: then
/// every client is believed.
pub fn believe_everybody(tree: &[Node]) -> bool {
    if mention(tree, b"WSGITrustedProxies") {
        return false;
    }
    mention(tree, b"WSGITrustedProxyHeaders") || tree.iter().any(|node| believe_everybody(&node.inside))
}

/// Whether a directive stands among these nodes, or in a condition among them.
fn mention(nodes: &[Node], name: &[u8]) -> bool {
    let is_condition = |node: &Node| node.name.len() > 3 && node.name[..3].eq_ignore_ascii_case(b"<If");
    nodes.iter().any(|node| node.name.eq_ignore_ascii_case(name) || (is_condition(node) && mention(&node.inside, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnets(text: &str) -> Vec<Subnet> {
        text.split_whitespace().map(|t| Subnet::parse(t.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn subnets_are_parsed_as_apr_does() {
        let inside = |subnet: &str, ip: &str| subnets(subnet)[0].contains(ip.parse().unwrap());
        assert!(inside("10.0.0.0/8", "10.255.0.1") && !inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("192.168.1.1", "192.168.1.1") && !inside("192.168.1.1", "192.168.1.2"));
        assert!(inside("10.1", "10.1.2.3") && inside("10.1/16", "10.1.2.3") && !inside("10.1", "10.2.0.0"));
        assert!(inside("10.0.0.0/255.0.0.0", "10.9.9.9"));
        assert!(inside("2001:db8::/32", "2001:DB8:1::5") && !inside("2001:db8::/32", "2001:db9::"));
        assert!(inside("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(inside("::ffff:10.0.0.1", "10.0.0.1") && inside("::ffff:10.0.0.0/104", "10.9.9.9"));
        assert!(inside("0.0.0.0/0", "1.2.3.4"));
        for bad in ["proxy.example.com", "10.0.0.1/99", "10.0.0.1/x", "", "1.2.3.4.5", "::1/129", "10.0.0.256", "/8"] {
            assert_eq!(Subnet::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    fn headers(names: &str) -> Vec<TrustedHeader> {
        names.split_whitespace().map(|n| TrustedHeader::parse(n.as_bytes()).unwrap()).collect()
    }

    fn run(names: &str, proxies: Option<&str>, peer: &str, sent: &[(&str, &'static str)]) -> Changes {
        let proxies = proxies.map(subnets);
        apply(&headers(names), proxies.as_deref(), peer.as_bytes(), |name| {
            sent.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_bytes())
        })
    }

    fn client(value: &'static str, proxies: Option<&str>) -> (String, Option<String>) {
        let changes = run("X-Forwarded-For", proxies, "127.0.0.1", &[("X-Forwarded-For", value)]);
        let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
        (changes.remote_addr.map(text).unwrap_or_default(), changes.forwarded_for.map(text))
    }

    #[test]
    fn the_client_is_left_of_the_trusted_chain() {
        let proxies = Some("127.0.0.1 10.0.0.0/8");
        let rows = [
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("203.0.113.9, 192.0.2.7, 10.1.2.3, 10.0.0.1", "192.0.2.7", "192.0.2.7, 10.1.2.3, 10.0.0.1"),
            ("192.0.2.7, 203.0.113.9", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.2, 10.0.0.1", "10.0.0.2", "10.0.0.2, 10.0.0.1"),
            ("192.0.2.7, ,, 10.0.0.1", "192.0.2.7", "192.0.2.7, 10.0.0.1"),
            ("192.0.2.7:4711, 10.0.0.1:80", "192.0.2.7", "192.0.2.7:4711, 10.0.0.1:80"),
            ("[2001:DB8::7]:443", "2001:db8::7", "[2001:DB8::7]:443"),
            ("[2001:db8::7]", "2001:db8::7", "[2001:db8::7]"),
        ];
        for (sent, remote, header) in rows {
            assert_eq!(client(sent, proxies), (remote.to_owned(), Some(header.to_owned())), "{sent}");
        }
    }

    #[test]
    fn what_is_no_address_never_becomes_remote_addr() {
        let wrong =
            ["unknown", "<script>", "1.2.3.4' OR 1=1", "host.example", "10.1", "1.2.3.4:x", "[1.2.3.4]", "::1%lo"];
        for (value, name) in
            wrong.iter().flat_map(|value| ["X-Forwarded-For", "X-Real-IP", "X-Client-IP"].map(|n| (*value, n)))
        {
            for proxies in [None, Some("127.0.0.1")] {
                let changes = run(name, proxies, "127.0.0.1", &[(name, value)]);
                assert_eq!((changes.remote_addr, changes.no_address), (None, Some(value.into())), "{name}");
            }
        }
    }

    #[test]
    fn headers_without_a_list_of_proxies_around_them_are_noticed() {
        fn node(name: &str, inside: Vec<Node>) -> Node {
            Node { name: name.into(), arguments: vec![], inside }
        }
        let headers = || node("WSGITrustedProxyHeaders", vec![]);
        let proxies = || node("wsgitrustedproxies", vec![]);
        let site = |inside| node("<VirtualHost", inside);
        let optional = |inside| node("<IfModule", inside);
        assert!(believe_everybody(&[headers()]));
        assert!(believe_everybody(&[site(vec![headers()]), site(vec![proxies()])]));
        assert!(!believe_everybody(&[proxies(), site(vec![node("<Location", vec![headers()])])]));
        assert!(!believe_everybody(&[site(vec![headers(), optional(vec![proxies()])])]));
        assert!(!believe_everybody(&[optional(vec![headers()]), proxies()]));
        assert!(!believe_everybody(&[]));
    }

    #[test]
    fn without_a_proxy_list_the_first_entry_is_believed() {
        assert_eq!(client(" , 192.0.2.7, 10.0.0.1", None), ("192.0.2.7".to_owned(), None));
        assert_eq!(client(" ,", None), (String::new(), None));
    }

    #[test]
    fn the_last_header_of_a_category_wins_and_its_synonyms_go() {
        let changes = run(
            "X-Forwarded-Host X-Host",
            None,
            "1.2.3.4",
            &[("X-Forwarded-Host", "first"), ("X-Host", "second"), ("X-Forwarded-Port", "9")],
        );
        assert_eq!(changes.host.as_deref(), Some(&b"second"[..]));
        assert!(changes.removes(b"X-Forwarded-Host") && !changes.removes(b"x-host"));
        assert!(!changes.removes(b"X-Forwarded-Port") && !changes.removes(b"Accept"));
    }

    #[test]
    fn an_untrusted_peer_changes_nothing_and_its_headers_go() {
        let sent = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"), ("X-Real-IP", "192.0.2.9")];
        for peer in ["127.0.0.1", "", "nonsense"] {
            let changes = run("X-Forwarded-For X-Forwarded-Proto", Some("10.0.0.0/8"), peer, &sent);
            assert_eq!((changes.remote_addr.clone(), changes.https), (None, None));
            assert!(sent.iter().all(|(name, _)| changes.removes(name.as_bytes())));
        }
    }

    #[test]
    fn schemes_have_two_spellings() {
        let https = |name: &'static str, value| run(name, None, "1.1.1.1", &[(name, value)]).https;
        assert_eq!(https("X-Forwarded-Proto", "HTTPS"), Some(true));
        assert_eq!(https("X-Scheme", "http"), Some(false));
        assert_eq!(https("X-Forwarded-Proto", "on"), None);
        assert_eq!(https("X-HTTPS", "On"), Some(true));
        assert_eq!(https("X-Forwarded-SSL", "0"), Some(false));
        assert!(run("X-Scheme", None, "1.1.1.1", &[("X-Scheme", "gopher")]).scheme_applied);
    }
}
