//! What a process withholds from its copies when code in it forks: connections, sockets, shared memory. A forked
//! process has all of that, and whatever it sends there is taken for the word of the process that it was forked off.
//!
//! A program with such things calls [`begin`] once, holds descriptors as [`Unshared`], and asks [`is_ours`] before it
//! sends.
//!
//! Knows what a fork copies. Must not know who forks, nor what is sent over a descriptor.
#![deny(clippy::multiple_unsafe_ops_per_block)]

mod host;
pub mod mapped;

use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The number from which on descriptors are not withheld: the most that Linux lets a process have, unless its
/// administrator raises `fs.nr_open`.
const DESCRIPTORS: usize = 1 << 20;

/// How many pieces of shared memory are withheld at most: a process maps its own few once.
const MEMORIES: usize = 8;

/// A set of descriptors, one bit each.
static WITHHELD: [AtomicU64; DESCRIPTORS / 64] = [const { AtomicU64::new(0) }; DESCRIPTORS / 64];
/// The highest index in `WITHHELD` that has ever had a bit.
static HIGHEST: AtomicUsize = AtomicUsize::new(0);
/// The addresses and lengths of shared memory that is withheld.
static MEMORY: [(AtomicPtr<libc::c_void>, AtomicUsize); MEMORIES] =
    [const { (AtomicPtr::new(std::ptr::null_mut()), AtomicUsize::new(0)) }; MEMORIES];
/// The descriptor that standard error replaces in a forked process.
static REPORT: AtomicI32 = AtomicI32::new(-1);
/// The descriptor that replaces withheld ones: open, so that their numbers do not become another's, and good for
/// nothing.
static DEAD: AtomicI32 = AtomicI32::new(-1);
/// A byte that is 1 in our process and 0 in every process that is forked off it; null before [`begin`].
static OURS: AtomicPtr<AtomicU8> = AtomicPtr::new(std::ptr::null_mut());

/// The lock that is held while a descriptor is made or closed, and during a fork: no child gets a descriptor that the
/// set does not know, or knows no more.
struct Gate(std::cell::UnsafeCell<libc::pthread_mutex_t>);
// SAFETY: a mutex is made to be shared.
unsafe impl Sync for Gate {}
static GATE: Gate = Gate(std::cell::UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

impl Gate {
    fn lock(&self) {
        // SAFETY: a plain mutex, statically initialised, which no code locks twice.
        unsafe { libc::pthread_mutex_lock(self.0.get()) };
    }

    fn unlock(&self) {
        // SAFETY: this thread has locked it; in a forked process it is the copy of the one that has.
        unsafe { libc::pthread_mutex_unlock(self.0.get()) };
    }

    fn held<R>(&self, body: impl FnOnce() -> R) -> R {
        /// Opens the gate when it is dropped, so after a panic, too.
        struct Unlock;
        impl Drop for Unlock {
            fn drop(&mut self) {
                GATE.unlock();
            }
        }
        self.lock();
        let _unlock = Unlock;
        body()
    }
}

extern "C" fn before() {
    GATE.lock();
}

extern "C" fn in_parent() {
    GATE.unlock();
}

/// Closes this process's copy of a descriptor and makes its number that of another one.
fn replace(descriptor: i32, by: i32) {
    // SAFETY: takes numbers only.
    unsafe { libc::dup3(by, descriptor, libc::O_CLOEXEC) };
}

/// Runs in a forked process. System calls only: another thread may have held any lock when this process came into
/// being.
extern "C" fn in_child() {
    // SAFETY: the byte stays mapped for ever.
    if let Some(ours) = unsafe { OURS.load(Relaxed).as_ref() } {
        ours.store(0, Relaxed);
    }
    let dead = DEAD.load(Relaxed);
    for (index, word) in WITHHELD.iter().enumerate().take(HIGHEST.load(Relaxed) + 1) {
        // Once: what the child opens under the same number later is its own, and its children's.
        let mut bits = word.swap(0, Relaxed);
        while bits != 0 {
            let descriptor = (index * 64) as i32 + bits.trailing_zeros() as i32;
            bits &= bits - 1;
            replace(descriptor, dead);
        }
    }
    host::leave(|descriptor| replace(descriptor, dead));
    let report = REPORT.swap(-1, Relaxed);
    if report >= 0 {
        replace(report, libc::STDERR_FILENO);
    }
    for (start, length) in &MEMORY {
        let start = start.swap(std::ptr::null_mut(), Relaxed);
        if !start.is_null() {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            // SAFETY: `withhold` was told of a mapping of this length, for which zeros are valid; new memory takes its
            // place.
            unsafe { libc::mmap(start, length.load(Relaxed), protection, flags, -1, 0) };
        }
    }
    GATE.unlock();
}

/// Makes this process the one whose descriptors and memory are withheld from processes that are forked off it.
///
/// # Errors
/// If memory or descriptors are used up.
pub fn begin() -> io::Result<()> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| result = prepare());
    result
}

