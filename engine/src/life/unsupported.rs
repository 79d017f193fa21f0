//! Settings that the running Python cannot fulfil. Pure.

use wsgi_wire::messages::{Message, configuration};
use wsgi_wire::settings::Daemon;

use crate::ffi::interpreter::OWN_GIL_SINCE;

/// The settings that a Python of this version does not support and that are therefore ignored, one sentence each.
pub(crate) fn ignored_settings(settings: &Daemon, version: (u32, u32)) -> Vec<(&'static Message, String)> {
    let (major, minor) = version;
    let own_gils = settings.interpreters.iter().any(|layer| layer.own_gil == Some(true));
    let mut sentences = Vec::new();
    if own_gils && version < OWN_GIL_SINCE {
        let text = format!(
            "WSGIPerInterpreterGIL On has no effect with Python {major}.{minor}: sub-interpreters share one lock before 3.12; name a later \
             Python with python-home."
        );
        sentences.push((&configuration::NO_OWN_GIL, text));
    }
    // The engine is made for the stable ABI, which free-threaded builds do not have.
    if settings.free_threading {
        let text = format!(
            "WSGIFreeThreading On has no effect: this Python {major}.{minor} has a global interpreter lock; take the directive off."
        );
        sentences.push((&configuration::NO_FREE_THREADING, text));
    }
    sentences
}
