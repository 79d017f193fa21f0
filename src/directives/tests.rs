//! The whole table of directives, without httpd: what each one takes, refuses, says and leaves behind.

use super::DIRECTIVES;
use wsgi_wire::record::Format;

use super::configuration::Configuration;
use super::directive::{Context, Setter};
use super::group::{GroupOptions, ScriptReload};
use super::settings::{Pattern, RequestSettings};
use super::trial::{Trial, read, read_in_htaccess};
use crate::policy::guarded::Root;
use crate::policy::head::Mapping;

fn left(text: &str) -> Trial {
    read(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    read(text.as_bytes()).err().unwrap_or_else(|| panic!("{text} is taken"))
}

/// What `tests/directives.txt` has about one directive.
struct Row {
    name: &'static str,
    /// The context in the words of that file.
    place: &'static str,
    taken: Vec<String>,
    /// Refused lines, and what is said of them.
    refused: Vec<(String, &'static str)>,
    /// `any value`, `any number`: what it cannot be wrong in.
    never_wrong: Vec<&'static str>,
}

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut lines = include_str!("../../tests/directives.txt").lines();
    while let Some(line) = lines.next() {
        if let Some((name, place)) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')?.split_once(' ')) {
            let (taken, refused, never_wrong) = (Vec::new(), Vec::new(), Vec::new());
            rows.push(Row { name, place, taken, refused, never_wrong });
            continue;
        }
        let Some(row) = rows.last_mut() else { continue };
        let written = format!("{} {}", row.name, line.get(2..).unwrap_or_default());
        match line.get(..1) {
            Some("+") => row.taken.push(written),
            Some("-") => row.refused.push((written, lines.next().unwrap_or_default().trim())),
            Some("=") => row.never_wrong.push(&line[2..]),
            _ => {}
        }
    }
    rows
}

/// Whether a message is about how many words there are, not about what they say.
fn is_about_number(message: &str) -> bool {
    message.starts_with("takes ") || message.starts_with("needs ")
}

#[test]
fn every_directive_takes_what_is_right_and_says_what_is_wrong() {
    let rows = rows();
    let mut tried: Vec<&str> = rows.iter().map(|row| row.name).collect();
    let mut all: Vec<String> = DIRECTIVES.iter().map(|d| d.name.to_string_lossy().into_owned()).collect();
    tried.sort_unstable();
    all.sort_unstable();
    assert_eq!(tried, all);
    for row in rows {
        assert!(!row.taken.is_empty(), "{} takes nothing", row.name);
        for line in &row.taken {
            left(line);
        }
        for (line, message) in &row.refused {
            let said = refused(line);
            assert!(said.contains(message) && !message.is_empty(), "{line}: {said}");
        }
        for (about_number, never) in [(true, "any number"), (false, "any value")] {
            let tried = row.refused.iter().any(|(_, message)| is_about_number(message) == about_number);
            assert!(
                tried || row.never_wrong.contains(&never),
                "{} is not tried with a wrong {}",
                row.name,
                &never[4..]
            );
        }
    }
}

#[test]
fn every_directive_stands_where_it_may() {
    for row in rows() {
        let directive = DIRECTIVES.iter().find(|d| d.name.to_bytes() == row.name.as_bytes()).unwrap();
        let context = match row.place {
            "global" => Context::Global,
            "server" => Context::Server,
            "configuration" => Context::Configuration,
            "FileInfo" => Context::FileInfo,
            "AuthConfig" => Context::Access,
            other => panic!("{}: {other}", row.name),
        };
        assert_eq!(directive.context, context, "{}", row.name);
    }
}

