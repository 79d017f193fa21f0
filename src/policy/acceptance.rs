//! Whether a request for a script is accepted, and if not with which status: `directives.md` §6.1 in its order.
#![forbid(unsafe_code)]

use wsgi_wire::messages::{Message, requests};

/// What Apache knows about a request before anything of ours runs.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'r> {
    /// What the URL was mapped to; `None` for handler scripts, whose resource may be anything.
    pub target: Option<Target>,
    /// Whether an alias of ours mapped it.
    pub aliased: bool,
    /// Whether `Options ExecCGI` holds.
    pub may_execute: bool,
    /// Whether something follows the script in the URL.
    pub has_path_info: bool,
    /// Whether `AcceptPathInfo Off` holds.
    pub rejects_path_info: bool,
    /// Transfer-Encoding of the request.
    pub transfer_encoding: Option<&'r [u8]>,
    /// Content-Length of the request.
    pub content_length: Option<&'r [u8]>,
    /// The value of `WSGIChunkedRequest`.
    pub chunked_request: bool,
    /// `LimitRequestBody`; 0 is no limit.
    pub body_limit: u64,
}

/// What the URL was mapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing is there.
    Missing,
    /// There is a directory.
    Directory,
    /// There is a file.
    File,
}

/// How long the request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// The body is as long as the client has announced; 0 if there is none.
    Known(u64),
    /// The body comes in chunks, so its length is not known.
    Chunked,
}

/// Why a request is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptanceError {
    /// The script may not be executed; status 403.
    #[error("Options ExecCGI is off for this script, and no WSGIScriptAlias names it")]
    MayNotExecute,
    /// The script is not there; status 404.
    #[error("the script does not exist or cannot be read")]
    Missing,
    /// The file name is that of a directory; status 403.
    #[error("a directory is no script")]
    Directory,
    /// Something follows the script where nothing may; status 404.
    #[error("AcceptPathInfo Off rejects what follows the script in the URL")]
    PathInfo,
    /// The Transfer-Encoding is not one that is understood; status 501.
    #[error("the request's Transfer-Encoding is not supported")]
    TransferEncoding,
    /// The body comes in chunks where it may not; status 411.
    #[error("a chunked request body needs WSGIChunkedRequest On")]
    LengthRequired,
    /// The Content-Length is invalid; status 400.
    #[error("the request's Content-Length is not a number")]
    ContentLength,
    /// The body is too long; status 413.
    #[error("the request's Content-Length exceeds LimitRequestBody")]
    TooLarge,
}

impl AcceptanceError {
    /// Which message the log gets.
    pub fn message(self) -> &'static Message {
        match self {
            AcceptanceError::MayNotExecute => &requests::NO_EXEC_CGI,
            AcceptanceError::Missing => &requests::SCRIPT_MISSING,
            AcceptanceError::Directory => &requests::SCRIPT_IS_DIRECTORY,
            AcceptanceError::PathInfo => &requests::PATH_INFO_REJECTED,
            AcceptanceError::TransferEncoding => &requests::TRANSFER_ENCODING,
            AcceptanceError::LengthRequired => &requests::CHUNKED_REQUEST,
            AcceptanceError::ContentLength => &requests::CONTENT_LENGTH,
            AcceptanceError::TooLarge => &requests::BODY_TOO_LARGE,
        }
    }

    /// What the client gets.
    pub fn status(self) -> u16 {
        match self {
            AcceptanceError::MayNotExecute | AcceptanceError::Directory => 403,
            AcceptanceError::Missing | AcceptanceError::PathInfo => 404,
            AcceptanceError::TransferEncoding => 501,
            AcceptanceError::LengthRequired => 411,
            AcceptanceError::ContentLength => 400,
            AcceptanceError::TooLarge => 413,
        }
    }
}

