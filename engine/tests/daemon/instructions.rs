//! One whole request in the engine's gateway, CPython's part included, for `make instructions` (scripts/instructions):
//! that has it repeated in a process under valgrind and counts instructions. As ordinary tests they run once.

use wsgi_wire::request::Body;

use super::harness::Process;

const HELLO: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return [b"Hello World!"]
"#;

fn serve(name: &str, headers: usize) {
    let rounds = std::env::var("INSTRUCTIONS_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    // Other threads would look at the clock, how often depends on its speed.
    let mut process = Process::start(name, HELLO, |settings| settings.threads = 1);
    process.ignore_news();
    let mut connection = process.connect();
    let names: Vec<_> = (0..headers).map(|n| format!("HTTP_X_HEADER_{n}")).collect();
    let mut vars = vec![("PATH_INFO", "/"), ("mod_wsgi.request_id", "id-1")];
    vars.extend(names.iter().map(|name| (name.as_str(), "the value of a header")));
    for _ in 0..rounds {
        connection.send(0, &vars, Body::None);
        let answer = connection.answer(&mut [].into_iter());
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"Hello World!"[..]));
    }
    process.stop();
    assert!(process.wait().success());
}

#[test]
fn instructions_request() {
    serve("instructions", 0);
}

/// What is more than for the other one is for building an environ.
#[test]
fn instructions_request_with_40_headers() {
    serve("instructions-headers", 40);
}
