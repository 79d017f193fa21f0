//! What the process and its threads have used of the machine.

use std::time::Duration;

use windows_sys::Win32::Foundation::{FILETIME, HANDLE};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThread, GetProcessTimes, GetThreadTimes};
use windows_sys::core::BOOL;

/// The time in a number of 100 ns.
fn duration(time: FILETIME) -> Duration {
    let ticks = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::new(ticks / 10_000_000, (ticks % 10_000_000) as u32 * 100)
}

/// A function that tells when a thread or a process began and ended, and its time in the kernel and in user mode.
type Times = unsafe extern "system" fn(HANDLE, *mut FILETIME, *mut FILETIME, *mut FILETIME, *mut FILETIME) -> BOOL;

/// The CPU time in user mode and in the kernel; none if the system does not tell.
fn cpu(times: Times, of: HANDLE) -> (Duration, Duration) {
    let zero = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    let (mut began, mut ended, mut kernel, mut user) = (zero, zero, zero, zero);
    // SAFETY: a handle of this process, and four places.
    let told = unsafe { times(of, &raw mut began, &raw mut ended, &raw mut kernel, &raw mut user) };
    if told == 0 { Default::default() } else { (duration(user), duration(kernel)) }
}

/// The CPU time of the calling thread, in user mode and in the kernel.
pub fn thread_cpu() -> (Duration, Duration) {
    // SAFETY: takes nothing; what it gives need not be closed.
    cpu(GetThreadTimes, unsafe { GetCurrentThread() })
}

/// The CPU time of the calling thread. How often it has waited for anything the system does not count.
pub fn thread_cpu_and_waits() -> (Duration, Option<u64>) {
    let (user, system) = thread_cpu();
    (user + system, None)
}

/// The CPU time of the process, in user mode and in the kernel.
pub fn process_cpu() -> (Duration, Duration) {
    // SAFETY: as in `thread_cpu`.
    cpu(GetProcessTimes, unsafe { GetCurrentProcess() })
}

/// What the system counts of the process's memory; zeros if it does not tell.
fn counters() -> PROCESS_MEMORY_COUNTERS {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    // SAFETY: takes nothing; what it gives need not be closed.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the place has this size.
    unsafe { K32GetProcessMemoryInfo(process, &raw mut counters, size) };
    counters
}

/// The most memory that the process has ever had resident, in bytes.
pub fn max_memory() -> u64 {
    counters().PeakWorkingSetSize as u64
}

/// The memory that the process has resident now, in bytes.
pub fn memory() -> u64 {
    counters().WorkingSetSize as u64
}