#[test]
fn the_more_specific_section_has_its_say_and_leaves_the_rest() {
    let mut together = RequestSettings::default();
    let mut lines = String::new();
    for row in rows() {
        let directive = DIRECTIVES.iter().find(|d| d.name.to_bytes() == row.name.as_bytes()).unwrap();
        // The one that is without effect leaves nothing.
        if !matches!(directive.set, Setter::Request(_)) || row.name == "WSGIGroupAuthoritative" {
            continue;
        }
        let [first, second] = row.taken.as_slice() else { panic!("{}: two lines that differ", row.name) };
        let (outer, inner, none) = (left(first).request, left(second).request, RequestSettings::default());
        let show = |settings: &RequestSettings| format!("{settings:?}");
        assert_ne!(show(&outer), show(&inner), "{}", row.name);
        assert_eq!(show(&outer.overlay(&none)), show(&outer), "{}", row.name);
        assert_eq!(show(&none.overlay(&inner)), show(&inner), "{}", row.name);
        if row.name != "WSGIHandlerScript" {
            // Lists, too: a section has its own in place of the one around it.
            assert_eq!(show(&outer.overlay(&inner)), show(&inner), "{}", row.name);
        }
        together = together.overlay(&inner);
        lines += &format!("{second}\n");
    }
    assert_eq!(format!("{together:?}"), format!("{:?}", left(&lines).request));
}

#[test]
fn a_virtual_host_has_its_own_aliases_first_and_its_own_log_format() {
    let main = left("WSGIScriptAlias /a /main.wsgi\nWSGILogFormat json").server;
    let host = left("WSGIScriptAlias /a /host.wsgi\nWSGIScriptAlias /b /b.wsgi").server;
    let merged = main.merge(&host);
    let targets: Vec<_> = merged.aliases.iter().map(|alias| alias.target.to_str().unwrap()).collect();
    assert_eq!(targets, ["/host.wsgi", "/b.wsgi", "/main.wsgi"]);
    assert_eq!(merged.log_format, Some(Format::Json));
    assert_eq!(main.merge(&left("WSGILogFormat text").server).log_format, Some(Format::Text));
}

#[test]
fn settings_of_requests_are_kept_as_they_stand() {
    type Look = fn(&RequestSettings) -> bool;
    let rows: [(&str, Look); 19] = [
        ("WSGIProcessGroup %{ENV:G}", |s| s.process_group.as_deref() == Some(b"%{ENV:G}")),
        ("WSGIApplicationGroup 'a b'", |s| s.application_group.as_deref() == Some(b"a b")),
        ("WSGICallableObject app", |s| s.callable.as_deref() == Some(b"app")),
        ("WSGIRestrictProcess a %{GLOBAL}", |s| {
            s.restrict_process.as_deref() == Some(&[b"a".to_vec(), Vec::new()][..])
        }),
        ("WSGIPassAuthorization On", |s| s.pass_authorization == Some(true)),
        ("WSGIPassApacheRequest on", |s| s.pass_apache_request == Some(true)),
        ("WSGIScriptReloading OFF", |s| s.script_reloading == Some(false)),
        ("WSGIErrorOverride On", |s| s.error_override == Some(true)),
        ("WSGIChunkedRequest On", |s| s.chunked_request == Some(true)),
        ("WSGIMapHEADToGET Off", |s| s.map_head == Some(Mapping::Off)),
        ("WSGIIgnoreActivity On", |s| s.ignore_activity == Some(true)),
        ("WSGIEnableSendfile On", |s| s.enable_sendfile == Some(true)),
        ("WSGITrustedProxyHeaders X-Forwarded-For\nWSGITrustedProxyHeaders X-Unknown X-Forwarded-Host", |s| {
            s.trusted_headers.as_deref().is_some_and(|headers| headers.len() == 2)
        }),
        ("WSGITrustedProxies 10.0.0.0/8\nWSGITrustedProxies ::1", |s| {
            s.trusted_proxies.as_deref().is_some_and(|proxies| proxies.len() == 2)
        }),
        ("WSGISendfileRoot /srv/a/ url=/a/\nWSGISendfileRoot /srv/b", |s| {
            let root =
                |directory: &[u8], url: Option<&[u8]>| Root { directory: directory.into(), url: url.map(Into::into) };
            s.sendfile_roots.as_deref() == Some(&[root(b"/srv/a", Some(b"/a/")), root(b"/srv/b", None)][..])
        }),
        ("WSGIAccessScript /s.py", |s| {
            let asked = s.access_script.as_deref();
            asked.is_some_and(|a| a.script == b"/s.py" && (&a.process_group, &a.application_group) == (&None, &None))
        }),
        ("WSGIAuthUserScript /s.py application-group=%{GLOBAL}", |s| {
            s.auth_user_script.as_ref().is_some_and(|a| a.application_group == Some(Vec::new()))
        }),
        ("WSGIDispatchScript /s.py process-group=g application-group=a", |s| {
            let asked = s.dispatch_script.as_ref();
            asked.is_some_and(|a| a.process_group == Some(b"g".into()) && a.application_group == Some(b"a".into()))
        }),
        ("WSGIHandlerScript h /h.py process-group=%{GLOBAL} pass-authorization=On", |s| {
            let handler = s.handler_script(b"h");
            handler.is_some_and(|h| h.process_group == Some(Vec::new()) && h.pass_authorization == Some(true))
        }),
    ];
    for (text, look) in rows {
        assert!(look(&left(text).request), "{text}");
    }
}

