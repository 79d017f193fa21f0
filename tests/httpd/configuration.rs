//! A mistake in the configuration is refused, by the names of its directive, its option and its value.

use harness::{HELLO, Httpd};

fn check(lines: &str) -> (bool, String) {
    Httpd::builder().app("site.wsgi", HELLO).conf(lines).check()
}

#[test]
fn mistakes_are_refused_by_name() {
    let mut complaints = Vec::new();
    for (lines, named) in [
        ("WSGIDaemonProcess site no-such-option=1", vec!["WSGIDaemonProcess", "no-such-option"]),
        ("WSGIDaemonProcess site threads=many", vec!["WSGIDaemonProcess", "threads", "many"]),
        ("WSGICallableObject ''", vec!["WSGICallableObject"]),
        ("WSGIDaemonProcess site threads=5x", vec!["WSGIDaemonProcess", "threads", "5x"]),
        ("WSGIDaemonProcess site processes=0", vec!["WSGIDaemonProcess", "processes", "0"]),
        ("WSGIDaemonProcess site processes=-2", vec!["WSGIDaemonProcess", "processes", "-2"]),
        ("WSGIDaemonProcess site umask=0999", vec!["WSGIDaemonProcess", "umask", "0999"]),
        ("WSGIDaemonProcess site home=relative/directory", vec!["WSGIDaemonProcess", "home", "relative/directory"]),
        ("WSGIDaemonProcess site user=no_such_user", vec!["no_such_user"]),
        ("WSGIDaemonProcess site\nWSGIDaemonProcess site", vec!["WSGIDaemonProcess", "site"]),
        ("WSGIScriptAlias / {apps}/site.wsgi colour=blue", vec!["WSGIScriptAlias", "colour"]),
        // With both groups fixed the script is loaded at start, which needs the group; else it may be defined further
        // down.
        (
            "WSGIScriptAlias / {apps}/site.wsgi process-group=nobody application-group=%{GLOBAL}",
            vec!["WSGIScriptAlias", "nobody"],
        ),
        ("WSGIScriptAlias / {apps}/site.wsgi pass-authorization=Perhaps", vec!["pass-authorization", "Perhaps"]),
        ("WSGIScriptAlias /", vec!["WSGIScriptAlias"]),
        ("WSGIRestrictEmbedded Maybe", vec!["WSGIRestrictEmbedded"]),
    ] {
        let (accepted, text) = check(lines);
        // The line of the file is named as well.
        let missing: Vec<_> = named.into_iter().chain(["on line"]).filter(|name| !text.contains(name)).collect();
        if accepted || !missing.is_empty() {
            complaints.push(format!("{lines}\n    {missing:?} is not in: {text}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_option_of_a_daemon_group_is_accepted() {
    let user = harness::ORDINARY_USER;
    let (accepted, text) = check(&format!(
        "WSGIDaemonProcess site processes=2 threads=3 user={user} group={user} home=/tmp umask=0027 lang=C.UTF-8 \
         locale=C.UTF-8 python-path=/srv/a:/srv/b display-name=%{{GROUP}} maximum-requests=100 request-timeout=60 \
         graceful-timeout=15 shutdown-timeout=5 queue-timeout=45 socket-timeout=60 listen-backlog=100"
    ));
    assert!(accepted, "{text}");
}

#[test]
fn scripts_that_are_asked_have_no_place_in_an_event_loop() {
    let group = "WSGIDaemonProcess loop interface=asgi\n<Location />\n";
    for directive in ["WSGIAccessScript", "WSGIAuthUserScript", "WSGIAuthGroupScript", "WSGIDispatchScript"] {
        let (accepted, text) = check(&format!("{group}{directive} {{apps}}/site.wsgi process-group=loop\n</Location>"));
        let named = [directive, "`loop`", "interface=wsgi"];
        assert!(!accepted && named.iter().all(|name| text.contains(name)), "{text}");
        let (accepted, text) = check(&format!("{group}{directive} {{apps}}/site.wsgi\n</Location>"));
        assert!(accepted, "{text}");
    }
}

#[test]
fn values_may_be_quoted() {
    let (accepted, text) = check("WSGIDaemonProcess \"site\" python-path=\"/srv/a b\" display-name='my site'");
    assert!(accepted, "{text}");
}

#[test]
fn the_module_is_known_by_its_usual_name() {
    let (accepted, text) = check(
        "<IfModule !mod_wsgi.c>\nNoSuchDirective\n</IfModule>\n<IfModule !wsgi_module>\nNoSuchDirective\n</IfModule>",
    );
    assert!(accepted, "{text}");
}

#[test]
fn a_process_group_that_nothing_defines_is_told_at_the_start_and_by_the_test_of_the_configuration() {
    let conf = "WSGIDaemonProcess shop\n\
                <Location /a>\nWSGIProcessGroup shpo\n</Location>\n\
                WSGIScriptAlias /b {apps}/b.wsgi process-group=else\n\
                WSGIScriptAlias /c {apps}/c.wsgi process-group=shop";
    let told = [
        "WSGIProcessGroup names the process group `shpo`, which no WSGIDaemonProcess defines; did you mean `shop`?",
        "WSGIScriptAlias names the process group `else`, which no WSGIDaemonProcess defines; add that, or correct the name",
    ];
    let (accepted, text) = Httpd::builder().conf(conf).check();
    assert!(accepted && told.iter().all(|sentence| text.contains(sentence)), "{text}");
    let site = Httpd::builder().conf(conf).start();
    site.log.expect(&["WSGI1100: …names the process group"]);
    for sentence in told {
        site.log.wait_for(sentence);
    }
    site.finish();
}
