//! Time limits and sizes of connections.

use crate::block::Block;

/// How long a client may take to send its headers or its body.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// The seconds at first; 0 for no limit.
    pub timeout: u32,
    /// The seconds in all, if data keeps coming; 0 for no limit.
    pub maximum: u32,
    /// How many bytes add a second; 0 for none.
    pub rate: u32,
}

impl ReadLimit {
    fn text(self) -> Option<String> {
        let Self { timeout, maximum, rate } = self;
        if timeout == 0 {
            return None;
        }
        let maximum = if maximum > 0 { format!("-{maximum}") } else { String::new() };
        let rate = if rate > 0 { format!(",MinRate={rate}") } else { String::new() };
        Some(format!("{timeout}{maximum}{rate}"))
    }
}

/// The limits that Apache has for connections. Times are in seconds.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The value of `--socket-timeout`.
    pub timeout: u32,
    /// `--keep-alive-timeout`; 0 switches keep-alive off.
    pub keep_alive: u32,
    /// The value of `--server-backlog`.
    pub backlog: u32,
    /// The value of `--header-timeout`, `--header-max-timeout`, `--header-min-rate`.
    pub header: ReadLimit,
    /// The value of `--body-timeout`, `--body-max-timeout`, `--body-min-rate`.
    pub body: ReadLimit,
    /// `--limit-request-body` in bytes.
    pub limit_request_body: u64,
    /// The value of `--http2`.
    pub http2: bool,
}

/// The size of the buffer, bytes: what a body that travels inline takes at the most.
const READ_BUFFER: u64 = 65_536;

impl Connection {
    pub(crate) fn modules(&self, need: &mut Vec<&'static str>) {
        need.push("reqtimeout");
        if self.http2 {
            need.push("http2");
        }
    }

    pub(crate) fn write(&self, out: &mut Block) {
        out.comment("--socket-timeout, --keep-alive-timeout, --server-backlog, --limit-request-body");
        out.set("Timeout", self.timeout);
        if self.keep_alive > 0 {
            out.set("KeepAlive", "On");
            out.set("KeepAliveTimeout", self.keep_alive);
        } else {
            out.set("KeepAlive", "Off");
        }
        out.set("ListenBacklog", self.backlog);
        out.set("LimitRequestBody", self.limit_request_body);
        out.comment("Uploads are read in pieces of this size, not of 8 KiB (httpd 2.4.27 and later).");
        out.set("ReadBufferSize", READ_BUFFER);
        out.comment("--header-timeout, --body-timeout and their -max-timeout and -min-rate");
        let limits = out.directive("RequestReadTimeout");
        limits.setting("header", self.header.text().unwrap_or_else(|| "0".to_owned()));
        limits.setting("body", self.body.text().unwrap_or_else(|| "0".to_owned()));
        if self.http2 {
            out.comment("--http2");
            out.directive("Protocols").args(["h2", "h2c", "http/1.1"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_limits() {
        let text = |timeout, maximum, rate| ReadLimit { timeout, maximum, rate }.text();
        assert_eq!(text(15, 30, 500).as_deref(), Some("15-30,MinRate=500"));
        assert_eq!(text(15, 0, 500).as_deref(), Some("15,MinRate=500"));
        assert_eq!(text(15, 0, 0).as_deref(), Some("15"));
        assert_eq!(text(0, 30, 500), None);
    }
}
