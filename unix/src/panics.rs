//! Panics: code that C calls must not unwind into it, so a guard catches a panic, and one record has its message and
//! place. And panics on demand, for the tests of what a panic does (`make panics`).

use std::any::Any;
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::Duration;

thread_local! {
    /// The place of this thread's last panic: the hook stores it, the guard reports it.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The function that writes the record about a panic that was caught.
static REPORT: OnceLock<fn(&str)> = OnceLock::new();

/// Keeps the default hook from printing into the error log: the guard that catches a panic calls `report` with the text
/// of one record.
pub fn install(report: fn(&str)) {
    // A library that is loaded anew has no report yet; one that is not has the same.
    let _ = REPORT.set(report);
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        // A panic while the cell is borrowed can only come from here, and one without the cell from the end of the
        // thread; then the place is not known.
        let _ = PLACE.try_with(|cell| cell.try_borrow_mut().map(|mut cell| *cell = place));
    }));
}

/// Takes the hook away, before the library that has it is unloaded.
pub fn remove() {
    drop(std::panic::take_hook());
}

/// Runs `body`; a panic is reported as "panic in `name`" and gives `None`.
///
/// `AssertUnwindSafe` holds because the request in whose course it happened is abandoned, and shared state sits behind
/// locks.
pub fn catch<R>(name: impl Display, body: impl FnOnce() -> R) -> Option<R> {
    let body = || {
        point(&name);
        body()
    };
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => Some(result),
        Err(payload) => {
            let text = format!("panic in {name}: {}", describe(&*payload));
            let reported = REPORT.get().map_or(Ok(()), |report| catch_unwind(|| report(&text)));
            // Dropping a payload may panic again; leaking it cannot.
            std::mem::forget((payload, reported));
            None
        }
    }
}

/// The pause after a panic in [`repeat`].
const PAUSE: Duration = Duration::from_millis(10);

/// Runs `turn` again and again until it breaks off. A panic is reported as [`catch`] does, and costs the one turn; the
/// pause after it keeps a turn that always panics from filling the log.
pub fn repeat(name: &str, mut turn: impl FnMut() -> ControlFlow<()>) {
    loop {
        match catch(name, &mut turn) {
            Some(ControlFlow::Break(())) => return,
            Some(ControlFlow::Continue(())) => {}
            None => std::thread::sleep(PAUSE),
        }
    }
}

/// The message of a panic, with its place.
fn describe(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    // At the end of a thread the cell may be gone.
    match PLACE.try_with(RefCell::take).ok().flatten() {
        Some(place) => format!("{text} at {place}"),
        None => text.to_owned(),
    }
}

/// A place that such a test can have panic, in a build with the feature `panics`; in others it is nothing: the next to
/// reach it does, in whichever process, when the file that the variable `MOD_WSGI_PANIC` names has its name. That file
/// is removed by the one who panics.
///
/// # Panics
/// When it is told to.
#[cfg(feature = "panics")]
pub fn point(place: impl Display) {
    let Some(order) = std::env::var_os("MOD_WSGI_PANIC") else { return };
    let told = std::fs::read(&order).is_ok_and(|wanted| wanted == place.to_string().as_bytes());
    assert!(!told || std::fs::remove_file(&order).is_err(), "injected into {place}");
}

/// A place that tests can have panic, in other builds than this.
#[cfg(not(feature = "panics"))]
#[inline(always)]
pub fn point(_place: impl Display) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_record_with_its_place() {
        static SAID: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
        install(|text| SAID.lock().unwrap().push(text.to_owned()));
        let caught = [
            catch("a hook", || 1),
            catch("a hook", || panic!("plain")),
            catch("a hook", || panic!("made of {}", 2)),
            catch("a hook", || std::panic::panic_any(3)),
        ];
        remove();
        assert_eq!(caught, [Some(1), None, None, None]);
        let said = SAID.lock().unwrap();
        let texts: Vec<_> = said.iter().filter_map(|text| text.split_once(" at ")).collect();
        assert_eq!(
            texts.iter().map(|(text, _)| *text).collect::<Vec<_>>(),
            ["panic in a hook: plain", "panic in a hook: made of 2", "panic in a hook: no message"]
        );
        assert!(texts.iter().all(|(_, place)| place.contains("panics.rs:")), "{texts:?}");
    }

    #[test]
    fn a_panic_in_what_is_repeated_costs_one_turn() {
        let mut turns = 0;
        repeat("a turn", || {
            turns += 1;
            assert!(turns != 2, "on purpose");
            if turns == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(turns, 4);
    }
}
