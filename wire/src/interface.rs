//! Which interface a process group offers to applications, and what its event loop is.

use crate::codec::byte_enum;

byte_enum! {
    /// The interface between a process and its applications.
    #[derive(Default)]
    pub enum Interface {
        /// WSGI: threads, each with one request (PEP 3333).
        #[default]
        Wsgi = 0,
        /// ASGI: an event loop, with many requests at a time.
        Asgi = 1,
        /// Whichever the scripts speak that are loaded at start.
        Auto = 2,
    }
}

byte_enum! {
    /// Whether applications are told of start and end of their process (`lifespan`).
    #[derive(Default)]
    pub enum Lifespan {
        /// One that raises when it is told has no part in that.
        #[default]
        Auto = 0,
        /// One that raises cannot be served.
        On = 1,
        /// They are not told.
        Off = 2,
    }
}

impl Interface {
    /// What stands for it in the process table; nothing is [`Interface::Wsgi`].
    pub fn number(self) -> u32 {
        self as u32
    }

    /// What this number of the process table stands for.
    pub fn of_number(number: u32) -> Self {
        u8::try_from(number).ok().and_then(|number| Self::try_from(number).ok()).unwrap_or_default()
    }

    /// The word for it in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wsgi => "wsgi",
            Self::Asgi => "asgi",
            Self::Auto => "auto",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_the_table_stands_for_an_interface_and_any_other_for_wsgi() {
        for interface in [Interface::Wsgi, Interface::Asgi, Interface::Auto] {
            assert_eq!(Interface::of_number(interface.number()), interface);
        }
        assert_eq!([3, 256, u32::MAX].map(Interface::of_number), [Interface::Wsgi; 3]);
    }
}
