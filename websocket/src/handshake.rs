//! The request that asks for a WebSocket, and the head that grants it (RFC 6455 §4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::extension;

/// The constant that the key is hashed with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The only version of the protocol.
const VERSION: &[u8] = b"13";

/// The values of a request that decide about the WebSocket. Headers of one name are joined by commas, as httpd joins
/// them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The method of the request.
    pub method: &'a [u8],
    /// Whether HTTP is at least 1.1.
    pub is_http_1_1: bool,
    /// Whether the request has a body.
    pub has_body: bool,
    /// The value of `Upgrade`.
    pub upgrade: Option<&'a [u8]>,
    /// The value of `Connection`.
    pub connection: Option<&'a [u8]>,
    /// The value of `Sec-WebSocket-Version`.
    pub version: Option<&'a [u8]>,
    /// The value of `Sec-WebSocket-Key`.
    pub key: Option<&'a [u8]>,
    /// The value of `Sec-WebSocket-Protocol`.
    pub protocols: Option<&'a [u8]>,
    /// The value of `Sec-WebSocket-Extensions`.
    pub extensions: Option<&'a [u8]>,
}

/// A request that may become a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: String,
    /// The sub-protocols that the client offers, in its order.
    pub protocols: Vec<String>,
    /// Whether the client takes compressed messages as [`extension::DEFLATE`] says.
    pub offers_deflate: bool,
}

/// Why a request that asks for a WebSocket cannot have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// 400, and what is wrong.
    #[error("{0}")]
    BadRequest(&'static str),
    /// The request has another version; status 426, with `Sec-WebSocket-Version: 13`.
    #[error("the WebSocket's version is not 13")]
    Version,
}

impl Request<'_> {
    /// Whether the request asks for a WebSocket. One that asks for another protocol, or without saying that of its
    /// connection, is a plain request (RFC 9110 §7.8).
    pub fn asks(&self) -> bool {
        self.is_http_1_1 && has(self.upgrade, b"websocket") && has(self.connection, b"upgrade")
    }

    /// Makes the handshake that the head of the WebSocket needs.
    ///
    /// # Errors
    /// The first rule of RFC 6455 §4.2.1 that the request breaks.
    pub fn handshake(&self) -> Result<Handshake, HandshakeError> {
        if self.method != b"GET" {
            return Err(HandshakeError::BadRequest("a WebSocket is asked for by GET"));
        }
        if self.has_body {
            return Err(HandshakeError::BadRequest("a request for a WebSocket has no body"));
        }
        if self.version.map(<[u8]>::trim_ascii) != Some(VERSION) {
            return Err(HandshakeError::Version);
        }
        let key = self.key.map(<[u8]>::trim_ascii).unwrap_or_default();
        if STANDARD.decode(key).map(|nonce| nonce.len()) != Ok(16) {
            return Err(HandshakeError::BadRequest("Sec-WebSocket-Key is not the base64 of 16 bytes"));
        }
        let protocols = protocols(self.protocols.unwrap_or_default())
            .ok_or(HandshakeError::BadRequest("Sec-WebSocket-Protocol is not a list of different tokens"))?;
        let offers_deflate = extension::offers_deflate(self.extensions.unwrap_or_default())
            .map_err(|_| HandshakeError::BadRequest("Sec-WebSocket-Extensions is not a list of extensions"))?;
        Ok(Handshake { accept: accept(key), protocols, offers_deflate })
    }
}

/// Makes the answer to a key (RFC 6455 §4.2.2, 5.4).
fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Whether a list has a token, whatever its case.
fn has(list: Option<&[u8]>, token: &[u8]) -> bool {
    list.unwrap_or_default().split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

/// Reads the tokens of a list, which have to differ (RFC 6455 §4.1). `None`: it is not such a list.
fn protocols(list: &[u8]) -> Option<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for item in list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty()) {
        let name = std::str::from_utf8(item).ok().filter(|name| name.bytes().all(extension::is_token))?;
        if found.iter().any(|other| other == name) {
            return None;
        }
        found.push(name.to_owned());
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 §1.2.
    const EXAMPLE: Request<'static> = Request {
        method: b"GET",
        is_http_1_1: true,
        has_body: false,
        upgrade: Some(b"websocket"),
        connection: Some(b"Upgrade"),
        version: Some(b"13"),
        key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
        protocols: Some(b"chat, superchat"),
        extensions: None,
    };

    #[test]
    fn the_example_of_the_rfc() {
        assert!(EXAMPLE.asks());
        let handshake = EXAMPLE.handshake().unwrap();
        assert_eq!(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(handshake.protocols, ["chat", "superchat"]);
        assert!(!handshake.offers_deflate);
    }

    #[test]
    fn only_who_says_so_of_the_connection_asks() {
        let asks = |upgrade: &'static [u8], connection: &'static [u8]| {
            Request { upgrade: Some(upgrade), connection: Some(connection), ..EXAMPLE }.asks()
        };
        assert!(asks(b"h2c, WebSocket", b"keep-alive, UPGRADE"));
        assert!(!asks(b"h2c", b"upgrade"));
        assert!(!asks(b"websocket", b"keep-alive"));
        assert!(!asks(b"websocket/2", b"upgrade"));
        assert!(!Request { is_http_1_1: false, ..EXAMPLE }.asks());
        assert!(!Request { upgrade: None, ..EXAMPLE }.asks());
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        for (request, why) in [
            (Request { method: b"POST", ..EXAMPLE }, "GET"),
            (Request { has_body: true, ..EXAMPLE }, "body"),
            (Request { key: None, ..EXAMPLE }, "Key"),
            (Request { key: Some(b"c2hvcnQ="), ..EXAMPLE }, "Key"),
            (Request { key: Some(b"dGhlIHNhbXBsZSBub25jZQ"), ..EXAMPLE }, "Key"),
            (Request { protocols: Some(b"chat, chat"), ..EXAMPLE }, "Protocol"),
            (Request { protocols: Some(b"a b"), ..EXAMPLE }, "Protocol"),
            (Request { extensions: Some(b"a b"), ..EXAMPLE }, "Extensions"),
        ] {
            let Err(HandshakeError::BadRequest(said)) = request.handshake() else { panic!("{request:?}") };
            assert!(said.contains(why), "{said}");
        }
        for version in [None, Some(&b"8"[..]), Some(b"13, 8")] {
            assert_eq!(Request { version, ..EXAMPLE }.handshake(), Err(HandshakeError::Version));
        }
    }
}