fn prepare() -> io::Result<()> {
    // SAFETY: a new descriptor, which stays open for ever.
    let dead = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if dead < 0 {
        return Err(io::Error::last_os_error());
    }
    DEAD.store(dead, Relaxed);
    let (length, protection) = (4096, libc::PROT_READ | libc::PROT_WRITE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new page, which stays mapped for ever.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // A process that is made without libc's `fork`, for which no handler runs, finds a zero there too. Linux has had
    // this since 4.14; before, the handler has to do.
    // SAFETY: the page that was mapped above.
    unsafe { libc::madvise(page, length, libc::MADV_WIPEONFORK) };
    // SAFETY: a page is aligned for a byte, and nobody else knows this one.
    unsafe { AtomicU8::from_ptr(page.cast()) }.store(1, Relaxed);
    OURS.store(page.cast(), Relaxed);
    // SAFETY: the handlers do system calls only; the C library forgets them with the library that they are in.
    match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Begins as [`begin`] does, in the process of a server that Python is a guest of: its listening sockets, the
/// connections of its clients and its signal handlers are withheld too. Called before any code of the guest runs.
///
/// # Errors
/// As [`begin`].
pub fn begin_as_guest() -> io::Result<()> {
    host::remember();
    begin()
}

/// Whether this is the process that called [`begin`], and not one that was forked off it. One read of memory, no system
/// call.
pub fn is_ours() -> bool {
    // SAFETY: null, or a byte that stays mapped for ever.
    unsafe { OURS.load(Relaxed).as_ref() }.is_none_or(|ours| ours.load(Relaxed) != 0)
}

/// Gives forked processes memory of their own, all zeros, in place of this shared mapping.
///
/// # Safety
/// It is a mapping of this length that is never unmapped, and zeros are valid for what is in it.
pub unsafe fn withhold(start: *mut libc::c_void, length: usize) {
    for (place, size) in &MEMORY {
        if place.load(Relaxed).is_null() {
            size.store(length, Relaxed);
            place.store(start, Relaxed);
            return;
        }
    }
    debug_assert!(false, "MEMORIES is too small");
}

/// Gives forked processes standard error in place of this descriptor, because something writes into it without asking:
/// Python's `faulthandler`.
pub fn standard_error_instead(descriptor: &impl AsRawFd) {
    REPORT.store(descriptor.as_raw_fd(), Relaxed);
}

/// A descriptor that forked processes do not get: in them its number is open and good for nothing.
#[derive(Debug)]
pub struct Unshared<T: AsFd = OwnedFd>(ManuallyDrop<T>);

/// The word and the bit of a descriptor in the set.
fn place(descriptor: &impl AsFd) -> (Option<&'static AtomicU64>, u64) {
    let number = descriptor.as_fd().as_raw_fd() as usize;
    HIGHEST.fetch_max((number / 64).min(WITHHELD.len() - 1), Relaxed);
    (WITHHELD.get(number / 64), 1 << (number % 64))
}

impl<T: AsFd> Unshared<T> {
    /// Makes a new descriptor.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn make<E>(open: impl FnOnce() -> Result<T, E>) -> Result<Self, E> {
        GATE.held(|| {
            let descriptor = open()?;
            if let (Some(word), bit) = place(&descriptor) {
                word.fetch_or(bit, Relaxed);
            }
            Ok(Self(ManuallyDrop::new(descriptor)))
        })
    }
}

impl<T: AsFd> From<T> for Unshared<T> {
    fn from(descriptor: T) -> Self {
        match Self::make(|| Ok::<_, std::convert::Infallible>(descriptor)) {
            Ok(unshared) => unshared,
        }
    }
}

impl<T: AsFd> Drop for Unshared<T> {
    fn drop(&mut self) {
        GATE.held(|| {
            if let (Some(word), bit) = place(&*self.0) {
                word.fetch_and(!bit, Relaxed);
            }
            // SAFETY: once, here, where nobody can use it any more.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        });
    }
}

impl<T: AsFd> Deref for Unshared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: AsFd> AsFd for Unshared<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<T: AsFd> AsRawFd for Unshared<T> {
    fn as_raw_fd(&self) -> i32 {
        self.as_fd().as_raw_fd()
    }
}
