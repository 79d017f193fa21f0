//! `mod_wsgi.server_metrics()`: Apache's scoreboard for applications, where the configuration allows it.

use harness::{Httpd, PROBE, Site};
use serde_json::json;

/// Asks outside of any request, on a thread of the application's own.
const OUTSIDE: &str = "(results := [], worker := threading.Thread(target=lambda: \
    results.append(sys.modules['mod_wsgi'].server_metrics())), worker.start(), worker.join(), results[0])[-1]";

fn daemon(options: &str) -> Httpd {
    let conf = format!(
        "WSGIDaemonProcess app threads=2 {options}\n\
         WSGIScriptAlias / {{apps}}/app.wsgi process-group=app application-group=%{{GLOBAL}}"
    );
    Httpd::builder().conf(&conf).app("app.wsgi", &format!("import mod_wsgi\n{PROBE}")).start()
}

#[test]
fn a_daemon_sees_the_scoreboard_inside_and_outside_of_requests() {
    let site = daemon("server-metrics=On");
    for expression in ["mod_wsgi.server_metrics()", OUTSIDE] {
        let told = site.ask(expression);
        let processes = told["processes"].as_array().expect("a list");
        assert_eq!(told["server_limit"], json!(processes.len()));
        assert!(processes.iter().all(|p| json!(p["workers"].as_array().map(Vec::len)) == told["thread_limit"]));
        let child = site.ask("environ['mod_wsgi.server_pid']");
        assert!(processes.iter().any(|p| json!(p["pid"].to_string()) == child || p["pid"] == child), "{processes:?}");
        let busy =
            |w: &serde_json::Value| w["status"] == "W" && w["request"].as_str().is_some_and(|r| r.starts_with("GET /"));
        assert!(
            processes.iter().flat_map(|p| p["workers"].as_array().unwrap()).any(busy),
            "our own request is not there"
        );
    }
    site.finish();
}

#[test]
fn each_answer_is_new() {
    let site = daemon("server-metrics=On");
    let times = site.ask("[mod_wsgi.server_metrics()['current_time'] for _ in range(20)]");
    let times: Vec<f64> = times.as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    site.finish();
}

#[test]
fn without_permission_there_is_nothing_to_see() {
    let site = daemon("");
    assert_eq!(site.ask("mod_wsgi.server_metrics()"), json!(null));
    site.finish();
}
