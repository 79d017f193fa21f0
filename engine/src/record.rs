//! Records. Those of a request travel to the Apache child that waits for it; others are lines on standard error, which is the virtual host's
//! error log.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use wsgi_wire::json::{self, Context};
use wsgi_wire::record::{Format, Level, LogRecord, Speaker};
use wsgi_wire::settings::Daemon;
use wsgi_wire::text;

use crate::ffi::process::local_time;

static MOST: AtomicU8 = AtomicU8::new(Level::Info as u8);
static HOUSE: OnceLock<House> = OnceLock::new();

/// What the virtual host wants, and what its records tell of this process.
struct House {
    format: Format,
    vhost: Vec<u8>,
    process_group: Vec<u8>,
}

/// Records are written as these settings say from now on.
pub(crate) fn configure(settings: &Daemon) {
    MOST.store(settings.log_level as u8, Ordering::Relaxed);
    // Once, at start.
    let _ = HOUSE.set(House {
        format: settings.log_format,
        vhost: settings.vhost.to_vec(),
        process_group: settings.group.to_vec(),
    });
}

/// Whether records of this level are wanted.
pub(crate) fn enabled(level: Level) -> bool {
    level as u8 <= MOST.load(Ordering::Relaxed)
}

/// The calling thread.
pub(crate) fn speaker() -> Speaker {
    Speaker { pid: std::process::id(), thread: rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs() }
}

/// Writes one record of our own; see [`LogRecord::ours`].
pub(crate) fn process(level: Level, text: &str) {
    write(&LogRecord::ours(level, speaker(), text), None);
}

/// Writes to standard error, but without std's lock, which a thread that does not exist in this process may have held when it was forked off.
fn write_out(mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(std::io::stderr(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes one record that no Apache child can write. `application_group`: where it comes from, if that is known.
pub(crate) fn write(record: &LogRecord, application_group: Option<&[u8]>) {
    if !enabled(record.level) {
        return;
    }
    let at = local_time(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let lines = match HOUSE.get() {
        Some(house) if house.format == Format::Json => {
            let context = Context {
                vhost: Some(&house.vhost),
                process_group: Some(&house.process_group),
                application_group,
                request: None,
            };
            json::line(at, record, &context)
        }
        _ => text::lines(at, record),
    };
    // One write, so that records of several processes do not mix. A full disk must not stop the service.
    let _ = write_out(lines.as_bytes());
}
