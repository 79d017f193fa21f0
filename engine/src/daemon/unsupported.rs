//! Settings that the running Python cannot fulfil. Pure.

use wsgi_wire::settings::Daemon;

use crate::ffi::interpreter::OWN_GIL_SINCE;

/// The settings that a Python of this version does not support and that are therefore ignored, one sentence each.
pub(crate) fn ignored_settings(settings: &Daemon, version: (u32, u32)) -> Vec<String> {
    let (major, minor) = version;
    let own_locks = settings.interpreters.iter().any(|layer| layer.own_gil == Some(true));
    let mut sentences = Vec::new();
    if own_locks && version < OWN_GIL_SINCE {
        sentences.push(format!(
            "WSGIPerInterpreterGIL On has no effect with Python {major}.{minor}: sub-interpreters share one lock before 3.12; name a later \
             Python with python-home."
        ));
    }
    // The engine is made for the stable ABI, which free-threaded builds do not have.
    if settings.free_threading {
        sentences.push(format!(
            "WSGIFreeThreading On has no effect: this Python {major}.{minor} has a global interpreter lock; take the directive off."
        ));
    }
    sentences
}
