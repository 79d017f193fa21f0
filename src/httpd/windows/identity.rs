//! Users and groups: on Windows Apache's processes have one user, and no directive names another.
#![forbid(unsafe_code)]

use super::pool::Pool;
use super::user::User;

/// No user has a number.
pub fn user(_pool: Pool<'_>, _text: &[u8]) -> Option<User> {
    None
}

/// No user has a number.
pub fn user_by_id(_pool: Pool<'_>, _uid: u32) -> Option<User> {
    None
}

/// No group has a number.
pub fn group(_pool: Pool<'_>, _text: &[u8]) -> Option<u32> {
    None
}

/// Apache's children have the user of their parent.
pub fn children() -> Option<(u32, u32)> {
    None
}
