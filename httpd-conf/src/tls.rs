//! TLS: the server's certificate, and those of clients.

use camino::{Utf8Path, Utf8PathBuf};

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

/// The certificate of another name of the site.
#[derive(Clone, Debug)]
pub struct NamedCertificate {
    /// The name of the site that it is for.
    pub name: String,
    /// The file of the certificate.
    pub certificate: Utf8PathBuf,
    /// The file of its key.
    pub key: Utf8PathBuf,
}

/// The authority that mod_md gets certificates from.
#[derive(Clone, Debug)]
pub struct Acme {
    /// The names that are certified together (`--acme-domain`).
    pub domains: Vec<String>,
    /// The value of `--acme-directory`.
    pub directory: Option<String>,
    /// The value of `--acme-ca-file`.
    pub authority: Option<Utf8PathBuf>,
    /// The value of `--acme-email`.
    pub contact: Option<String>,
}

impl Acme {
    /// The name of the program in the server root that mod_md tells of certificates.
    pub const MESSAGE: &str = "acme-message";

    /// Writes who is asked for which names. `http` and `https` are the ports behind 80 and 443.
    pub(crate) fn write(&self, root: &Utf8Path, http: u16, https: u16, out: &mut Block) {
        out.comment("--acme-domain and the other --acme options");
        out.set("MDStoreDir", &root.join("acme"));
        out.directive("MDCertificateAgreement").arg("accepted");
        if let Some(directory) = &self.directory {
            out.set("MDCertificateAuthority", directory);
        }
        if let Some(authority) = &self.authority {
            out.set("MDCACertificateFile", authority);
        }
        if let Some(contact) = &self.contact {
            out.set("MDContactEmail", contact);
        }
        out.directive("MDPortMap").arg(format!("http:{http}")).arg(format!("https:{https}"));
        out.set("MDMessageCmd", &root.join(Self::MESSAGE));
        out.directive("MDomain").args(&self.domains);
    }
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
    /// The certificates of other names (`--alias-certificate`).
    pub named: Vec<NamedCertificate>,
    /// The authority that certifies names of the site; the certificate is for all others then.
    pub acme: Option<Acme>,
}

/// Writes the directives by which the virtual host of a name speaks TLS.
pub(crate) fn write_tls(tls: &Tls, name: &str, h: &mut Block) {
    h.set("SSLEngine", "On");
    if let Some(named) = tls.named.iter().find(|named| named.name == name) {
        h.set("SSLCertificateFile", &named.certificate);
        h.set("SSLCertificateKeyFile", &named.key);
    } else if !tls.acme.as_ref().is_some_and(|acme| acme.domains.iter().any(|domain| domain == name)) {
        h.set("SSLCertificateFile", &tls.certificate);
        h.set("SSLCertificateKeyFile", &tls.key);
        if let Some(chain) = &tls.chain {
            h.set("SSLCertificateChainFile", chain);
        }
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
