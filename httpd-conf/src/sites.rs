//! Addresses and host names.

use std::net::IpAddr;

use crate::block::Block;
use crate::proxy::{self, Proxy};
use crate::tls::{NamedCertificate, Tls, write_client_urls, write_tls};

/// The `ServerName` of a virtual host that answers to no name at all.
const NOBODY: &str = "other-names.invalid";

/// The addresses that the server listens on, and the names that it answers to.
#[derive(Clone, Debug)]
pub struct Sites {
    /// `--host` as an address for `Listen`, IPv6 in brackets; `None` for all addresses.
    pub address: Option<String>,
    /// The value of `--port`.
    pub port: u16,
    /// Further addresses and ports, as the first ones (`--bind`).
    pub more: Vec<(Option<String>, u16)>,
    /// Unix sockets (`--bind unix:PATH`), for which Apache has no directive: whoever starts it passes them.
    pub unix: Vec<String>,
    /// Whether there is nothing but them for HTTP; `address` and `port` are a name only then.
    pub only_unix: bool,
    /// `ServerName` of the main server.
    pub default_name: String,
    /// `--server-name`: other names are refused.
    pub name: Option<String>,
    /// The value of `--server-alias`.
    pub aliases: Vec<String>,
    /// `--allow-localhost`: clients on this machine may use any name.
    pub admit_local: bool,
    /// The settings of HTTPS.
    pub tls: Option<Tls>,
    /// `--https-only`: the HTTP port redirects.
    pub https_only: bool,
}

impl Sites {
    pub(crate) fn modules(&self, need: &mut Vec<&'static str>) {
        if self.tls.is_some() {
            need.extend(["ssl", "socache_shmcb"]);
        }
        if self.tls.as_ref().is_some_and(|tls| tls.acme.is_some()) {
            need.extend(["watchdog", "md"]);
        }
    }

    pub(crate) fn write_listen(&self, out: &mut Block) {
        out.comment("--host, --port, --bind, --https-port");
        let at = |address: &Option<String>, port: u16| match address {
            Some(address) => format!("{address}:{port}"),
            None => port.to_string(),
        };
        for (address, port) in self.listeners() {
            out.set("Listen", at(address, port));
        }
        for socket in &self.unix {
            out.comment(format!("{socket} (mod_wsgi-express start-server passes it)"));
        }
        if let Some(tls) = &self.tls {
            for address in self.secure_addresses() {
                out.directive("Listen").arg(at(address, tls.port)).arg("https");
            }
        }
    }

    /// The addresses for HTTPS: each that HTTP has, and none that another one includes. Of names nobody knows what
    /// they include: the first alone is taken then.
    pub fn secure_addresses(&self) -> Vec<&Option<String>> {
        let ip = |address: &Option<String>| -> Option<IpAddr> {
            address.as_ref().and_then(|text| text.trim_matches(['[', ']']).parse().ok())
        };
        let mut addresses: Vec<&Option<String>> = Vec::new();
        for (address, _) in self.listeners() {
            match ip(address) {
                None => {
                    return vec![if self.listeners().any(|(address, _)| address.is_none()) {
                        &None
                    } else {
                        &self.address
                    }];
                }
                Some(_) if addresses.contains(&address) => {}
                Some(_) => addresses.push(address),
            }
        }
        let all: Vec<IpAddr> = addresses.iter().filter_map(|address| ip(address)).collect();
        let is_wide = |own: &IpAddr| all.iter().any(|ip| ip.is_unspecified() && ip.is_ipv4() == own.is_ipv4());
        addresses.retain(|address| ip(address).is_none_or(|own| own.is_unspecified() || !is_wide(&own)));
        if addresses.is_empty() { vec![&self.address] } else { addresses }
    }

    /// The addresses and ports for HTTP.
    pub fn listeners(&self) -> impl Iterator<Item = (&Option<String>, u16)> {
        let first = (!self.only_unix).then_some((&self.address, self.port));
        first.into_iter().chain(self.more.iter().map(|(address, port)| (address, *port)))
    }

