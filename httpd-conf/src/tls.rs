//! TLS: the server's certificate, and those of clients.

use camino::Utf8PathBuf;

use crate::arg::header_value;
use crate::block::Block;

/// The certificates that clients have to show.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// `--ssl-ca-certificate-file`: who signs them.
    pub authority: Utf8PathBuf,
    /// `--ssl-verify-client`: the URLs that need one; none means all.
    pub urls: Vec<String>,
}

/// The HTTPS side of the server.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The value of `--https-port`.
    pub port: u16,
    /// The value of `--ssl-certificate-file`.
    pub certificate: Utf8PathBuf,
    /// The value of `--ssl-certificate-key-file`.
    pub key: Utf8PathBuf,
    /// The value of `--ssl-certificate-chain-file`.
    pub chain: Option<Utf8PathBuf>,
    /// The certificates that clients have to show.
    pub clients: Option<ClientCertificates>,
    /// The value of `--ssl-environment`.
    pub environment: bool,
    /// The value of `--hsts-policy`.
    pub hsts: Option<String>,
}

/// Writes the directives by which a virtual host speaks TLS.
pub(crate) fn write_tls(tls: &Tls, h: &mut Block) {
    h.set("SSLEngine", "On");
    h.set("SSLCertificateFile", &tls.certificate);
    h.set("SSLCertificateKeyFile", &tls.key);
    if let Some(chain) = &tls.chain {
        h.set("SSLCertificateChainFile", chain);
    }
    if let Some(clients) = &tls.clients {
        h.set("SSLCACertificateFile", &clients.authority);
        // Asked for in the handshake: most clients refuse to be asked later, and HTTP/2 forbids it.
        h.set("SSLVerifyClient", if clients.urls.is_empty() { "require" } else { "optional" });
        h.set("SSLVerifyDepth", "1");
    }
    if tls.environment {
        h.directive("SSLOptions").arg("+StdEnvVars");
    }
    if let Some(policy) = &tls.hsts {
        let value = header_value(policy);
        h.directive("Header").args(["always", "set", "Strict-Transport-Security"]).arg(value);
    }
}

/// Writes the URLs that need a certificate of the client.
pub(crate) fn write_client_urls(tls: &Tls, out: &mut Block) {
    let Some(clients) = tls.clients.as_ref().filter(|c| !c.urls.is_empty()) else { return };
    out.comment("--ssl-verify-client");
    for url in &clients.urls {
        out.section("Location", url, |l| {
            l.set("AuthMerging", "And");
            l.directive("Require").arg("expr").arg("%{SSL_CLIENT_VERIFY} == 'SUCCESS'");
        });
    }
}
