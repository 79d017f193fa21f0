//! Addresses, names, TLS and the other servers around.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, ToSocketAddrs};

use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::{
    Access, Acme, Authentication, ClientCertificates, Connection, Mount, Mpm, NamedCertificate, NamedHost, Proxy,
    ReadLimit, Scheme, Sites, Tls,
};

use super::error::PlanError;
use super::path::Directory;
use crate::options::{AuthType, HTTP, Listener, Options, Place, pairs, socket_host};

/// Chooses a free port for each address that leaves it open. Others may take it before Apache does.
pub fn with_free_ports(options: &Options) -> Result<Options, PlanError> {
    let mut options = options.clone();
    let (host, mut taken) = (options.address.host.clone(), Vec::new());
    let mut choose = |host: Option<&str>, port: &mut u16| -> Result<(), PlanError> {
        if *port == 0 {
            let address = host.map_or(Ok(Ipv4Addr::UNSPECIFIED.into()), resolve)?;
            let place = TcpListener::bind((address, 0)).map_err(PlanError::NoPort)?;
            *port = place.local_addr().map_err(PlanError::NoPort)?.port();
            // The next one is another.
            taken.push(place);
        }
        Ok(())
    };
    if options.address.bind.is_empty() {
        choose(host.as_deref(), &mut options.address.port)?;
    }
    for place in &mut options.address.bind {
        let Place::Inet(listener) = place else { continue };
        let host = bare_host(listener).map(str::to_owned);
        choose(host.as_deref(), &mut listener.port)?;
    }
    Ok(options)
}

/// Decides about addresses and names.
pub fn sites(options: &Options, here: &Directory) -> Result<Sites, PlanError> {
    let address = &options.address;
    let listeners = address.listeners();
    let (first, more) = match listeners.as_slice() {
        [] => (Listener { host: None, port: HTTP }, &[][..]),
        [first, more @ ..] => (first.clone(), more),
    };
    let name = bare_host(&first).filter(|host| host.parse::<Ipv6Addr>().is_err());
    Ok(Sites {
        port: first.port,
        default_name: name.unwrap_or("localhost").to_owned(),
        address: place(&first)?.0,
        more: more.iter().map(place).collect::<Result<_, _>>()?,
        unix: address.unix().map(|path| format!("unix:{}", socket(path, here))).collect(),
        only_unix: listeners.is_empty(),
        name: address.server_name.clone().or_else(|| options.https.acme_domain.first().cloned()),
        aliases: aliases(options),
        admit_local: address.allow_localhost,
        tls: options.https.https_port.map(|port| tls(port, options, here)).transpose()?,
        https_only: options.https.https_only,
    })
}

/// The path of a unix socket. An abstract name is none.
pub fn socket(path: &Utf8Path, here: &Directory) -> Utf8PathBuf {
    if path.as_str().starts_with('@') { path.to_owned() } else { here.absolute(path) }
}

/// The name of a server by the first place that it listens at, for the name of its server root.
pub fn label(sites: &Sites) -> String {
    let host = match sites.unix.first().filter(|_| sites.only_unix) {
        Some(socket) => socket_host(socket),
        None => sites.address.clone().unwrap_or_else(|| "localhost".to_owned()),
    };
    format!("{host}:{}", sites.port)
}

