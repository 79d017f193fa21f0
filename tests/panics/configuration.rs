//! Panics while Apache reads its configuration and starts its children.

use harness::{Log, MODES, eventually};

use crate::place::{Place, SOON, is_well};

/// A panic while Apache starts: it does not start, or starts without what has panicked, and never crashes.
#[test]
fn a_panic_while_apache_reads_its_configuration_is_told_and_crashes_nothing() {
    let Some(place) = Place::new("panics at the start") else { return };
    // Without all of its hooks the module would send scripts as files.
    for at in ["register_hooks", "pre_config", "check_config", "post_config", "a directive"] {
        place.panic_in(at);
        let done = place.server("").fails_to_start();
        assert!(done.code.is_some_and(|code| code != 0), "{at}: {:?}: {}", done.code, done.text);
        assert!(done.text.contains(&format!("injected into {at} at ")), "{at}: {}", done.text);
    }
}

/// Without the record of one place everything there has its defaults; Apache's own child goes on.
#[test]
fn a_panic_while_settings_are_made_costs_these_settings() {
    let Some(place) = Place::new("panics in settings") else { return };
    for at in [
        "create_server_config",
        "create_dir_config",
        "merge_dir_config",
        "merge_server_config",
        "child_init",
        "child_status",
    ] {
        place.panic_in(at);
        // The second host has a record of its own, and one for all its directories; both are merged with those of the
        // first, which has them too.
        let conf = "WSGIScriptReloading On\n\
                    <VirtualHost *>\nServerName other\nWSGIScriptReloading On\nWSGIApplicationGroup %{GLOBAL}\n</VirtualHost>";
        let site = place.server("").conf(conf).start();
        place.happens(at, &site.log);
        // Before the log is open, records go to standard error.
        let console = Log::new(site.root().join("logs/console.log"));
        let record = format!("panic in {at}: injected into {at}");
        site.log.expect(&["injected into"]);
        let said = || [&console, &site.log].iter().any(|log| log.text().contains(&record)).then_some(());
        assert!(eventually(SOON, said).is_some(), "{at}: {}", site.log.text());
        for mode in MODES {
            is_well(&site, mode, at);
        }
        site.finish();
    }
}