    /// The ports for HTTP, each once.
    fn plain_ports(&self) -> Vec<u16> {
        let mut ports = vec![self.port];
        for (_, port) in self.listeners() {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        ports
    }

    /// Writes the virtual hosts. `more`: others follow on the HTTP port, so that ours has to be there as the first.
    pub(crate) fn write_hosts(&self, root: &camino::Utf8Path, proxy: &Proxy, more: bool, out: &mut Block) {
        if let Some(tls) = &self.tls {
            out.comment("--ssl-certificate-file and the other --ssl options");
            out.directive("SSLProtocol").args(["all", "-SSLv3", "-TLSv1", "-TLSv1.1"]);
            out.set("SSLSessionCache", format!("shmcb:{root}/ssl_cache(512000)"));
            write_client_urls(tls, out);
            if let Some(acme) = &tls.acme {
                acme.write(root, self.port, tls.port, out);
            }
        }
        if self.name.is_some() {
            self.write_refusal(out);
        }
        let plain = self.name.is_some() || self.https_only || !proxy.hosts.is_empty() || more;
        if plain {
            out.comment("The site over HTTP (--server-name, --server-alias, --https-only)");
            for port in self.plain_ports() {
                self.host(port, None, self.main_name(), out, |h| {
                    self.write_names(h, &[]);
                    if let (true, Some(tls)) = (self.https_only, &self.tls) {
                        h.directive("Redirect").args(["permanent", "/"]).arg(self.url("https", tls.port, 443));
                    }
                });
            }
        }
        if let Some(tls) = &self.tls {
            out.comment("The site over HTTPS (--https-port)");
            self.host(tls.port, Some(tls), self.main_name(), out, |h| self.write_names(h, &tls.named));
            for named in &tls.named {
                out.comment("--alias-certificate");
                self.host(tls.port, Some(tls), &named.name, out, |h| h.set("ServerName", &named.name));
            }
        }
        self.write_parent_domain(out);
        for host in &proxy.hosts {
            out.comment("--proxy-virtual-host");
            for (port, tls) in self.ports() {
                self.host(port, tls, &host.name, out, |h| {
                    h.set("ServerName", &host.name);
                    proxy::whole_host(&host.target, self.port, self.tls.as_ref(), h);
                });
            }
        }
    }

    /// The ports, and the TLS settings of those that have any.
    fn ports(&self) -> impl Iterator<Item = (u16, Option<&Tls>)> {
        self.plain_ports().into_iter().map(|port| (port, None)).chain(self.tls.iter().map(|tls| (tls.port, Some(tls))))
    }

    fn host(&self, port: u16, tls: Option<&Tls>, name: &str, out: &mut Block, fill: impl FnOnce(&mut Block)) {
        out.section("VirtualHost", format!("*:{port}"), |h| {
            fill(h);
            if let Some(tls) = tls {
                write_tls(tls, name, h);
            }
        });
    }

    fn main_name(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.default_name)
    }

    /// Writes the names of the site, without those that have a host of their own.
    fn write_names(&self, h: &mut Block, apart: &[NamedCertificate]) {
        h.set("ServerName", self.main_name());
        let aliases: Vec<_> = self.aliases.iter().filter(|name| !apart.iter().any(|own| own.name == **name)).collect();
        if !aliases.is_empty() {
            h.directive("ServerAlias").args(aliases);
        }
    }

    /// Writes the virtual host that refuses other names: the first one of a port gets all requests whose name no other
    /// one has.
    fn write_refusal(&self, out: &mut Block) {
        out.comment("Names other than those of the site (--server-name, --allow-localhost)");
        for (port, tls) in self.ports() {
            self.host(port, tls, NOBODY, out, |h| {
                h.set("ServerName", NOBODY);
                h.section("Location", "/", |l| {
                    if self.admit_local {
                        l.set("AuthMerging", "And");
                        l.directive("Require").arg("local");
                    } else {
                        l.directive("Require").args(["all", "denied"]);
                    }
                });
            });
        }
    }

    /// Writes the redirect from `X` to `www.X`, for a site of that name.
    fn write_parent_domain(&self, out: &mut Block) {
        let Some(name) = &self.name else { return };
        let Some(parent) = name.get(4..).filter(|_| name.get(..4).is_some_and(|w| w.eq_ignore_ascii_case("www.")))
        else {
            return;
        };
        if self.aliases.iter().any(|alias| alias == parent) {
            return;
        }
        out.comment(format!("{parent} leads to {name}."));
        for (port, tls) in self.ports() {
            self.host(port, tls, parent, out, |h| {
                h.set("ServerName", parent);
                let target = match (&self.tls, tls.is_some() || self.https_only) {
                    (Some(tls), true) => self.url("https", tls.port, 443),
                    _ => self.url("http", port, 80),
                };
                h.directive("Redirect").args(["permanent", "/"]).arg(target);
            });
        }
    }

    fn url(&self, scheme: &str, port: u16, usual: u16) -> String {
        let name = self.name.as_ref().unwrap_or(&self.default_name);
        if port == usual { format!("{scheme}://{name}/") } else { format!("{scheme}://{name}:{port}/") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_at_each_address_that_http_has() {
        let addresses = |places: &[Option<&str>]| {
            let mut more: Vec<_> = places.iter().map(|address| (address.map(str::to_owned), 80)).collect();
            let (address, port) = more.remove(0);
            let (default_name, name, aliases, unix) = ("localhost".to_owned(), None, vec![], vec![]);
            let (only_unix, admit_local, tls, https_only) = (false, false, None, false);
            let sites = Sites {
                address,
                port,
                more,
                unix,
                only_unix,
                default_name,
                name,
                aliases,
                admit_local,
                tls,
                https_only,
            };
            let found: Vec<String> = sites
                .secure_addresses()
                .into_iter()
                .map(|address| address.clone().unwrap_or_else(|| "*".to_owned()))
                .collect();
            found.join(" ")
        };
        assert_eq!(addresses(&[None]), "*");
        assert_eq!(addresses(&[Some("127.0.0.1"), Some("[::1]"), Some("127.0.0.1")]), "127.0.0.1 [::1]");
        assert_eq!(addresses(&[Some("0.0.0.0"), Some("[::]"), Some("127.0.0.1"), Some("[::1]")]), "0.0.0.0 [::]");
        assert_eq!(addresses(&[Some("127.0.0.1"), None]), "*");
        assert_eq!(addresses(&[Some("localhost"), Some("127.0.0.1")]), "localhost");
    }
}