/// Accepts a request, or says why not.
///
/// # Errors
/// The first rule that is broken.
pub fn accept(facts: &RequestFacts<'_>) -> Result<BodyLength, AcceptanceError> {
    if let Some(target) = facts.target {
        if !facts.aliased && !facts.may_execute {
            return Err(AcceptanceError::MayNotExecute);
        }
        match target {
            Target::Missing => return Err(AcceptanceError::Missing),
            Target::Directory => return Err(AcceptanceError::Directory),
            Target::File => {}
        }
    }
    if facts.rejects_path_info && facts.has_path_info {
        return Err(AcceptanceError::PathInfo);
    }
    if let Some(encoding) = facts.transfer_encoding {
        if !encoding.eq_ignore_ascii_case(b"chunked") {
            return Err(AcceptanceError::TransferEncoding);
        }
        return if facts.chunked_request { Ok(BodyLength::Chunked) } else { Err(AcceptanceError::LengthRequired) };
    }
    let Some(text) = facts.content_length else { return Ok(BodyLength::Known(0)) };
    let length = length(text).ok_or(AcceptanceError::ContentLength)?;
    if facts.body_limit > 0 && length > facts.body_limit {
        return Err(AcceptanceError::TooLarge);
    }
    Ok(BodyLength::Known(length))
}

/// Parses a length of digits only: `+5` is a number to Rust, not to HTTP.
fn length(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|n| *n <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: RequestFacts<'static> = RequestFacts {
        target: Some(Target::File),
        aliased: true,
        may_execute: false,
        has_path_info: true,
        rejects_path_info: false,
        transfer_encoding: None,
        content_length: None,
        chunked_request: false,
        body_limit: 1000,
    };

    #[test]
    fn each_rule_has_its_status() {
        let rows = [
            (GOOD, Ok(BodyLength::Known(0))),
            (RequestFacts { aliased: false, ..GOOD }, Err(AcceptanceError::MayNotExecute)),
            (RequestFacts { aliased: false, may_execute: true, ..GOOD }, Ok(BodyLength::Known(0))),
            (RequestFacts { target: Some(Target::Missing), ..GOOD }, Err(AcceptanceError::Missing)),
            (RequestFacts { target: Some(Target::Directory), ..GOOD }, Err(AcceptanceError::Directory)),
            (RequestFacts { target: None, aliased: false, ..GOOD }, Ok(BodyLength::Known(0))),
            (RequestFacts { rejects_path_info: true, ..GOOD }, Err(AcceptanceError::PathInfo)),
            (RequestFacts { rejects_path_info: true, has_path_info: false, ..GOOD }, Ok(BodyLength::Known(0))),
            (RequestFacts { transfer_encoding: Some(b"gzip"), ..GOOD }, Err(AcceptanceError::TransferEncoding)),
            (RequestFacts { transfer_encoding: Some(b"Chunked"), ..GOOD }, Err(AcceptanceError::LengthRequired)),
            (
                RequestFacts { transfer_encoding: Some(b"chunked"), chunked_request: true, ..GOOD },
                Ok(BodyLength::Chunked),
            ),
            (RequestFacts { content_length: Some(b"12"), ..GOOD }, Ok(BodyLength::Known(12))),
            (RequestFacts { content_length: Some(b"abc"), ..GOOD }, Err(AcceptanceError::ContentLength)),
            (RequestFacts { content_length: Some(b"-1"), ..GOOD }, Err(AcceptanceError::ContentLength)),
            (RequestFacts { content_length: Some(b"+1"), ..GOOD }, Err(AcceptanceError::ContentLength)),
            (RequestFacts { content_length: Some(b""), ..GOOD }, Err(AcceptanceError::ContentLength)),
            (RequestFacts { content_length: Some(b"1000"), ..GOOD }, Ok(BodyLength::Known(1000))),
            (RequestFacts { content_length: Some(b"1001"), ..GOOD }, Err(AcceptanceError::TooLarge)),
            (RequestFacts { content_length: Some(b"1001"), body_limit: 0, ..GOOD }, Ok(BodyLength::Known(1001))),
        ];
        for (facts, expected) in rows {
            assert_eq!(accept(&facts), expected, "{facts:?}");
        }
        assert_eq!(AcceptanceError::TooLarge.status(), 413);
    }
}