#[test]
fn settings_of_the_process_are_kept_as_they_stand() {
    type Look = fn(&Configuration) -> bool;
    let rows: [(&str, Look); 15] = [
        ("WSGISocketPrefix run/wsgi", |c| c.socket_prefix.as_deref() == Some(b"/srv/run/wsgi")),
        ("WSGIRestrictEmbedded On", |c| c.restrict_embedded),
        ("WSGILinger Off", |c| !c.lingers && Configuration::EMPTY.lingers),
        ("WSGIWebSocketSuspend Off", |c| !c.suspends_websockets && Configuration::EMPTY.suspends_websockets),
        ("WSGIServerMetrics On", |c| c.server_metrics),
        ("WSGIPythonHome /venv", |c| c.python.home.as_deref() == Some(b"/venv")),
        ("WSGIPythonEggs /eggs", |c| c.python.eggs.as_deref() == Some(b"/eggs")),
        ("WSGIPythonOptimize 2", |c| c.python.optimize == 2),
        ("WSGIPythonWarnings a\nWSGIPythonWarnings b", |c| c.python.warnings == [b"a", b"b"]),
        ("WSGIPythonHashSeed 7", |c| c.python.hash_seed.as_deref() == Some(b"7")),
        ("WSGIDontWriteBytecode On", |c| c.python.dont_write_bytecode),
        ("WSGIDestroyInterpreter Off", |c| !c.destroy_interpreter),
        ("WSGISingleInterpreter Off", |c| !c.single_interpreter),
        ("WSGIPythonPath /a::/b", |c| c.interpreters.python_path == [b"/a", b"/b"]),
        ("WSGISwitchInterval 0.5\nWSGIPerInterpreterGIL On", |c| {
            c.interpreters.switch_interval == Some(0.5) && c.interpreters.own_gil == Some(true)
        }),
    ];
    for (text, look) in rows {
        assert!(look(&left(text).process), "{text}");
    }
}

#[test]
fn a_section_selects_interpreters_and_holds_settings_of_its_own() {
    let text = "<WSGIInterpreterOptions process-group=g application-group=%{GLOBAL}>|wsgirestrictstdin On|WSGISwitchInterval 2";
    let sections = left(text).process.sections;
    let [section] = sections.as_slice() else { panic!("{sections:?}") };
    assert_eq!(
        (section.process_group.as_deref(), section.application_group.as_deref()),
        (Some(&b"g"[..]), Some(&b""[..]))
    );
    assert_eq!((section.settings.restrict_stdin, section.settings.switch_interval), (Some(true), Some(2.0)));
    assert_eq!(section.specificity(), 2);
    let inside = |line: &str| refused(&format!("<WSGIInterpreterOptions >|{line}"));
    assert_eq!(inside("WSGIRestrictStdin x"), "WSGIRestrictStdin: the argument is `x`, must be On or Off");
    assert!(
        inside("WSGIProcessGroup g")
            .starts_with("a directive inside is `WSGIProcessGroup`, must be one of WSGIPythonPath, ")
    );
    let twice = "<WSGIInterpreterOptions process-group=a process-group=b>";
    assert_eq!(refused(twice), "the selector process-group is given twice");
    assert_eq!(refused("<WSGIInterpreterOptions process-group=a"), "takes selectors and a closing >");
}

