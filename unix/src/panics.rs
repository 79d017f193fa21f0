//! Panics on demand, for the tests of what a panic costs (`make panics`). Only a build with the feature `panics` has
//! any; in all others a point is nothing at all.

/// A place that such a test can have panic: the next to reach it does, in whichever process, when the file that the
/// variable `MOD_WSGI_PANIC` names has its name. That file is removed by the one who panics.
///
/// # Panics
/// When it is told to.
#[cfg(feature = "panics")]
pub fn point(place: &str) {
    let Some(order) = std::env::var_os("MOD_WSGI_PANIC") else { return };
    let told = std::fs::read(&order).is_ok_and(|wanted| wanted == place.as_bytes());
    assert!(!told || std::fs::remove_file(&order).is_err(), "injected into {place}");
}

/// A place that tests can have panic, in other builds than this.
#[cfg(not(feature = "panics"))]
#[inline(always)]
pub fn point(_place: &str) {}
