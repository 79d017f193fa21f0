//! The certificate of `--self-signed`: made once, kept in the server root, and known to nobody but who has been told
//! its fingerprint.

use std::process::{Command, Stdio};

use camino::Utf8Path;
use httpd_conf::Sites;
use wsgi_unix::files::{self, Access, Owners};

use crate::plan::{Plan, on_path};

/// How many days it is valid: browsers refuse certificates that are valid for longer.
const DAYS: &str = "397";
/// How long before its end it is made anew, seconds.
const RENEWAL: &str = "2592000";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    /// The program that makes certificates is missing.
    #[error(
        "--self-signed needs the program openssl, which is not installed; install it, or give a certificate with --ssl-certificate"
    )]
    NoOpenssl,
    /// The program does not make a certificate.
    #[error("openssl has made no certificate: {0}")]
    Openssl(String),
    /// The certificate cannot be kept.
    #[error("{0}; or name another place with --server-root")]
    Write(#[from] files::FileError),
}

/// Makes the certificate of a plan that wants one, unless it is there for the names of the site and does not end soon.
/// Returns its fingerprint, if somebody is to believe it.
///
/// # Errors
/// [`SelfSignedError`] when it cannot be made or kept.
pub fn certificate(plan: &Plan) -> Result<Option<String>, SelfSignedError> {
    let https = &plan.options.https;
    let Some(tls) = plan.server.sites.tls.as_ref().filter(|_| https.needs_self_signed()) else { return Ok(None) };
    let made = tls.certificate.as_str();
    let names = names(&plan.server.sites);
    let is_good = tls.key.exists()
        && tls.certificate.exists()
        && openssl(&["x509", "-noout", "-checkend", RENEWAL, "-in", made]).is_ok()
        && is_for(made, &names);
    if !is_good {
        make(&names, &tls.certificate, &tls.key)?;
    }
    if !https.self_signed {
        return Ok(None);
    }
    let told = openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in", made])?;
    Ok(told.trim().split_once('=').map(|(_, fingerprint)| fingerprint.to_owned()))
}

/// The names that the certificate is for, that of the site first.
fn names(sites: &Sites) -> Vec<&str> {
    let name = sites.name.as_deref().unwrap_or("localhost");
    let more = sites.aliases.iter().map(String::as_str).chain(["localhost"]).filter(|other| *other != name);
    std::iter::once(name).chain(more).collect()
}

/// Whether a certificate is for all of these names.
fn is_for(certificate: &str, names: &[&str]) -> bool {
    let Ok(told) = openssl(&["x509", "-noout", "-ext", "subjectAltName", "-in", certificate]) else { return false };
    let known: Vec<_> = told.split([',', '\n']).filter_map(|part| part.trim().strip_prefix("DNS:")).collect();
    names.iter().all(|name| known.contains(name))
}

/// Makes key and certificate, which come by a pipe, because the file in the root is written as everything there is.
fn make(names: &[&str], certificate: &Utf8Path, key: &Utf8Path) -> Result<(), SelfSignedError> {
    let name = names.first().copied().unwrap_or("localhost");
    let names: Vec<_> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let names = format!("subjectAltName={},IP:127.0.0.1,IP:::1", names.join(","));
    let subject = format!("/CN={}", name.replace(['/', '+', '\\'], "-"));
    let words =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", DAYS, "-subj", &subject, "-addext"];
    let words: Vec<_> =
        words.into_iter().chain([names.as_str(), "-keyout", "/dev/stdout", "-out", "/dev/stdout"]).collect();
    let both = openssl(&words)?;
    let owners = Owners::own();
    files::write(key.as_std_path(), both.as_bytes(), Access::of_mode(0o600), &owners)?;
    files::write(certificate.as_std_path(), certificate_of(&both).as_bytes(), Access::of_mode(0o644), &owners)?;
    Ok(())
}

/// Returns the part that everybody may see.
fn certificate_of(both: &str) -> &str {
    both.find("-----BEGIN CERTIFICATE-----").map_or("", |start| &both[start..])
}

/// Runs openssl with these words, and returns what it says.
///
/// # Errors
/// [`SelfSignedError`] when there is no openssl, or it says no.
pub fn openssl(words: &[&str]) -> Result<String, SelfSignedError> {
    let program = on_path("openssl").ok_or(SelfSignedError::NoOpenssl)?;
    let failed = |text: String| SelfSignedError::Openssl(text.split_whitespace().collect::<Vec<_>>().join(" "));
    let done =
        Command::new(program).args(words).stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&done.stderr).into_owned()))
    }
}
