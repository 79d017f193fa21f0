//! A request that ends with an error of ours.
#![forbid(unsafe_code)]

use std::fmt;

use wsgi_wire::messages::Message;

use super::destination::Destination;

/// A request that ends with an error of ours: what the client gets and what the log says.
pub struct Refused {
    /// Which message the log gets.
    pub message: &'static Message,
    /// The status that the client gets.
    pub status: u16,
    /// The reason, for the log.
    pub reason: String,
    /// Process group and application group that it was for, if that was decided.
    pub groups: Option<(Vec<u8>, Vec<u8>)>,
}

impl Refused {
    /// Makes the error of a request.
    pub fn new(message: &'static Message, status: u16, reason: impl fmt::Display) -> Self {
        Self { message, status, reason: reason.to_string(), groups: None }
    }

    /// Adds where the request was to run, for the record.
    pub fn at(self, destination: &Destination<'_>) -> Self {
        let Destination { process_group, application_group, .. } = destination;
        Self { groups: Some((process_group.to_vec(), application_group.to_vec())), ..self }
    }
}