/// The further names of the site: those that are given, and those that have certificates.
fn aliases(options: &Options) -> Vec<String> {
    let Options { address, https, .. } = options;
    let mut names = address.server_alias.clone();
    let main = address.server_name.as_ref().or(https.acme_domain.first());
    let certified = pairs(&https.alias_certificate).map(|(name, _)| name.to_owned());
    for name in certified.chain(https.acme_domain.iter().cloned()) {
        if Some(&name) != main && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn bare_host(listener: &Listener) -> Option<&str> {
    listener.host.as_deref().map(|host| host.trim_start_matches('[').trim_end_matches(']'))
}

/// The address and port for `Listen`: Apache wants brackets around an IPv6 address, and takes none for a name.
fn place(listener: &Listener) -> Result<(Option<String>, u16), PlanError> {
    let host = bare_host(listener);
    host.map(resolve).transpose()?;
    let listen = host.map(|host| if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() });
    Ok((listen, listener.port))
}

/// Resolves `--host`, which has to be an address of this machine.
fn resolve(host: &str) -> Result<IpAddr, PlanError> {
    let unknown = || PlanError::UnknownHost { host: host.to_owned() };
    let address = (host, 0).to_socket_addrs().map_err(|_| unknown())?.next().ok_or_else(unknown)?.ip();
    match TcpListener::bind((address, 0)) {
        Err(e) if e.kind() == std::io::ErrorKind::AddrNotAvailable => {
            Err(PlanError::ForeignHost { host: host.to_owned(), address })
        }
        _ => Ok(address),
    }
}

fn tls(port: u16, options: &Options, here: &Directory) -> Result<Tls, PlanError> {
    let https = &options.https;
    let stem =
        |extension: &str| https.ssl_certificate.as_ref().map(|stem| Utf8PathBuf::from(format!("{stem}.{extension}")));
    // The parser's rules say that both are there.
    let file = |long_option, long: &Option<Utf8PathBuf>, extension| {
        if https.needs_self_signed() {
            // Where it is kept is known with the server root.
            return Ok(format!("self-signed.{extension}").into());
        }
        match stem(extension) {
            Some(path) => here.existing("--ssl-certificate", path),
            None => here.existing(long_option, long.clone().unwrap_or_default()),
        }
    };
    let authority = here.existing_opt("--ssl-ca-certificate-file", https.ssl_ca_certificate_file.as_ref())?;
    Ok(Tls {
        port,
        certificate: file("--ssl-certificate-file", &https.ssl_certificate_file, "crt")?,
        key: file("--ssl-certificate-key-file", &https.ssl_certificate_key_file, "key")?,
        chain: here.existing_opt("--ssl-certificate-chain-file", https.ssl_certificate_chain_file.as_ref())?,
        clients: authority.map(|authority| ClientCertificates { authority, urls: https.ssl_verify_client.clone() }),
        environment: https.ssl_environment,
        hsts: https.hsts_policy.clone(),
        named: pairs(&https.alias_certificate)
            .map(|(name, stem)| {
                let file =
                    |extension| here.existing("--alias-certificate", Utf8PathBuf::from(format!("{stem}.{extension}")));
                Ok(NamedCertificate { name: name.to_owned(), certificate: file("crt")?, key: file("key")? })
            })
            .collect::<Result<_, PlanError>>()?,
        acme: acme(options, here)?,
    })
}

/// The authority that is asked for certificates, if any is.
fn acme(options: &Options, here: &Directory) -> Result<Option<Acme>, PlanError> {
    let https = &options.https;
    let authority = here.existing_opt("--acme-ca-file", https.acme_ca_file.as_ref())?;
    let acme = || Acme {
        domains: https.acme_domain.clone(),
        directory: https.acme_directory.clone(),
        authority,
        contact: https.acme_email.clone(),
    };
    Ok((!https.acme_domain.is_empty()).then(acme))
}

/// The MPMs for a server that is one process, best first: with prefork requests run in the main thread, where debuggers
/// are at home.
pub fn one_process_mpms(options: &Options) -> [Mpm; 3] {
    let [event, worker, prefork] = Mpm::ALL;
    if options.address.http2 { [worker, event, prefork] } else { [prefork, worker, event] }
}

/// Decides about the limits of connections.
pub fn connection(options: &Options) -> Connection {
    let t = &options.timeouts;
    Connection {
        timeout: t.socket_timeout,
        // The only worker of debug mode waits for no client's next request: a browser has others open.
        keep_alive: if options.debugging.one_process() { 0 } else { t.keep_alive_timeout },
        backlog: options.transfer.server_backlog,
        header: ReadLimit { timeout: t.header_timeout, maximum: t.header_max_timeout, rate: t.header_min_rate },
        body: ReadLimit { timeout: t.body_timeout, maximum: t.body_max_timeout, rate: t.body_min_rate },
        limit_request_body: options.application.limit_request_body,
        http2: options.address.http2,
    }
}

/// Decides about the servers behind this one.
pub fn proxy(options: &Options) -> Proxy {
    let slash = |text: &str| if text.ends_with('/') { text.to_owned() } else { format!("{text}/") };
    let proxying = &options.proxying;
    Proxy {
        mounts: pairs(&proxying.proxy_mount_point)
            .map(|(url, target)| Mount { url: slash(url), target: slash(target) })
            .collect(),
        hosts: pairs(&proxying.proxy_virtual_host)
            .map(|(name, target)| NamedHost { name: name.to_owned(), target: slash(target) })
            .collect(),
        timeout: proxying.proxy_timeout,
    }
}

/// Decides about the scripts that let clients in; `realm` is what clients show their users.
pub fn access(options: &Options, here: &Directory, realm: &str) -> Result<Access, PlanError> {
    let access = &options.access;
    let user_script = here.existing_opt("--auth-user-script", access.auth_user_script.as_ref())?;
    let group_script = here.existing_opt("--auth-group-script", access.auth_group_script.as_ref())?;
    Ok(Access {
        host_script: here.existing_opt("--host-access-script", access.host_access_script.as_ref())?,
        authentication: user_script.map(|user_script| Authentication {
            scheme: match access.auth_type {
                AuthType::Basic => Scheme::Basic,
                AuthType::Digest => Scheme::Digest,
            },
            realm: realm.to_owned(),
            user_script,
            group: group_script.map(|script| (script, access.auth_group.clone())),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_of_this_machine() {
        assert_eq!(resolve("127.0.0.1").unwrap().to_string(), "127.0.0.1");
        assert!(matches!(resolve("no-such-host.invalid"), Err(PlanError::UnknownHost { .. })));
        assert!(matches!(resolve("192.0.2.1"), Err(PlanError::ForeignHost { .. })));
    }
}
