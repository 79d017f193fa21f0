//! How many WebSockets may be the pumps' of all children together: Apache counts them among the connections that a
//! child has. A child that has too many accepts no more, and leaves that to others; but when all have, nobody does.

use std::sync::OnceLock;

use wsgi_wire::table::{ChildCount, Children};

/// The count of this child.
static MINE: OnceLock<Option<ChildCount<'static>>> = OnceLock::new();

/// A WebSocket that is a pump's, or may become so, while this lives.
pub struct Place(Option<ChildCount<'static>>);

/// Takes a place, of so many in all these children; `None` if all are taken. Those that are asked for at the same
/// moment may be a few more.
pub fn take(children: Option<&'static Children>, limit: u32) -> Option<Place> {
    if children.is_some_and(|children| children.total() >= limit) {
        return None;
    }
    // Where there is no room to count, nobody is kept out.
    let mine = *MINE.get_or_init(|| children?.begin(std::process::id()));
    mine.into_iter().for_each(ChildCount::add);
    Some(Place(mine))
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.into_iter().for_each(ChildCount::subtract);
    }
}
