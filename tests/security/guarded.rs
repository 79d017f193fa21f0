//! What an application has Apache send (`WSGISendfileRoot`) is below the directory that the administrator has named,
//! and takes nothing from others.

use harness::{Httpd, Site, is_root};

/// Names a file, or makes one of another kind in the place of what was there.
const SENDS: &str = r#"
import ctypes, os, urllib.parse

TOP = "{root}/srv"

def exchange(kind):
    "Puts something else in the place of the directory `media`, or of the file in it."
    file = TOP + "/media/file"
    if kind == "directory":
        os.rename(TOP + "/media", TOP + "/before")
        os.symlink("{root}/private", TOP + "/media")
    elif kind == "deploy":
        os.unlink(TOP + "/media")
        os.symlink("before", TOP + "/media")
    elif kind == "fifo":
        os.unlink(file)
        os.mkfifo(file)
    elif kind == "link":
        os.unlink(file)
        os.symlink("{root}/private/file", file)
    elif kind == "loop":
        os.unlink(file)
        os.symlink("file", file)
    elif kind == "socket":
        import socket
        os.unlink(file)
        socket.socket(socket.AF_UNIX).bind(file)
    elif kind == "huge":
        os.unlink(file)
        with open(file, "wb") as out:
            out.truncate(1 << 42)
    elif kind == "large":
        os.unlink(file)
        with open(file, "wb") as out:
            out.truncate(64 << 20)
    elif kind == "mode":
        os.chmod(file, 0)

def race():
    "One moment the directory is itself, the other it is a link."
    libc = ctypes.CDLL(None, use_errno=True)
    one, other = (TOP + name for name in ("/media", "/link"))
    os.symlink("{root}/private", other)
    import threading
    def turn():
        while True:
            libc.renameat2(-100, one.encode(), -100, other.encode(), 2)
    threading.Thread(target=turn, daemon=True).start()

def application(environ, start_response):
    how, _, value = environ["QUERY_STRING"].partition("=")
    if how == "exchange":
        exchange(value)
    elif how == "race":
        race()
    named = urllib.parse.unquote(value) if how == "named" else "file"
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Sendfile", named)])
    return [b"its own"]
"#;

fn site(conf: &str) -> Httpd {
    let user = if is_root() { "user=news" } else { "" };
    let site = Httpd::builder()
        .app("site.wsgi", SENDS)
        .file("srv/media/file", "guarded")
        .file("private/file", "secret")
        .file("htdocs/page.txt", "static")
        .conf(&format!(
            "WSGIDaemonProcess site threads=3 {user}\nWSGISendfileRoot {{root}}/srv/media\n\
             WSGIScriptAlias / {{apps}}/site.wsgi process-group=site application-group=%{{GLOBAL}}\nAlias /page.txt {{root}}/htdocs/page.txt"
        ))
        .conf(conf)
        .start();
    site.log.expect(&["WSGI1034: "]);
    if is_root() {
        let given = std::process::Command::new("chown").args(["-R", "news"]).arg(site.root().join("srv")).status();
        assert!(given.is_ok_and(|status| status.success()));
    }
    site
}

#[test]
fn what_an_application_puts_in_the_place_of_its_file_is_no_file_of_others() {
    for (kind, status) in [("fifo", 404), ("link", 500), ("loop", 500), ("socket", 404), ("mode", 403)] {
        let site = site("");
        assert_eq!(site.get("/").text(), "guarded");
        let answer = site.get(&format!("/?exchange={kind}"));
        assert_eq!(answer.status, status, "{kind}: {answer:?}");
        assert!(!answer.text().contains("secret"));
        site.finish();
    }
}

#[test]
fn a_file_of_any_length_costs_nothing_but_its_parts() {
    let site = site("");
    let head = site.request("HEAD", "/?exchange=huge", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("4398046511104")));
    for (range, status, length) in [
        ("bytes=4398046511100-", 206, 4),
        ("bytes=-3", 206, 3),
        ("bytes=9999999999999-", 416, 0),
        ("bytes=0-0", 206, 1),
    ] {
        let part = site.request("GET", "/", &[("Range", range)], b"");
        assert_eq!(part.status, status, "{range}");
        assert!(status != 206 || part.body.len() == length, "{range}: {}", part.body.len());
    }
    let many = (0..200).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(",");
    let answer = site.request("HEAD", "/", &[("Range", &format!("bytes={many}"))], b"");
    assert!([200, 206, 416].contains(&answer.status), "{}", answer.status);
    site.finish();
}

#[test]
fn the_directory_leads_nowhere_else_however_it_is_exchanged() {
    if !is_root() {
        harness::cannot_run("the_directory_leads_nowhere_else_however_it_is_exchanged", "needs root");
        return;
    }
    let site = site("");
    assert_eq!(site.get("/").text(), "guarded");
    let answer = site.get("/?exchange=directory");
    assert_eq!((answer.status, answer.text().contains("secret")), (500, false), "{answer:?}");
    // The application's own link to the application's own directory: a release.
    assert_eq!(site.get("/?exchange=deploy").text(), "guarded");
    site.finish();
    let site = self::site("");
    site.get("/?race");
    for _ in 0..500 {
        assert!(!site.get("/").text().contains("secret"));
    }
    site.finish();
}

#[test]
fn slow_clients_of_a_guarded_file_keep_no_more_workers_than_those_of_any_answer() {
    let site = site("ServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16");
    site.log.expect(&["WSGI1019: …worker-limit"]);
    assert_eq!(site.request("HEAD", "/?exchange=large", &[], b"").status, 200);
    let mut clients: Vec<_> = (0..20).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send_head("GET", "/", &["Connection: close"]).expect("sent");
    }
    let statuses: Vec<u16> = clients.iter_mut().map(|client| client.status().expect("a status")).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 12, "three fourths of 16: {statuses:?}");
    assert_eq!(site.get("/page.txt").text(), "static");
    drop(clients);
    harness::eventually(std::time::Duration::from_secs(20), || (site.get("/").status == 200).then_some(()))
        .expect("workers come back when their clients have gone");
    site.finish();
}
