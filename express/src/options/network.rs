//! Addresses, host names, TLS and other servers.

use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, value_parser};

/// Options of addresses and names.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Address")]
pub struct Address {
    /// Address (or a name of this machine) to listen on [default: all addresses]
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Port to listen on; 0 for one that is free
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// ADDRESS:PORT, :PORT or unix:PATH instead of --host and --port; may be repeated [default: sockets that systemd
    /// passes]
    #[arg(short, long, value_name = "ADDRESS:PORT", conflicts_with_all = ["host", "port"])]
    pub bind: Vec<Place>,
    /// Host name of the site; requests for other names are refused
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Another name of the site, with --server-name; may contain * and may be repeated
    #[arg(long, value_name = "NAME")]
    pub server_alias: Vec<String>,
    /// Let clients on this machine use any name, with --server-name
    #[arg(long)]
    pub allow_localhost: bool,
    /// Speak HTTP/2
    #[arg(long)]
    pub http2: bool,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At an address and a port.
    Inet(Listener),
    /// At a unix socket: its path; an abstract name, which only systemd can pass, begins with `@`.
    Unix(Utf8PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("a path follows unix:, such as unix:/run/site/http.sock".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Inet),
        }
    }
}

/// The port of a server that listens at unix sockets only.
pub const HTTP: u16 = 80;

/// What stands for a host in the name of a server that listens at unix sockets only, of which this is the first:
/// `unix:` and its path.
pub fn socket_host(socket: &str) -> String {
    socket.replace([':', '/'], "-")
}

/// An address and a port to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address, or a name of this machine; `None` for all addresses.
    pub host: Option<String>,
    /// The port.
    pub port: u16,
}

impl Listener {
    /// Whether nobody could listen at both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let is_all = |one: &Self, other: &Self| match (one.host.as_deref(), other.host.as_deref()) {
            (None, _) => true,
            (Some("0.0.0.0"), Some(host)) => !host.starts_with('['),
            _ => false,
        };
        self.port == other.port
            && self.port != 0
            && (self.host == other.host || is_all(self, other) || is_all(other, self))
    }
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) =
            text.rsplit_once(':').ok_or("it is ADDRESS:PORT, such as 127.0.0.1:8000, or :8000, or unix:PATH")?;
        let port = port.parse().map_err(|_| "the port is a number up to 65535, 0 for one that is free")?;
        if host.contains(':') && !host.starts_with('[') {
            return Err("an IPv6 address is written in brackets: [::1]:8000".to_owned());
        }
        Ok(Self { host: (!host.is_empty()).then(|| host.to_owned()), port })
    }
}

impl Address {
    /// The addresses and ports to listen on, the one that the server is known by first; none where there are unix
    /// sockets only.
    pub fn listeners(&self) -> Vec<Listener> {
        if self.bind.is_empty() {
            return vec![Listener { host: self.host.clone(), port: self.port }];
        }
        let listener = |place: &Place| match place {
            Place::Inet(listener) => Some(listener.clone()),
            Place::Unix(_) => None,
        };
        self.bind.iter().filter_map(listener).collect()
    }

    /// The paths of the unix sockets to listen at.
    pub fn unix(&self) -> impl Iterator<Item = &Utf8Path> {
        self.bind.iter().filter_map(|place| match place {
            Place::Unix(path) => Some(path.as_path()),
            Place::Inet(_) => None,
        })
    }
}

/// Options of HTTPS.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTPS")]
pub struct Https {
    /// Port for HTTPS
    #[arg(long, alias = "ssl-port", value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    pub https_port: Option<u16>,
    /// The certificate
    #[arg(long, value_name = "FILE")]
    pub ssl_certificate_file: Option<Utf8PathBuf>,
    /// The certificate's key
    #[arg(long, value_name = "FILE")]
    pub ssl_certificate_key_file: Option<Utf8PathBuf>,
    /// Certificate and key: STEM.crt and STEM.key
    #[arg(long, value_name = "STEM")]
    pub ssl_certificate: Option<Utf8PathBuf>,
    /// Certificate and key, STEM.crt and STEM.key, for another name of the site; may be repeated
    #[arg(long, value_names = ["NAME", "STEM"], num_args = 2)]
    pub alias_certificate: Vec<String>,
    /// Get and renew the certificate for this name of the site from an authority that speaks ACME, such as Let's
    /// Encrypt, whose terms you agree to; may be repeated
    #[arg(long, value_name = "NAME")]
    pub acme_domain: Vec<String>,
    /// Where that authority may write to
    #[arg(long, value_name = "ADDRESS")]
    pub acme_email: Option<String>,
    /// The authority, by its directory [default: Let's Encrypt]
    #[arg(long, value_name = "URL")]
    pub acme_directory: Option<String>,
    /// Certificate that vouches for the authority's own server, where the system's do not
    #[arg(long, value_name = "FILE")]
    pub acme_ca_file: Option<Utf8PathBuf>,
    /// Use a certificate that nobody vouches for, made once and kept in the server root: for development
    #[arg(long)]
    pub self_signed: bool,
    /// Certificates that lead from the server's to the authority's
    #[arg(long, value_name = "FILE")]
    pub ssl_certificate_chain_file: Option<Utf8PathBuf>,
    /// Ask clients for certificates signed by this authority
    #[arg(long, value_name = "FILE")]
    pub ssl_ca_certificate_file: Option<Utf8PathBuf>,
    /// URL below which a client certificate is needed; may be repeated [default: the whole site]
    #[arg(long, value_name = "URL")]
    pub ssl_verify_client: Vec<String>,
    /// Tell the application about the TLS connection (SSL_* variables)
    #[arg(long)]
    pub ssl_environment: bool,
    /// Send HTTP clients to HTTPS
    #[arg(long)]
    pub https_only: bool,
    /// Strict-Transport-Security header of HTTPS answers
    #[arg(long, value_name = "POLICY")]
    pub hsts_policy: Option<String>,
}

impl Https {
    /// Whether the server needs a certificate that it makes itself: for development, or for names that are not its own
    /// while an authority is asked for the others.
    pub fn needs_self_signed(&self) -> bool {
        self.self_signed || !self.acme_domain.is_empty()
    }
}

/// Options of other servers, behind and in front of this one.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Proxies")]
pub struct Proxying {
    /// Pass what is below a URL on to another server; may be repeated
    #[arg(long, alias = "proxy-url-alias", value_names = ["URL", "TARGET"], num_args = 2)]
    pub proxy_mount_point: Vec<String>,
    /// Pass a whole host name on to another server; may be repeated
    #[arg(long, value_names = ["NAME", "TARGET"], num_args = 2)]
    pub proxy_virtual_host: Vec<String>,
    /// Seconds to wait for such a server
    #[arg(long, value_name = "SECONDS")]
    pub proxy_timeout: Option<u32>,
    /// Address or network of a trusted proxy in front; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub trust_proxy: Vec<String>,
    /// Header that a trusted proxy sets; may be repeated
    #[arg(long, value_name = "HEADER")]
    pub trust_proxy_header: Vec<String>,
}
