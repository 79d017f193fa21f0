//! Headless Chromium, driven through the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>).

use crate::hygiene;
use crate::parent::in_new_session;
use crate::ports::free_port;
use crate::processes::MARKER;
use crate::raw::Client;
use crate::request::{Response, send};
use crate::scratch::Scratch;
use crate::wait::eventually;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longest time for the driver to start and for an element to appear.
const DEADLINE: Duration = Duration::from_secs(30);

/// The key under which WebDriver gives the identity of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser with a fresh profile. Out of scope it is ended.
pub struct Browser {
    profile: Scratch,
    driver: Child,
    session: String,
}

impl Browser {
    /// Starts chromedriver and one Chromium; `None` when this machine has no chromedriver.
    #[must_use]
    pub fn start() -> Option<Self> {
        let profile = Scratch::new();
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command
            .arg(format!("--port={port}"))
            .env(MARKER, profile.path())
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = match in_new_session(&mut command).spawn() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
            other => other.unwrap_or_else(|e| panic!("chromedriver: {e}")),
        };
        let mut browser = Self { profile, driver, session: format!("http://127.0.0.1:{port}/session") };
        assert!(eventually(DEADLINE, || Client::try_connect(port).ok()).is_some(), "chromedriver does not listen");
        browser.open_session();
        Some(browser)
    }

    /// Goes to an address and waits until the page is loaded.
    pub fn go_to(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// The address of the page.
    #[must_use]
    pub fn address(&self) -> String {
        text(self.call("GET", "url", None))
    }

    /// Opens another window, which is the one to talk of from now on. Returns what [`Self::turn_to`] takes for it.
    #[must_use]
    pub fn open_window(&self) -> String {
        let opened = self.post("window/new", &json!({ "type": "window" }));
        let window = text(opened["handle"].clone());
        self.turn_to(&window);
        window
    }

    /// Goes on in this window.
    pub fn turn_to(&self, window: &str) {
        self.post("window", &json!({ "handle": window }));
    }

    /// The value of a JavaScript expression in the page.
    #[must_use]
    pub fn evaluate(&self, expression: &str) -> Value {
        self.post("execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    /// The computed value of a CSS property of the first element that a selector finds.
    #[must_use]
    pub fn style(&self, selector: &str, property: &str) -> String {
        text(self.call("GET", &format!("element/{}/css/{property}", self.find(selector)), None))
    }

    /// Types into a field; for a file field, the path of the file.
    pub fn type_into(&self, selector: &str, keys: &str) {
        self.post(&format!("element/{}/value", self.find(selector)), &json!({ "text": keys }));
    }

    /// Clicks the element that the selector finds.
    pub fn click(&self, selector: &str) {
        self.post(&format!("element/{}/click", self.find(selector)), &json!({}));
    }

    /// Waits until the page has this text.
    pub fn wait_for_text(&self, wanted: &str) {
        let page = || text(self.evaluate("document.body ? document.body.innerText : ''"));
        assert!(
            eventually(DEADLINE, || page().contains(wanted).then_some(())).is_some(),
            "{wanted:?} is not in:\n{}",
            page()
        );
    }

    /// Every answer over the network since the last call: status code and address.
    #[must_use]
    pub fn network(&self) -> Vec<(u64, String)> {
        let entries = self.events("Network.responseReceived");
        let answer = |event: &Value| {
            Some((event["response"]["status"].as_u64()?, event["response"]["url"].as_str()?.to_owned()))
        };
        entries.iter().filter_map(answer).collect()
    }

    /// The errors that the browser itself reports since the last call: requests that failed, scripts that did not run.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let log = self.post("se/log", &json!({ "type": "browser" }));
        let severe = log.as_array().expect("a list").iter().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }

    /// A picture of the page, in PNG format.
    #[must_use]
    pub fn screenshot(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(text(self.call("GET", "screenshot", None))).expect("base64")
    }

    fn open_session(&mut self) {
        let arguments = [
            "--headless=new",
            "--no-sandbox", // root may not use the sandbox
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--window-size=1200,800",
            &format!("--user-data-dir={}", self.profile.directory("profile").display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true, // those of the tests are vouched for by nobody
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let session = self.post("", &wanted);
        self.session = format!("{}/{}", self.session, session["sessionId"].as_str().expect("a session"));
    }

    fn find(&self, selector: &str) -> String {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector }));
        text(found[ELEMENT].clone())
    }

    /// The parameters of every DevTools event with this name in the performance log.
    fn events(&self, method: &str) -> Vec<Value> {
        let log = self.post("se/log", &json!({ "type": "performance" }));
        let messages = log.as_array().expect("a list").iter().filter_map(|entry| entry["message"].as_str());
        let events = messages.map(|text| serde_json::from_str::<Value>(text).expect("JSON")["message"].take());
        events.filter(|event| event["method"] == method).map(|mut event| event["params"].take()).collect()
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        self.call("POST", command, Some(body))
    }

    fn call(&self, method: &str, command: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/{command}", self.session);
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = [("Content-Type", "application/json")];
        let answer: Response = send(method, url.trim_end_matches('/'), &headers, body.as_bytes())
            .unwrap_or_else(|e| panic!("WebDriver {command}: {e}"));
        assert_eq!(answer.status, 200, "WebDriver {command}: {answer:?}");
        answer.json()["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        hygiene::kill_all(Some(self.driver.id()), self.profile.path());
        // The killed driver has to be reaped; its exit status says nothing.
        let _ = self.driver.wait();
    }
}

fn text(value: Value) -> String {
    value.as_str().map(String::from).unwrap_or_else(|| panic!("not a text: {value}"))
}
