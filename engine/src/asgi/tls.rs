//! The extension `tls`: the facts that mod_ssl tells about the client's connection.

use pyo3::types::{PyDict, PyDictMethods, PyList};
use pyo3::{Bound, PyResult, Python};

use crate::ffi::object;

/// The numbers of protocols, as TLS itself has them.
const VERSIONS: &[(&[u8], u16)] =
    &[(b"TLSv1.3", 0x0304), (b"TLSv1.2", 0x0303), (b"TLSv1.1", 0x0302), (b"TLSv1", 0x0301), (b"SSLv3", 0x0300)];

/// The numbers of cipher suites by OpenSSL's names (IANA's registry): those that are not broken.
const CIPHERS: &[(&[u8], u16)] = &[
    (b"TLS_AES_128_GCM_SHA256", 0x1301),
    (b"TLS_AES_256_GCM_SHA384", 0x1302),
    (b"TLS_CHACHA20_POLY1305_SHA256", 0x1303),
    (b"ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b),
    (b"ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c),
    (b"ECDHE-RSA-AES128-GCM-SHA256", 0xc02f),
    (b"ECDHE-RSA-AES256-GCM-SHA384", 0xc030),
    (b"ECDHE-RSA-CHACHA20-POLY1305", 0xcca8),
    (b"ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9),
    (b"DHE-RSA-AES128-GCM-SHA256", 0x009e),
    (b"DHE-RSA-AES256-GCM-SHA384", 0x009f),
    (b"DHE-RSA-CHACHA20-POLY1305", 0xccaa),
    (b"AES128-GCM-SHA256", 0x009c),
    (b"AES256-GCM-SHA384", 0x009d),
];

fn number(table: &[(&[u8], u16)], name: Option<&[u8]>) -> Option<u16> {
    table.iter().find(|(known, _)| Some(*known) == name).map(|(_, number)| *number)
}

/// The facts about a connection. Certificates are known where `SSLOptions +StdEnvVars +ExportCertData` has mod_ssl tell
/// them.
#[derive(Default)]
pub(super) struct Connection<'v> {
    pub(super) version: Option<&'v [u8]>,
    pub(super) cipher: Option<&'v [u8]>,
    server: Option<&'v [u8]>,
    client: Option<&'v [u8]>,
    chain: Vec<&'v [u8]>,
    name: Option<&'v [u8]>,
    verified: Option<&'v [u8]>,
}

impl<'v> Connection<'v> {
    /// Takes a variable of Apache's environment, if it is one of these facts.
    pub(super) fn hears(&mut self, name: &[u8], value: &'v [u8]) {
        match name {
            // What mod_ssl has not got is empty.
            _ if value.is_empty() => {}
            b"SSL_SERVER_CERT" => self.server = Some(value),
            b"SSL_CLIENT_CERT" => self.client = Some(value),
            b"SSL_CLIENT_S_DN" => self.name = Some(value),
            b"SSL_CLIENT_VERIFY" => self.verified = Some(value),
            name if name.starts_with(b"SSL_CLIENT_CERT_CHAIN_") => self.chain.push(value),
            _ => {}
        }
    }

    /// Whether the connection is encrypted by this server.
    pub(super) fn is_there(&self) -> bool {
        self.version.is_some()
    }

    /// The value of the extension.
    ///
    /// # Errors
    /// What CPython raises.
    pub(super) fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (dict, text) =
            (PyDict::new(py), |text: Option<&[u8]>| text.map(|text| object::latin1(py, text)).transpose());
        let chain = PyList::empty(py);
        for certificate in self.client.iter().chain(&self.chain) {
            pyo3::types::PyListMethods::append(&chain, object::latin1(py, certificate)?)?;
        }
        let error = self.verified.and_then(|verified| verified.strip_prefix(b"FAILED:"));
        dict.set_item("server_cert", text(self.server)?)?;
        dict.set_item("client_cert_chain", chain)?;
        dict.set_item("client_cert_name", text(self.name)?)?;
        dict.set_item("client_cert_error", text(error)?)?;
        dict.set_item("tls_version", number(VERSIONS, self.version))?;
        dict.set_item("cipher_suite", number(CIPHERS, self.cipher))?;
        Ok(dict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_ciphers_have_the_numbers_of_tls() {
        assert_eq!(number(VERSIONS, Some(b"TLSv1.3")), Some(772));
        assert_eq!(number(CIPHERS, Some(b"ECDHE-RSA-AES128-GCM-SHA256")), Some(0xc02f));
        assert_eq!([number(VERSIONS, None), number(CIPHERS, Some(b"RC4-MD5"))], [None, None]);
    }

    #[test]
    fn certificates_are_what_apache_says() {
        let mut connection = Connection::default();
        assert!(!connection.is_there());
        connection.version = Some(b"TLSv1.2");
        for (name, value) in
            [("SSL_CLIENT_CERT", "own"), ("SSL_CLIENT_CERT_CHAIN_0", "ca"), ("SSL_CLIENT_S_DN", "CN=a")]
        {
            connection.hears(name.as_bytes(), value.as_bytes());
        }
        assert!(connection.is_there());
        assert_eq!(
            (connection.client, &connection.chain[..], connection.name),
            (Some(&b"own"[..]), &[&b"ca"[..]][..], Some(&b"CN=a"[..]))
        );
    }
}