#[test]
fn aliases_keep_their_order_and_load_what_is_fixed() {
    let text = "WSGIDaemonProcess g\n\
        WSGIScriptAlias /a /a.wsgi process-group=g application-group=%{GLOBAL} callable-object=app pass-authorization=On\n\
        WSGIScriptAliasMatch ^/b /b$1.wsgi process-group=g application-group=b\n\
        WSGIScriptAlias /c /c.wsgi process-group=%{ENV:G} application-group=c";
    let Trial { server, process, .. } = left(text);
    let targets: Vec<_> = server.aliases.iter().map(|alias| alias.target.to_str().unwrap()).collect();
    assert_eq!(targets, ["/a.wsgi", "/b$1.wsgi", "/c.wsgi"]);
    assert!(matches!(&server.aliases[0].pattern, Pattern::Prefix(prefix) if prefix == b"/a"));
    assert!(matches!(server.aliases[1].pattern, Pattern::Regex(_)));
    assert_eq!(server.aliases[0].pass_authorization, Some(true));
    let [preload] = process.preloads.as_slice() else { panic!("{:?}", process.preloads) };
    assert_eq!(
        (&preload.script[..], &preload.process_group[..], &preload.callable[..]),
        (&b"/a.wsgi"[..], &b"g"[..], &b"app"[..])
    );
    assert_eq!(process.applications, 3);
    let undefined = "WSGIScriptAlias / /a.wsgi process-group=x application-group=a";
    assert_eq!(refused(undefined), "process group `x` is not defined yet; put its WSGIDaemonProcess before this line");
    let variable = "WSGIImportScript /i.py process-group=%{ENV:G} application-group=a";
    assert_eq!(refused(variable), "the group is `%{ENV:G}`, must be a literal name or %{GLOBAL}");
}

/// The options of one process group.
fn options(text: &str) -> Result<GroupOptions, String> {
    Ok(read(format!("WSGIDaemonProcess g {text}").as_bytes())?.process.groups[0].options.clone())
}

/// A value for each option that is another than the default; and one that is refused, if there is such a value.
const OPTIONS: [(&str, &str, &str); 66] = [
    ("processes", "2", "0"),
    ("threads", "1", "-1"),
    ("user", "www-data", "root"),
    ("group", "staff", "nobody"),
    ("supplementary-groups", "staff,#50", "staff,x"),
    ("umask", "0027", "9"),
    ("home", "/h", "h"),
    ("lang", "C", ""),
    ("locale", "C.UTF-8", ""),
    ("env", "A=b", "=b"),
    ("env-file", "/e", "e"),
    ("pass-env", "PATH, HOME", "A=b"),
    ("no-new-privileges", "Off", "no"),
    ("python-home", "/p", ""),
    ("python-path", "/a:/b", "-"),
    ("python-eggs", "/e", ""),
    ("switch-interval", "0.5", "0"),
    ("stack-size", "8388608", "0"),
    ("display-name", "%{GROUP}", ""),
    ("maximum-requests", "1000", "x"),
    ("startup-timeout", "1", "x"),
    ("shutdown-timeout", "1", "x"),
    ("deadlock-timeout", "1", "x"),
    ("inactivity-timeout", "1", "x"),
    ("request-timeout", "1", "x"),
    ("request-timeout-scaling", "On", "x"),
    ("interrupt-timeout", "1", "x"),
    ("graceful-timeout", "1", "x"),
    ("eviction-timeout", "1", "x"),
    ("restart-interval", "1", "x"),
    ("connect-timeout", "1", "x"),
    ("socket-timeout", "1", "x"),
    ("queue-size", "0", "1000001"),
    ("queue-timeout", "1", "x"),
    ("worker-limit", "0", "1000001"),
    ("socket-user", "root", "nobody"),
    ("listen-backlog", "1", "x"),
    ("send-buffer-size", "512", "511"),
    ("receive-buffer-size", "512", "511"),
    ("header-buffer-size", "8192", "8191"),
    ("response-socket-timeout", "1", "x"),
    ("response-flush-delay", "1", "60001"),
    ("script-user", "www-data", "nobody"),
    ("script-group", "staff", "nobody"),
    ("cpu-time-limit", "1", "x"),
    ("cpu-priority", "-20", "21"),
    ("memory-limit", "1", "x"),
    ("virtual-memory-limit", "1", "x"),
    ("rss-limit", "512M", "512X"),
    ("server-metrics", "On", "x"),
    ("script-reload", "rolling", "never"),
    ("interface", "asgi", "fastcgi"),
    ("loop", "package.module:factory", "a:b:c"),
    ("lifespan", "on", "yes"),
    ("limit-concurrency", "1", "0"),
    ("disconnect-grace", "0", "x"),
    ("limit-websockets", "5", "0"),
    ("ws-max-size", "1M", "0"),
    ("ws-max-queue", "1", "0"),
    ("ws-ping-interval", "0", "-1"),
    ("ws-ping-timeout", "0", "x"),
    ("ws-per-message-deflate", "Off", "maybe"),
    ("ws-origins", "https://example.com", "https://example.com/path"),
    ("ws-graceful-timeout", "0", "x"),
    // Needs an Apache that root has started.
    ("chroot", "-", "x"),
    // Has no effect.
    ("response-buffer-size", "-", "65535"),
];

