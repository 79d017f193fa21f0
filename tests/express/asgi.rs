//! Asynchronous applications: what `--interface` says, and what is found out without it.

use harness::{Express, Finished, Foreground, HELLO, Scratch, Site, alive, eventually, in_time};
use std::time::Duration;

/// An application with a lifespan, which answers with what its scope says.
const APP: &str = r#"
import asyncio, os, sys

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"]["loop"] = type(asyncio.get_running_loop()).__module__
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("stopped in order", os.getpid(), file=sys.stderr)
        return await send({"type": "lifespan.shutdown.complete"})
    fields = scope["root_path"], scope["path"], scope["raw_path"].decode(), scope["state"]["loop"], str(os.getpid())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": " ".join(fields).encode()})
"#;

fn directory(files: &[(&str, &str)]) -> Scratch {
    let directory = Scratch::new();
    for (name, text) in files {
        directory.write(name, text);
    }
    directory
}

fn words<'w>(command: &'w str, words: &[&'w str]) -> Vec<&'w str> {
    std::iter::once(command).chain(words.iter().copied()).collect()
}

fn serve(directory: &Scratch, options: &[&str]) -> Foreground {
    let server = Express::new(&words("start-server", options)).within(directory.path()).start();
    server.console.expect(&["stopped in order"]);
    server
}

fn check(directory: &Scratch, options: &[&str]) -> Finished {
    Express::new(&words("check", options)).within(directory.path()).with_place().run()
}

/// The fields of the answer, but for the process's number.
fn seen(server: &Foreground, path: &str) -> Vec<String> {
    let text = server.get(path).text();
    text.split(' ').take(4).map(str::to_owned).collect()
}

fn pid(server: &Foreground) -> u32 {
    let text = server.get("/").text();
    text.rsplit(' ').next().and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

/// WSGI alone has application groups of one's own, and refuses requests in chunks.
#[test]
fn what_is_named_as_with_mod_wsgi_express_is_wsgi_unless_something_else_is_said() {
    let directory = directory(&[("shop.py", APP), ("shop.wsgi", HELLO)]);
    let cases: [(&[&str], Option<&str>); 4] = [
        (&["shop.wsgi"], None),
        (&["--application-type", "module", "shop"], None),
        (&["shop:app"], Some("auto")),
        (&["shop.wsgi", "--interface", "auto"], Some("auto")),
    ];
    for (words, interface) in cases {
        let words = [&["setup-server", "--print"][..], words].concat();
        let done = Express::new(&words).within(directory.path()).with_place().run();
        assert_eq!(done.code, Some(0), "{done:?}");
        let expected = interface.map(|interface| format!("interface={interface}"));
        assert!(expected.is_none_or(|it| done.text.contains(&it)), "{words:?}: {}", done.text);
        assert_eq!(done.text.contains("interface="), interface.is_some(), "{words:?}: {}", done.text);
    }
}

#[test]
fn an_asynchronous_application_is_recognised() {
    let directory = directory(&[("shop.py", APP), ("shop.wsgi", "from shop import app as application\n")]);
    for entry in [
        &["shop:app"][..],
        &["shop.wsgi", "--interface", "auto"],
        &["shop:app", "--interface", "asgi", "--loop", "asyncio"],
    ] {
        let server = serve(&directory, entry);
        let answer = seen(&server, "/a%20b/c");
        assert_eq!(answer[..2], ["", "/a"], "{entry:?}: the root path is empty, the path is what follows");
        assert_eq!(server.get("/a/b").text().split(' ').nth(2), Some("/a/b"));
        if entry.len() > 1 {
            assert_eq!(server.get("/").text().split(' ').nth(3), Some("asyncio.unix_events"));
        }
    }
}

#[test]
fn the_mount_point_is_the_root_path() {
    let directory = directory(&[("shop.py", APP)]);
    let server = serve(
        &directory,
        &["shop:app", "--mount-point", "/shop", "--trust-proxy-header", "X-Script-Name", "--trust-proxy", "127.0.0.1"],
    );
    assert_eq!(seen(&server, "/shop/cart")[..3], ["/shop", "/shop/cart", "/shop/cart"]);
    let proxied = server.request("GET", "/shop/cart", &[("X-Script-Name", "/outer")], b"").text();
    assert_eq!(proxied.split(' ').take(2).collect::<Vec<_>>(), ["/outer", "/outer/cart"]);
}

#[test]
fn options_of_asynchronous_applications_reach_the_directive() {
    let directory = directory(&[("shop.py", APP)]);
    let options = [
        "interface=asgi",
        "loop=asyncio",
        "lifespan=on",
        "limit-concurrency=7",
        "disconnect-grace=3",
        "limit-websockets=70",
        "ws-max-size=512K",
        "ws-max-queue=5",
        "ws-ping-interval=9",
        "ws-ping-timeout=0",
        "ws-per-message-deflate=Off",
        "ws-origins=same",
        "ws-graceful-timeout=4",
    ];
    let given = options.map(|option| format!("--{option}"));
    let given: Vec<_> = std::iter::once("shop:app").chain(given.iter().map(String::as_str)).collect();
    let control = Express::new(&words("setup-server", &given)).within(directory.path()).set_up();
    let configuration = std::fs::read_to_string(control.server_root().join("httpd.conf")).expect("httpd.conf");
    let (_, directive) = configuration.split_once("WSGIDaemonProcess").expect("the process group");
    let missing = options.into_iter().find(|option| !directive.contains(option));
    assert_eq!(missing, None, "{configuration}");
}

/// The configuration that these words make.
fn configuration(directory: &Scratch, options: &[&str]) -> String {
    let words = [&["setup-server", "--print"][..], options].concat();
    let done = Express::new(&words).within(directory.path()).with_place().run();
    assert_eq!(done.code, Some(0), "{done:?}");
    done.text
}

/// The words that follow a directive.
fn value<'t>(configuration: &'t str, directive: &str) -> &'t str {
    let line = configuration.lines().find_map(|line| line.trim().strip_prefix(directive)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{directive} in {configuration}")).trim()
}

#[test]
fn an_asynchronous_application_has_no_time_limit_for_requests_and_all_of_apaches_children() {
    let directory = directory(&[("shop.py", APP)]);
    let asgi = configuration(&directory, &["shop:app", "--interface", "asgi"]);
    assert!(asgi.contains("threads=15") && !asgi.contains("request-timeout"), "{asgi}");
    assert_eq!(value(&asgi, "MaxSpareThreads"), value(&asgi, "MaxRequestWorkers"));
    let number = |directive| value(&asgi, directive).parse::<u32>().expect("a number");
    let factor = 20_000_u32.div_ceil(number("MaxRequestWorkers"));
    assert_eq!(number("AsyncRequestWorkerFactor"), factor, "room for 10 000 WebSockets");
    let given =
        configuration(&directory, &["shop:app", "--interface", "asgi", "--threads", "3", "--request-timeout", "7"]);
    assert!(given.contains("threads=3") && given.contains("request-timeout=7"), "{given}");
    let undecided = configuration(&directory, &["shop:app"]);
    assert!(undecided.contains("threads=5") && undecided.contains("request-timeout=60"), "{undecided}");
}

#[test]
fn a_check_says_that_the_mpm_keeps_a_worker_for_each_open_connection() {
    let directory = directory(&[("shop.py", APP)]);
    let words = ["shop:app", "--interface", "asgi", "--server-mpm"];
    let worker = check(&directory, &[&words[..], &["worker"]].concat());
    assert!(
        worker.code == Some(0) && worker.text.contains("warning: Apache is to run with the MPM worker"),
        "{worker:?}"
    );
    let event = check(&directory, &[&words[..], &["event"]].concat());
    assert!(event.text.contains("0 errors, 0 warnings"), "{event:?}");
}

#[test]
fn what_only_wsgi_has_excludes_the_other_interface() {
    let directory = directory(&[("shop.py", APP), ("hello.wsgi", HELLO)]);
    for other in [
        &["--embedded-mode"][..],
        &["--debug-mode"],
        &["--application-group", "own"],
        &["--add-handler", ".x", "hello.wsgi"],
    ] {
        let done = check(&directory, &[&["shop:app", "--interface", "asgi"], other].concat());
        assert!(done.text.contains(&format!("--interface asgi cannot be combined with {}", other[0])), "{done:?}");
    }
    let done = check(&directory, &["shop:app", "--loop", "trio"]);
    assert!(done.text.contains("invalid value \"trio\" for --loop"), "{done:?}");
    let done = check(&directory, &["shop:app", "--ws-max-size", "2G"]);
    assert!(done.text.contains("it is a size from 1 byte to 1G"), "{done:?}");
    let done = check(&directory, &["shop:app", "--ws-origins", "https://example.com/shop"]);
    assert!(done.text.contains("it is any, same, or origins"), "{done:?}");
}

#[test]
fn an_application_of_the_other_interface_is_refused_with_the_cure() {
    let directory = directory(&[("shop.py", APP), ("hello.wsgi", HELLO)]);
    for (entry, interface, cure) in
        [("shop:app", "wsgi", "--interface asgi"), ("hello.wsgi", "asgi", "--interface wsgi")]
    {
        let server = serve(&directory, &[entry, "--interface", interface]);
        server.console.expect(&["ApplicationError", "cannot be loaded"]);
        assert_eq!(server.get("/").status, 500, "{entry}");
        let log = server.console.wait_for("ApplicationError");
        assert!(log.contains(cure), "{log}");
    }
}

#[test]
fn an_application_that_becomes_loadable_later_is_recognised_then() {
    let directory = directory(&[("shop.wsgi", "raise LookupError('not yet')\n")]);
    let server = serve(&directory, &["shop.wsgi", "--interface", "auto"]);
    server.console.expect(&["not yet", "cannot be loaded", "ApplicationError", "next process"]);
    assert_eq!(server.get("/").status, 500);
    directory.write("shop.wsgi", APP.replace("app(", "application("));
    let served = eventually(in_time(Duration::from_secs(20)), || (server.get("/").status == 200).then_some(()));
    assert!(served.is_some(), "{}", server.console.text());
}

#[test]
fn a_changed_module_of_an_asynchronous_application_is_reloaded_and_the_old_process_stops_in_order() {
    let directory = directory(&[("shop.py", "from inner import app\n"), ("inner.py", APP)]);
    let server = serve(&directory, &["shop:app", "--reload-on-changes"]);
    server.console.expect(&["monitor (pid="]);
    let first = pid(&server);
    directory.write("inner.py", APP.replace("\" \".join(fields)", "(\"new \" + \" \".join(fields))"));
    let new = eventually(in_time(Duration::from_secs(20)), || {
        let answer = server.get("/");
        assert_eq!(answer.status, 200, "no request fails meanwhile");
        answer.text().starts_with("new ").then_some(())
    });
    assert!(new.is_some() && pid(&server) != first, "{}", server.console.text());
    server.console.wait_for(&format!("stopped in order {first}"));
    assert!(eventually(in_time(Duration::from_secs(20)), || (!alive(first)).then_some(())).is_some());
}

#[test]
fn the_check_runs_lifespan_once() {
    let startup = "await send({\"type\": \"lifespan.startup.complete\"})";
    let ends = "return await send({\"type\": \"lifespan.shutdown.complete\"})";
    let directory = directory(&[
        ("good.py", APP),
        (
            "bad.py",
            &APP.replace(
                startup,
                "await send({'type': 'lifespan.startup.failed', 'message': 'Traceback\\nno database'})",
            ),
        ),
        ("raises.py", "async def app(scope, receive, send):\n    raise LookupError(scope['type'])\n"),
        ("ends.py", &APP.replace(ends, "raise LookupError('at the end')")),
    ]);
    let good = check(&directory, &["good:app"]);
    assert!(good.code == Some(0) && good.text.contains("good:app: 0 errors, 0 warnings"), "{good:?}");
    let bad = check(&directory, &["bad:app"]);
    assert!(
        bad.code == Some(1) && bad.text.contains("error: bad cannot start (lifespan.startup): no database;"),
        "{bad:?}"
    );
    assert_eq!(check(&directory, &["bad:app", "--lifespan", "off"]).code, Some(0));
    assert_eq!(check(&directory, &["raises:app"]).code, Some(0), "it has no part in lifespan");
    let needed = check(&directory, &["raises:app", "--lifespan", "on"]);
    let at = format!("LookupError: lifespan ({}:2)", directory.path().join("raises.py").display());
    assert!(needed.code == Some(1) && needed.text.contains(&at), "{needed:?}");
    let ends = check(&directory, &["ends:app"]);
    assert!(
        ends.code == Some(0)
            && ends.text.contains("warning: ends does not stop in order (lifespan.shutdown): LookupError: at the end"),
        "{ends:?}"
    );
}
