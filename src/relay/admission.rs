//! What a process group may have only so many of at a time: Apache's workers, and threads of its own that wait for the rest of a body.
#![forbid(unsafe_code)]

use wsgi_wire::table::Places;

/// A place that is taken while this lives.
#[derive(Debug)]
pub struct Admission<'t> {
    places: &'t Places,
}

impl<'t> Admission<'t> {
    /// Takes a place, unless `limit` are taken already.
    pub fn new(places: &'t Places, limit: u32) -> Option<Self> {
        places.take(limit).then(|| Self { places })
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.places.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_gives_nothing_back() {
        let places = Places::default();
        let first = Admission::new(&places, 1);
        assert!(first.is_some() && Admission::new(&places, 1).is_none());
        assert!(Admission::new(&places, 1).is_none());
        drop(first);
        assert!(Admission::new(&places, 1).is_some());
    }
}
