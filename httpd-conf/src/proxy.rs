//! Other servers behind this one.

use crate::arg::header_value;
use crate::block::Block;
use crate::content::regular_expression;
use crate::tls::Tls;

/// A URL whose requests are passed on to another server.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The URL path, with a slash at its end.
    pub url: String,
    /// The URL of the other server, with a slash at its end.
    pub target: String,
}

/// A host name whose requests are all passed on to another server.
#[derive(Clone, Debug)]
pub struct NamedHost {
    /// The name that was given.
    pub name: String,
    /// The URL of the other server, with a slash at its end.
    pub target: String,
}

/// All that is passed on to other servers.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    /// The value of `--proxy-mount-point`.
    pub mounts: Vec<Mount>,
    /// The value of `--proxy-virtual-host`.
    pub hosts: Vec<NamedHost>,
    /// `--proxy-timeout` in seconds.
    pub timeout: Option<u32>,
}

impl Proxy {
    pub(crate) fn modules(&self, need: &mut Vec<&'static str>) {
        if !self.mounts.is_empty() || !self.hosts.is_empty() {
            need.extend(["proxy", "proxy_http"]);
        }
    }

    /// The mounts, valid in every virtual host.
    pub(crate) fn write(&self, port: u16, tls: Option<&Tls>, out: &mut Block) {
        if self.mounts.is_empty() && self.hosts.is_empty() {
            return;
        }
        if let Some(seconds) = self.timeout {
            out.comment("--proxy-timeout");
            out.set("ProxyTimeout", seconds);
        }
        if self.mounts.is_empty() {
            return;
        }
        out.comment("--proxy-mount-point, the longest URL first");
        let mut mounts: Vec<_> = self.mounts.iter().collect();
        mounts.sort_by(|a, b| b.url.cmp(&a.url));
        for Mount { url, target } in mounts {
            let bare = url.trim_end_matches('/');
            if !bare.is_empty() {
                let pattern = format!("^{}$", regular_expression(bare));
                out.directive("RedirectMatch").arg("302").arg(pattern).arg(url);
            }
            out.section("Location", url, |l| {
                pass(target, l);
                l.directive("RequestHeader").args(["set", "X-Forwarded-Prefix"]).arg(header_value(bare));
                forwarded(port, tls, l);
            });
        }
    }
}

/// The body of a virtual host that is passed on as a whole.
pub(crate) fn whole_host(target: &str, port: u16, tls: Option<&Tls>, out: &mut Block) {
    out.section("Location", "/", |l| {
        pass(target, l);
        forwarded(port, tls, l);
    });
}

fn pass(target: &str, l: &mut Block) {
    l.directive("ProxyPass").arg(target).arg("upgrade=websocket");
    l.set("ProxyPassReverse", target);
}

fn forwarded(port: u16, tls: Option<&Tls>, l: &mut Block) {
    const HTTPS: &str = "expr=%{HTTPS} == 'on'";
    l.directive("RequestHeader").args(["set", "X-Forwarded-Port"]).arg(port);
    // Nobody but this server says so.
    l.directive("RequestHeader").args(["unset", "X-Forwarded-Scheme"]);
    if let Some(tls) = tls {
        l.directive("RequestHeader").args(["set", "X-Forwarded-Port"]).arg(tls.port).arg(HTTPS);
        l.directive("RequestHeader").args(["set", "X-Forwarded-Scheme", "https", HTTPS]);
    }
}
