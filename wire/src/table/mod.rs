//! The process table: the shared memory of Apache, its children, the supervisor and the daemons. The caller that maps
//! it guarantees that what is pointed to is really there.
//!
//! There are two kinds of memory files. **The table** has a page for what concerns all, a record for each process group
//! and an entry for each daemon process: all that decides who gets requests, and the secrets. It never leaves the
//! Apache parent, its children and the supervisor. **The pages**, a file for each process group, have a page for each
//! of its processes: a daemon gets those of its own group, and its application may write there what it likes: it can
//! only make processes of its own group look busy, or away.
//!
//! Knows where each number is, and in which order it may be written and read. Must not know memory or processes.

mod children;
mod claim;
pub mod ending;
pub mod group;
mod header;
pub mod histogram;
mod layout;
mod names;
mod places;
mod queue;
mod slot;
pub mod websocket_counts;
mod websockets;

pub use children::{ChildCount, Children};
pub use claim::{Need, answered, claim, release};
pub use ending::{Ending, Failure};
pub use group::{Group, Refusal};
pub use header::Header;
pub use layout::{GROUP, GROUPS, PAGE, PAGES, SIZE, SLOTS, entry_offset, group_offset, page_offset};
pub use names::{SOCKET_SUFFIX, control_path, group_key, socket_path};
pub use places::{Places, PlacesOfConfigurations};
pub use queue::Queue;
pub use slot::{Entry, Page, Slot, State};
pub use websocket_counts::{Denial, WebSocketCounts};
pub use websockets::{Counting, WebSockets};
