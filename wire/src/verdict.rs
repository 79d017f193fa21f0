//! What `mod_wsgi-express start-server` and the module agree upon about an application that is tried while Apache
//! starts.
//!
//! Apache is started with [`DEFINE`], and its standard input is a socket. What comes out of it is a [`Verdict`], or the
//! end, upon which Apache does not start.
#![forbid(unsafe_code)]

use std::ffi::CStr;

/// The definition (`-D`) by which the module knows that it has to wait for a verdict.
pub const DEFINE: &CStr = c"MOD_WSGI_TRIAL";

/// The verdict that the application can be served. There is none for the opposite: it is the end of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The process id of the judge, which may be Apache's child and then has to be waited for.
    pub judge: u32,
}

impl Verdict {
    /// How many bytes a verdict has.
    pub const SIZE: usize = 5;
    const GOOD: u8 = b'+';

    /// The bytes that are sent.
    pub fn bytes(self) -> [u8; Self::SIZE] {
        let [a, b, c, d] = self.judge.to_ne_bytes();
        [Self::GOOD, a, b, c, d]
    }

    /// Reads a verdict; `None` where these bytes are none.
    pub fn read(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let [kind, a, b, c, d] = bytes;
        (kind == Self::GOOD).then(|| Self { judge: u32::from_ne_bytes([a, b, c, d]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_as_it_was_given() {
        let verdict = Verdict { judge: 4711 };
        assert_eq!(Verdict::read(verdict.bytes()), Some(verdict));
        assert_eq!(Verdict::read([0; Verdict::SIZE]), None);
    }
}