#[test]
fn every_option_of_a_process_group_changes_it_or_is_refused() {
    let named: Vec<&str> = OPTIONS.iter().map(|(name, ..)| *name).collect();
    let message = refused("WSGIDaemonProcess g no-such-option=1");
    let known = message.split_once("known are ").unwrap_or_else(|| panic!("{message}")).1;
    let mut known: Vec<&str> = known.split(", ").collect();
    let mut tried = named.clone();
    known.sort_unstable();
    tried.sort_unstable();
    assert_eq!(tried, known);
    for (name, value, wrong) in OPTIONS {
        if value != "-" {
            let changed = options(&format!("{name}='{value}'")).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_ne!(changed, GroupOptions::default(), "{name}={value} changes nothing");
        }
        if wrong != "-" {
            let message = options(&format!("{name}='{wrong}'")).err().unwrap_or_else(|| panic!("{name}={wrong}"));
            assert!(message.starts_with(name), "{name}={wrong}: {message}");
        }
    }
}

#[test]
fn an_htaccess_file_chooses_no_process_group() {
    let read = |text: &str| read_in_htaccess(text.as_bytes()).map(|_| ());
    assert_eq!(read("WSGIAccessScript /s.py application-group=a"), Ok(()));
    for name in ["WSGIAccessScript", "WSGIAuthUserScript", "WSGIAuthGroupScript"] {
        let refused = read(&format!("{name} /s.py process-group=g")).expect_err("refused");
        assert!(refused.starts_with("process-group is not for .htaccess"), "{refused}");
    }
}

#[test]
fn options_of_a_process_group_mean_what_they_say() {
    let given =
        options("threads=0 user=#33 env='A=b c' env=B=2 queue-size=0 header-buffer-size=0 script-reload=rolling");
    let given = given.unwrap();
    assert_eq!((given.threads, given.queue_size, given.header_buffer_size), (0, Some(0), 32768));
    assert_eq!(given.user.map(|user| user.name), Some(b"www-data".to_vec()));
    assert_eq!(given.env, [(b"A".to_vec(), b"b c".to_vec()), (b"B".to_vec(), b"2".to_vec())]);
    assert_eq!(given.script_reload, ScriptReload::Rolling);
    let both = "WSGIDaemonProcess g script-user=root script-group=staff";
    assert_eq!(refused(both), "script-user and script-group exclude each other; give one of them");
    let twice = "WSGIDaemonProcess g\nWSGIDaemonProcess g";
    assert_eq!(refused(twice), "process group `g` is defined already; names are unique in the whole server");
    let service = refused("WSGIDaemonProcess g threads=0 interface=asgi");
    assert!(service.starts_with("threads=0 makes a process that serves no requests"), "{service}");
    assert_eq!(refused("WSGIDaemonProcess g user=root"), "user is `root`, must be a user other than root");
}

#[test]
fn the_socket_prefix_leaves_room_for_the_sockets_names() {
    let longest = 108 - wsgi_wire::table::SOCKET_SUFFIX - 1;
    let prefix = |length: usize| format!("WSGISocketPrefix /{}", "x".repeat(length - 1));
    assert!(read(prefix(longest).as_bytes()).is_ok());
    assert!(refused(&prefix(longest + 1)).ends_with("bytes for the sockets' own names"));
}
