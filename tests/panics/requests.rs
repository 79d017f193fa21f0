//! Panics in the course of a request, in both modes.

use harness::{MODES, Site};

use crate::place::{KEPT, LOST, Place, is_well};

/// The places that every request of a mode passes.
fn of_requests(mode: &str) -> Vec<(&'static str, &'static [u16])> {
    let lost = [
        "translate_name",
        "access_checker",
        "fixups",
        "handler",
        "a request",
        "request: begins",
        "request: environ",
        "request: locked",
        "request: detached",
        "request: called",
        "request: content",
        "request: close",
        "request: conclusion",
        "request: body",
        "response: head",
        "response: passed",
    ];
    let own: &[&str] = match mode {
        "/embedded" => &["a piece of a response", "a flush", "a read of a request body"],
        _ => &["request: taken", "request: admitted", "request: claimed", "request: sent", "request: answered"],
    };
    let lost = lost.iter().chain(own).map(|at| (*at, LOST));
    // The whole response may have left by then.
    lost.chain([("log_transaction", KEPT), ("request: outcome", &[0, 200, 500])]).collect()
}

#[test]
fn a_panic_anywhere_in_a_request_costs_that_request_only() {
    let Some(place) = Place::new("panics in requests") else { return };
    let site = place.server("threads=1").conf("<Location /status>\nSetHandler server-status\n</Location>").start();
    for mode in MODES {
        is_well(&site, mode, "the start");
        for (at, expected) in of_requests(mode) {
            place.costs(&site, mode, at, "", expected);
        }
    }
    // The worker's next turn, not this request.
    place.costs(&site, "/daemon", "a worker thread", "", KEPT);
    // Nothing that was counted, or is to be had once at a time, is missing now.
    let status = site.get("/status?auto").text();
    for line in ["WsgiBusyThreads[site]: 0", "WsgiWaiting[site]: 0"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    site.finish();
}
