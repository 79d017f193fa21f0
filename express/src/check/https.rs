//! Certificates that are given: whether they go with their keys and their names, and how long they are good.

use camino::Utf8Path;

use crate::finding::Finding;
use crate::plan::{Plan, on_path};
use crate::self_signed::openssl;

/// The time before its end at which a certificate is told of, seconds: two weeks.
const SOON: &str = "1209600";

/// Returns what is found.
pub fn findings(plan: &Plan) -> Vec<Finding> {
    let sites = &plan.server.sites;
    let Some(tls) = &sites.tls else { return Vec::new() };
    if on_path("openssl").is_none() {
        return Vec::new();
    }
    let own = (!plan.options.https.needs_self_signed()).then_some((&tls.certificate, &tls.key, sites.name.as_deref()));
    let named = tls.named.iter().map(|named| (&named.certificate, &named.key, Some(named.name.as_str())));
    own.into_iter().chain(named).flat_map(|(certificate, key, name)| pair(certificate, key, name)).collect()
}

fn pair(certificate: &Utf8Path, key: &Utf8Path, name: Option<&str>) -> Vec<Finding> {
    let error = |text: String| vec![Finding::error("certificate", text)];
    let public = match openssl(&["x509", "-noout", "-pubkey", "-in", certificate.as_str()]) {
        Ok(public) => public,
        Err(reason) => {
            return error(format!("{certificate} is no certificate that can be read ({reason}); it is a file of PEM"));
        }
    };
    match openssl(&["pkey", "-pubout", "-passin", "pass:", "-in", key.as_str()]) {
        Err(reason) => {
            return error(format!(
                "{key} is no key that can be read ({reason}); it is a file of PEM without a pass phrase: openssl pkey -in {key}"
            ));
        }
        Ok(of_key) if of_key.trim() != public.trim() => {
            return error(format!(
                "the key {key} is not that of the certificate {certificate}; name the one it was made with"
            ));
        }
        Ok(_) => {}
    }
    let is_good_for = |seconds| openssl(&["x509", "-noout", "-checkend", seconds, "-in", certificate.as_str()]).is_ok();
    let mut found = Vec::new();
    if !is_good_for("0") {
        found
            .push(Finding::error("certificate", format!("the certificate {certificate} has expired; have it renewed")));
    } else if !is_good_for(SOON) {
        let text = format!("the certificate {certificate} expires in less than two weeks; have it renewed");
        found.push(Finding::warning("certificate", text));
    }
    if let Some(name) = name {
        let told = openssl(&["x509", "-noout", "-checkhost", name, "-in", certificate.as_str()]).unwrap_or_default();
        if told.contains("NOT match") {
            let text =
                format!("the certificate {certificate} is not for {name}; name one that is, or correct --server-name");
            found.push(Finding::warning("certificate", text));
        }
    }
    found
}
