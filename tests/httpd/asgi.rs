//! ASGI over HTTP: the scope, bodies in both directions, the client's end, errors.

use harness::{Httpd, Site, in_time, records};
use serde_json::json;
use std::time::Duration;

/// Answers what the path says; `/scope` tells of the scope.
pub const APP: &str = r#"
import asyncio, contextvars, json, os, sys, threading
import mod_wsgi

seen = {}
gone = {}
color = contextvars.ContextVar("color", default="none")

class Left(Exception):
    pass

async def body_of(receive):
    body, messages = b"", 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body, -messages
        body, messages = body + message["body"], messages + 1
        if not message["more_body"]:
            return body, messages

async def answer(send, body, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = ["once"]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("stopped in order", os.getpid(), file=sys.stderr)
        return await send({"type": "lifespan.shutdown.complete"})
    path = scope["path"].removeprefix(scope["root_path"])
    if path == "/hello":
        await answer(send, b"hello", headers=[(b"content-type", b"text/plain"), (b"x-twice", b"a"), (b"x-twice", b"b")])
    elif path.startswith("/scope"):
        show = lambda value: value.decode("latin-1") if isinstance(value, bytes) else repr(value)
        await answer(send, json.dumps(scope, default=show).encode())
    elif path == "/read":
        body, messages = await body_of(receive)
        await answer(send, json.dumps([len(body), messages > 0, (await asyncio.sleep(0)) is None]).encode())
    elif path == "/echo":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            await send({"type": "http.response.body", "body": message["body"], "more_body": message["more_body"]})
            if not message["more_body"]:
                return
    elif path == "/fail":
        raise LookupError("no such thing")
    elif path == "/fail-started":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("after the start")
    elif path == "/late":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"partly ", "more_body": True})
        raise LookupError("in the middle")
    elif path == "/nothing":
        return
    elif path == "/half":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
    elif path == "/wait-for-end":
        message = {"type": ""}
        seen["waits"] = True
        while message["type"] != "http.disconnect":
            message = await receive()
        seen["end"] = True
        try:
            await answer(send, b"still here")
        except OSError as error:
            seen["error"] = type(error).__name__
    elif path == "/seen":
        await answer(send, json.dumps(seen).encode())
    elif path == "/wrong":
        errors = []
        for message in (
            {"type": "http.response.body"}, {"type": "http.nonsense"}, {}, {"type": "http.response.start", "status": 99},
            {"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nb: c")]},
            {"type": "http.response.start", "status": 200, "headers": [("x", "y")]},
            {"type": "http.response.start", "status": 200, "headers": []}, {"type": "http.response.start", "status": 200},
            {"type": "http.response.body", "body": "text"},
        ):
            try:
                await send(message)
                errors.append("none")
            except Exception as error:
                errors.append(type(error).__name__)
        outcome = []
        def elsewhere():
            try:
                send({"type": "http.response.body"})
            except RuntimeError as error:
                outcome.append(str(error))
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        await send({"type": "http.response.body", "body": json.dumps([errors, outcome]).encode()})
    elif path == "/context":
        before = color.get()
        color.set("red")
        data = mod_wsgi.request_data()
        data["here"] = True
        print("in the task")
        shared = await asyncio.to_thread(lambda: (print("in a thread"), mod_wsgi.request_data() is data)[1])
        await answer(send, json.dumps([before, shared]).encode())
    elif path == "/state":
        scope["state"]["own"] = 1
        await answer(send, json.dumps([scope["state"]["started"], sorted(scope["state"])]).encode())
    elif path == "/sleep":
        seen["sleeps"] = seen.get("sleeps", 0) + 1
        await asyncio.sleep(float(scope["query_string"]))
        await answer(send, b"%d" % os.getpid())
    elif path == "/block":
        import time
        time.sleep(float(scope["query_string"]))
        await answer(send, b"late")
    elif path == "/pid":
        await answer(send, b"%d" % os.getpid())
    elif path == "/send-path":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.pathsend", "path": scope["query_string"].decode()})
    elif path == "/send-file":
        with open(scope["query_string"].decode(), "rb") as file:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.zerocopysend", "file": file, "offset": 2, "count": 3, "more_body": True})
            file.seek(6)
            await send({"type": "http.response.zerocopysend", "file": file})
    elif path == "/hint":
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await answer(send, b"hinted")
    elif path == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b"x" * 500_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    elif path == "/endless":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["query_string"] == b"returns":
            await send({"type": "http.response.body", "body": b"more", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            seen["left"] = seen.get("left", 0) + 1
            return
        try:
            while True:
                await send({"type": "http.response.body", "body": b"more", "more_body": True})
                await asyncio.sleep(0.01)
        except OSError as error:
            seen["left"] = seen.get("left", 0) + 1
            if scope["query_string"] == b"own":
                raise Left
            if scope["query_string"] == b"group":
                own = Left()
                own.__cause__ = error
                raise ExceptionGroup("several", [error, own])
            if scope["query_string"] == b"fault":
                nowhere
            raise
    elif path == "/concurrent":
        seen["now"] = seen.get("now", 0) + 1
        seen["most"] = max(seen.get("most", 0), seen["now"])
        while seen["most"] < int(scope["query_string"]):
            await asyncio.sleep(0.01)
        seen["now"] -= 1
        await answer(send, b"%d" % seen["most"])
    elif path == "/background":
        await answer(send, b"done")
        await asyncio.sleep(0.2)
        seen["background"] = True
"#;

/// A site of one process group whose application speaks ASGI.
pub fn site(options: &str) -> Httpd {
    Httpd::builder()
        .app("site.wsgi", APP)
        .conf(&format!("WSGIDaemonProcess site interface=asgi {options}"))
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
        .expect_log(&["stopped in order"])
        .start()
}

#[test]
fn an_application_answers() {
    let site = site("");
    for _ in 0..3 {
        let answer = site.get("/hello");
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        assert_eq!(answer.header("content-length"), Some("5"));
        let twice: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-twice").collect();
        assert_eq!(twice.len(), 2, "{answer:?}");
    }
    assert_eq!(site.request("HEAD", "/hello", &[], b"").header("content-length"), Some("5"));
    site.finish();
}

#[test]
fn the_scope_is_what_the_specification_says() {
    let site = Httpd::builder()
        .app("site.wsgi", APP)
        .conf("WSGIDaemonProcess site interface=asgi")
        .conf("WSGIScriptAlias /mount {apps}/site.wsgi process-group=site")
        .conf("SetEnv MY_OWN value")
        .expect_log(&["stopped in order"])
        .start();
    let headers = [("X-Own", "1"), ("X_Under", "2"), ("Authorization", "Bearer token")];
    let scope = site.request("GET", "/mount/scope/a%20b%C3%A9?q=%41&x", &headers, b"").json();
    assert_eq!(scope["type"], "http");
    assert_eq!(scope["asgi"], json!({"version": "3.0", "spec_version": "2.5"}));
    assert_eq!(
        (&scope["method"], &scope["http_version"], &scope["scheme"]),
        (&json!("GET"), &json!("1.1"), &json!("http"))
    );
    assert_eq!(scope["path"], "/mount/scope/a bé");
    assert_eq!(scope["raw_path"], "/mount/scope/a%20b%C3%A9");
    assert_eq!(scope["root_path"], "/mount");
    assert_eq!(scope["query_string"], "q=%41&x");
    assert_eq!(scope["server"], json!(["127.0.0.1", site.port()]));
    assert_eq!(scope["client"][0], "127.0.0.1");
    assert!(scope["client"][1].as_u64().is_some_and(|port| port > 0), "{scope}");
    let all = scope["headers"].as_array().expect("a list");
    let value = |name: &str| all.iter().find(|pair| pair[0] == name).map(|pair| pair[1].as_str().expect("text"));
    assert_eq!((value("x-own"), value("authorization")), (Some("1"), Some("Bearer token")));
    assert_eq!([value("x_under"), value("x-under")], [None, None]);
    let own = &scope["extensions"]["mod_wsgi"];
    assert_eq!(own["environ"]["MY_OWN"], "value");
    assert!(own["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{own}");
    assert!(scope["extensions"].get("tls").is_none() && scope["extensions"]["http.response.pathsend"].is_object());
    site.finish();
}

#[test]
fn bodies_of_any_length_arrive_however_they_are_sent() {
    let site = site("");
    for length in [0, 1, 60_000, 70_000, 3 << 20] {
        let answer = site.post("/read", &vec![b'x'; length]);
        assert_eq!(answer.json(), json!([length, true, true]), "{length}");
    }
    let mut client = site.client();
    let chunks = ["Transfer-Encoding: chunked"];
    let answer = client.exchange("POST", "/read", &chunks, b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n").expect("an answer");
    assert_eq!(answer.text(), "[7, true, true]", "without WSGIChunkedRequest");
    let continued = ["Content-Length: 4", "Expect: 100-continue"];
    client.send_head("POST", "/read", &continued).expect("sent");
    assert!(client.answers().expect("100 Continue"));
    client.send(b"body").expect("sent");
    let answer = client.answer("POST").expect("an answer");
    assert_eq!((answer.interim.as_slice(), answer.text().as_str()), (&[100][..], "[4, true, true]"));
    site.finish();
}

#[test]
fn a_response_streams_while_the_body_comes() {
    let site = site("");
    let mut client = site.client();
    client.send_head("POST", "/echo", &["Transfer-Encoding: chunked"]).expect("sent");
    for number in 0..5 {
        client.send(format!("6\r\npiece{number}\r\n").as_bytes()).expect("sent");
        if number == 0 {
            assert_eq!(client.status().expect("a head"), 200);
            // The end of the head may be among what is read here: what counts is that the piece comes.
        }
        client.read(6).expect("the piece comes back before the next one is sent");
    }
    client.send(b"0\r\n\r\n").expect("sent");
    assert!(client.answers().expect("the rest"));
    let body = site.post("/echo", &vec![b'y'; 2 << 20]);
    assert!(body.body.len() == 2 << 20 && body.body.iter().all(|byte| *byte == b'y'));
    site.finish();
}

#[test]
fn large_content_arrives_whole() {
    let site = site("");
    assert_eq!(site.get("/large").body.len(), 10_000_000);
    site.finish();
}

#[test]
fn an_application_hears_that_its_client_is_gone() {
    let site = site("");
    let mut client = site.client();
    client.send_head("GET", "/wait-for-end", &[]).expect("sent");
    harness::eventually(Duration::from_secs(10), || (site.get("/seen").json()["waits"] == true).then_some(()))
        .expect("it waits");
    drop(client);
    let end = harness::eventually(Duration::from_secs(10), || (site.get("/seen").json()["end"] == true).then_some(()));
    assert!(end.is_some(), "http.disconnect");
    let mut half = site.client();
    half.send_head("GET", "/wait-for-end", &[]).expect("sent");
    half.end_of_requests().expect("closed in one direction");
    assert_eq!(
        half.answer("GET").expect("an answer").text(),
        "still here",
        "who has closed one direction has an answer"
    );
    site.finish();
}

#[test]
fn the_end_of_a_request_whose_client_is_gone_is_no_record_unless_there_is_a_fault() {
    let site = site("");
    site.log.expect(&["WSGI0174: Exception processing '/endless'"]);
    for (number, kind) in ["returns", "plain", "own", "group", "fault"].into_iter().enumerate() {
        let mut client = site.client();
        client.send_head("GET", &format!("/endless?{kind}"), &[]).expect("sent");
        assert_eq!(client.status().expect("an answer"), 200);
        drop(client);
        let left = || (site.get("/seen").json()["left"] == json!(number + 1)).then_some(());
        assert!(harness::eventually(in_time(Duration::from_secs(10)), left).is_some(), "{kind}");
    }
    let log = site.log.wait_for("NameError: name 'nowhere'");
    assert_eq!(records(&log).iter().filter(|record| record.contains("Exception processing")).count(), 1, "{log}");
    site.finish();
}

#[test]
fn an_exception_before_the_head_is_a_500_and_after_it_breaks_the_response_off() {
    let site = site("");
    site.log.expect(&["WSGI0174: Exception processing '/fail'", "WSGI0174: Exception processing '/fail-started'"]);
    site.log.expect(&["WSGI0174: Exception processing '/late'", "WSGI1217: …without a whole response to '/nothing'"]);
    site.log.expect(&["WSGI1217: …without a whole response to '/half'"]);
    for path in ["/fail", "/fail-started", "/nothing"] {
        assert_eq!(site.get(path).status, 500, "{path}");
    }
    for path in ["/late", "/half"] {
        let answer = site.client().exchange("GET", path, &[], b"").expect("an answer");
        assert_eq!((answer.status, answer.complete), (200, false), "{path}");
    }
    let log = site.log.wait_for("LookupError: in the middle");
    assert_eq!(records(&log).iter().filter(|record| record.contains("LookupError: no such thing")).count(), 1);
    assert_eq!(site.get("/hello").text(), "hello");
    site.finish();
}

#[test]
fn messages_that_are_out_of_place_are_refused() {
    let site = site("");
    let answer = site.get("/wrong").json();
    let kinds = ["RuntimeError", "RuntimeError", "ValueError", "ValueError", "ValueError", "TypeError", "none"];
    assert_eq!(answer[0], json!([&kinds[..], &["RuntimeError", "TypeError"]].concat()));
    assert!(answer[1][0].as_str().is_some_and(|text| text.contains("thread of the event loop")), "{answer}");
    site.finish();
}

#[test]
fn each_request_has_a_context_of_its_own_in_which_the_log_knows_it() {
    let site = site("threads=2");
    site.log.expect(&["in the task", "in a thread"]);
    for _ in 0..2 {
        assert_eq!(site.get("/context").json(), json!(["none", true]));
    }
    let log = site.log.wait_for("in a thread");
    for text in ["in the task", "in a thread"] {
        let records = records(&log);
        let record = records.iter().find(|record| record.contains(text)).expect("a record");
        assert!(record.contains("[client 127.0.0.1"), "{record}");
    }
    site.finish();
}

#[test]
fn requests_run_concurrently_in_one_process() {
    let site = site("threads=1");
    let waiting: Vec<_> = (0..12).map(|_| site.in_background("/concurrent?12")).collect();
    for request in waiting {
        assert_eq!(request.join().expect("a thread").0.text(), "12");
    }
    site.finish();
}

#[test]
fn what_goes_on_after_a_response_may() {
    let site = site("");
    assert_eq!(site.get("/background").text(), "done");
    let done = harness::eventually(in_time(Duration::from_secs(5)), || {
        (site.get("/seen").json()["background"] == true).then_some(())
    });
    assert!(done.is_some());
    site.finish();
}

#[test]
fn files_are_sent_by_apache_and_hints_before_the_response() {
    let site = site("");
    site.write("page.txt", "0123456789");
    let path = site.root().join("page.txt");
    let sent = site.get(&format!("/send-path?{}", path.display()));
    assert_eq!((sent.status, sent.text().as_str(), sent.header("content-length")), (200, "0123456789", Some("10")));
    let part = site.request("GET", &format!("/send-path?{}", path.display()), &[("Range", "bytes=2-4")], b"");
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(site.get(&format!("/send-file?{}", path.display())).text(), "2346789");
    site.log.expect(&["No such file or directory"]);
    assert_eq!(site.get("/send-path?/no/such/file").status, 500);
    let answer = site.client().exchange("GET", "/hint", &[], b"").expect("an answer");
    assert_eq!((answer.interim.as_slice(), answer.text().as_str()), (&[103][..], "hinted"));
    assert_eq!(answer.hints, [("Link".to_owned(), "</a.css>; rel=preload".to_owned())]);
    site.finish();
}
