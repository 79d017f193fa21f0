//! Where what stands in the table and in the pages.

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// How many daemon processes one server can have at a time, those on their way out included.
pub const SLOTS: usize = 512;

/// How many process groups there can be: each has at least one process.
pub const GROUPS: usize = SLOTS;

/// Bytes of a group's record.
pub const GROUP: usize = 1024;

/// Bytes of a slot's entry: it stays within a cache line.
pub(super) const ENTRY: usize = 64;

/// Bytes of the table: the header's page, the groups' records, the slots' entries. What was never used takes no memory.
pub const SIZE: usize = entry_offset(SLOTS).next_multiple_of(PAGE);

/// Bytes of a group's pages: one for each slot of the server, so that a slot has the same place in all of them. Those
/// of other groups' slots are never touched and take no memory.
pub const PAGES: usize = page_offset(SLOTS);

/// Where a slot's page begins in the pages of its group.
pub const fn page_offset(slot: usize) -> usize {
    PAGE * slot
}

/// Where a slot's entry begins in the table.
pub const fn entry_offset(slot: usize) -> usize {
    group_offset(GROUPS) + ENTRY * slot
}

/// Where a group's record begins in the table.
pub const fn group_offset(group: usize) -> usize {
    PAGE + GROUP * group
}
