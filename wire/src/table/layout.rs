//! The layout of the table and of the pages.

/// The size of a page, bytes.
pub const PAGE: usize = 4096;

/// How many daemon processes one server can have at a time, those on their way out included.
pub const SLOTS: usize = 512;

/// How many process groups there can be: each has at least one process.
pub const GROUPS: usize = SLOTS;

/// The size of a group's record, bytes.
pub const GROUP: usize = 1536;

/// The size of a slot's entry, bytes: it stays within a cache line.
pub(super) const ENTRY: usize = 64;

/// The size of the table, bytes: the header's page, the groups' records, the slots' entries. What was never used takes
/// no memory.
pub const SIZE: usize = entry_offset(SLOTS).next_multiple_of(PAGE);

/// The size of a group's pages, bytes: one for each slot of the server, so that a slot has the same place in all of
/// them. Those of other groups' slots are never touched and take no memory.
pub const PAGES: usize = page_offset(SLOTS);

/// The offset of a slot's page in the pages of its group.
pub const fn page_offset(slot: usize) -> usize {
    PAGE * slot
}

/// The offset of a slot's entry in the table.
pub const fn entry_offset(slot: usize) -> usize {
    group_offset(GROUPS) + ENTRY * slot
}

/// The offset of a group's record in the table.
pub const fn group_offset(group: usize) -> usize {
    PAGE + GROUP * group
}
