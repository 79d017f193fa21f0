//! What the pages about FastAPI and Channels have people write and type works, block by block.

use harness::websocket::{TEXT, WebSocket, request};
use harness::{Httpd, ORDINARY_USER, Project, Scratch, Site, is_root, product};

use crate::pages::{Block, add, blocks, typed};

/// The environment and the directory of a page, in place of those that it has.
fn placed(text: &str, home: &str, directory: &str) -> String {
    text.replace(&format!("{home}/venv"), &product().python("sys.prefix")).replace(home, directory)
}

#[test]
fn the_page_about_fastapi_is_true() {
    let directory = Scratch::new();
    let serves = |site: &dyn Site| {
        assert_eq!(site.get("/").text(), r#"{"says":"Hello"}"#);
        let mut socket = WebSocket::open(site.port(), "/echo");
        socket.send(TEXT, b"echo");
        assert_eq!(socket.text(), "echo");
        let mut events = site.client();
        events.send_head("GET", "/events", &[]).expect("a request is sent");
        assert_eq!(events.status().expect("an answer"), 200);
        events.read("data: tick\n\n".len()).expect("an event");
    };
    let mut servers = 0;
    for block in blocks("docs/fastapi.md") {
        match block {
            Block::File { name, text } => add(&directory, &name, &text),
            Block::Shell(text) => {
                if is_root() {
                    directory.give_to(ORDINARY_USER);
                }
                let server = typed(&text, directory.path()).start_as_it_is();
                server.console.expect(&["Starting change monitor"]);
                serves(&server);
                servers += 1;
            }
            Block::Apache(text) => {
                let text = placed(&text, "/srv/shop", &directory.path().display().to_string());
                let site = Httpd::builder().conf(&text).start();
                serves(&site);
                site.finish();
                servers += 1;
            }
        }
    }
    assert_eq!(servers, 3, "some blocks were not found");
}

#[test]
fn the_page_about_channels_is_true() {
    let project = Project::new();
    let base = project.base();
    let serves = |site: &dyn Site, room: &str| {
        assert_eq!(site.get("/admin/login/").status, 200);
        let origin = "Origin: http://localhost";
        let mut sockets = [1, 2].map(|_| WebSocket::begin(site.port(), request(room, &[origin]).as_bytes()));
        for (number, line) in ["one", "two"].into_iter().enumerate() {
            sockets[number].send(TEXT, line.as_bytes());
            assert_eq!(sockets.each_mut().map(WebSocket::text), [line, line]);
        }
    };
    let mut servers = 0;
    for block in blocks("docs/channels.md") {
        match block {
            Block::File { name, text } if name == "mysite/settings.py" => project.add_settings(&text),
            Block::File { name, text } => std::fs::write(base.join(name), text).expect("a file"),
            Block::Shell(text) => {
                project.give_away();
                serves(&typed(&text, &base).start_as_it_is(), "/room");
                servers += 1;
            }
            Block::Apache(text) => {
                let site = Httpd::builder().conf(&placed(&text, "/srv/mysite", &base.display().to_string())).start();
                serves(&site, "/ws/room");
                site.finish();
                servers += 1;
            }
        }
    }
    assert_eq!(servers, 2, "some blocks were not found");
}
