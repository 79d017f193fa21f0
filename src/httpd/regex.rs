//! Apache's regular expressions (PCRE), so that patterns mean what they mean in every other directive.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

use super::bytes;
use super::pool::Pool;
use super::sys::{self, ap_regex_t, ap_regmatch_t};

/// A compiled pattern that lives as long as the configuration.
#[derive(Debug)]
pub struct Regex {
    raw: *const ap_regex_t,
}

// SAFETY: httpd itself matches one compiled pattern from many threads; the pool of the configuration outlives all
// requests (S5).
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

impl Regex {
    /// Compiles a pattern in the pool of the configuration; `None` if the pattern is invalid.
    pub fn new(pool: Pool<'_>, pattern: &[u8]) -> Option<Self> {
        let pattern = CString::new(pattern).ok()?;
        // SAFETY: the result lives in the pool.
        let raw = unsafe { sys::ap_pregcomp(pool.raw(), pattern.as_ptr(), sys::AP_REG_EXTENDED) };
        (!raw.is_null()).then_some(Self { raw })
    }

    /// A pattern that no httpd has compiled, for tests that do not match.
    #[cfg(any(test, fuzzing))]
    pub fn placeholder() -> Self {
        Self { raw: std::ptr::null() }
    }

    /// Matches from somewhere in `subject`: where the match ends, and `template` with its `$n` and `&` filled in. An
    /// empty match counts as no match.
    pub fn substitute(&self, pool: Pool<'_>, subject: &[u8], template: &CStr) -> Option<(usize, Vec<u8>)> {
        let subject = CString::new(subject).ok()?;
        let mut found = [MaybeUninit::<ap_regmatch_t>::zeroed(); GROUPS];
        let count = GROUPS;
        let groups = found.as_mut_ptr().cast::<ap_regmatch_t>();
        // SAFETY: `found` has room for `count` matches; the subject is a string; the pattern outlives this object's
        // user (S5).
        if unsafe { sys::ap_regexec(self.raw, subject.as_ptr(), count, groups, 0) } != 0 {
            return None;
        }
        // SAFETY: a match has filled the first group.
        let end = unsafe { (*groups).rm_eo };
        let end = usize::try_from(end).ok().filter(|end| *end > 0)?;
        // SAFETY: both are strings, and there are `count` groups of this subject.
        let filled = unsafe { sys::ap_pregsub(pool.raw(), template.as_ptr(), subject.as_ptr(), count, groups) };
        // SAFETY: null, or a string in the pool.
        Some((end, unsafe { bytes(filled) }?.to_vec()))
    }
}

const GROUPS: usize = sys::AP_MAX_REG_MATCH as usize;
