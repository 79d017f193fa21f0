//! Beside other modules of Apache.

use harness::{Builder, Httpd, MODES, Response, Site, cannot_run, curl_has, module};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn a_range_of_a_file_that_mod_xsendfile_sends_is_answered() {
    let Some(xsendfile) = module("xsendfile") else {
        let why = "needs mod_xsendfile (Debian: libapache2-mod-xsendfile)";
        return cannot_run("a_range_of_a_file_that_mod_xsendfile_sends_is_answered", why);
    };
    let sends = r#"
import os
def application(environ, start_response):
    film = os.path.join(os.path.dirname(__file__), "..", "films", "film")
    start_response("200 OK", [("Content-Type", "video/mp4"), ("X-Sendfile", os.path.abspath(film))])
    return [b"in place of it"]
"#;
    let site = Httpd::both_modes("threads=2", sends)
        .conf(&format!(
            "LoadModule xsendfile_module {}\nXSendFile On\nXSendFilePath {{root}}/films",
            xsendfile.display()
        ))
        .file("films/film", "0123456789")
        .start();
    for mode in MODES {
        let whole = site.get(mode);
        assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"), "{mode}");
        for (range, part) in [("bytes=2-4", "234"), ("bytes=8-", "89"), ("bytes=-1", "9")] {
            let answer = site.request("GET", mode, &[("Range", range)], b"");
            assert_eq!((answer.status, answer.text().as_str()), (206, part), "{mode} {range}");
            assert_eq!(answer.header("content-type"), Some("video/mp4"), "{mode}");
            assert_eq!(answer.header("content-length"), Some(&*part.len().to_string()), "{mode}");
        }
        assert_eq!(site.request("GET", mode, &[("Range", "bytes=20-")], b"").status, 416, "{mode}");
    }
    site.finish();
}

#[test]
fn a_proxy_in_front_that_asks_whether_a_thread_is_free_gets_an_answer() {
    let (Some(proxy), Some(http)) = (module("proxy"), module("proxy_http")) else {
        return cannot_run(
            "a_proxy_in_front_that_asks_whether_a_thread_is_free_gets_an_answer",
            "needs mod_proxy_http",
        );
    };
    let counts = r#"
import time
def application(environ, start_response):
    if environ["QUERY_STRING"] == "late":
        time.sleep(1.5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(environ["wsgi.input"].read())).encode()]
"#;
    // Apache is its own proxy.
    let site = Httpd::both_modes("threads=2", counts)
        .conf(&format!("LoadModule proxy_module {}\nLoadModule proxy_http_module {}", proxy.display(), http.display()))
        .conf("ProxyPass /front/daemon http://127.0.0.1:{port}/daemon ping=1")
        .start();
    for length in [4, 100_000] {
        // What the application does before it reads does not count: the proxy is answered when a thread has the
        // request.
        for query in ["", "?late"] {
            let answer = site.request("POST", &format!("/front/daemon{query}"), &[], &vec![b'x'; length]);
            assert_eq!((answer.status, answer.text()), (200, length.to_string()), "{query}");
        }
    }
    site.finish();
}

/// Answers with what it has been asked, and the environ of the request.
const TELLS: &str = r#"
import json

answers = 0

def application(environ, start_response):
    global answers
    answers += 1
    body = environ["wsgi.input"].read()
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    told |= {"answers": answers, "body": body.decode("latin-1")}
    headers = [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Cache-Control", "max-age=60")]
    start_response("200 OK", headers)
    yield json.dumps(told).encode()
    if environ["QUERY_STRING"].startswith("long"):
        for _ in range(100):
            yield b" " * 1024
"#;

/// A server with the modules that the test is about, if this Apache has them. One of each mode, and one process: what
/// is counted counts for all.
fn beside(test: &str, modules: &[&str], conf: &str) -> Option<Builder> {
    let mut lines = String::from("ServerLimit 1\n");
    for name in modules {
        let Some(file) = module(name) else {
            cannot_run(test, &format!("needs mod_{name}"));
            return None;
        };
        // What Apache calls a module is not always what its file is called.
        lines += &format!("LoadModule {name}_module {}\n", file.display());
    }
    Some(Httpd::both_modes("threads=2", TELLS).conf(&format!("{lines}{conf}")))
}

fn told(answer: &Response) -> serde_json::Value {
    serde_json::from_slice(answer.body.trim_ascii()).expect("JSON")
}

#[test]
fn compressed_answers_are_whole_and_say_so() {
    let conf = "SetOutputFilter BROTLI_COMPRESS;DEFLATE";
    let Some(site) = beside("compressed_answers_are_whole_and_say_so", &["brotli"], conf) else { return };
    let site = site.start();
    for mode in MODES {
        let path = format!("{mode}?long");
        let plain = site.request("GET", &path, &[], b"");
        assert!(plain.header("content-encoding").is_none() && plain.body.len() > 100_000, "{mode}");
        for coding in ["gzip", "br"] {
            let packed = site.request("GET", &path, &[("Accept-Encoding", coding)], b"");
            assert_eq!(packed.status, 200, "{mode} {coding}");
            assert_eq!(packed.header("content-encoding"), Some(coding), "{mode}");
            let length = packed.header("content-length").and_then(|length| length.parse().ok());
            assert!(length.is_none_or(|length: usize| length == packed.body.len()), "{mode} {coding}: {length:?}");
            assert!(packed.header("vary").is_some_and(|vary| vary.contains("Accept-Encoding")), "{mode} {coding}");
            assert!(packed.body.len() < 10_000, "{mode} {coding}: {} bytes", packed.body.len());
        }
    }
    site.finish();
}

#[test]
fn mod_headers_sees_and_changes_headers_on_both_ways() {
    let conf = "RequestHeader set X-In from-apache\nRequestHeader unset X-Secret\n\
                Header set X-Frame-Options DENY\nHeader edit Set-Cookie ^(.*)$ \"$1; Secure\"\nHeader set X-Script %{SCRIPT_NAME}e";
    let site = Httpd::both_modes("threads=2", TELLS).conf(conf).start();
    for mode in MODES {
        let answer = site.request("GET", mode, &[("X-Secret", "x")], b"");
        let environ = told(&answer);
        assert_eq!(environ["HTTP_X_IN"], "from-apache", "{mode}");
        assert!(environ.get("HTTP_X_SECRET").is_none(), "{mode}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{mode}");
        assert_eq!(answer.header("set-cookie"), Some("a=1; Secure"), "{mode}");
        assert_eq!(answer.header("x-script"), Some(mode), "{mode}");
    }
    site.finish();
}

#[test]
fn mod_ratelimit_slows_an_answer_down_and_leaves_it_whole() {
    let conf = "SetOutputFilter RATE_LIMIT\nSetEnv rate-limit 50";
    let Some(site) = beside("mod_ratelimit_slows_an_answer_down_and_leaves_it_whole", &["ratelimit"], conf) else {
        return;
    };
    let site = site.start();
    for mode in MODES {
        let start = Instant::now();
        let answer = site.get(&format!("{mode}?long"));
        assert!(answer.body.len() > 100_000, "{mode}");
        assert!(start.elapsed() > Duration::from_secs(1), "{mode}: 100 KiB at 50 KiB/s in {:?}", start.elapsed());
    }
    site.finish();
}

#[test]
fn mod_cache_answers_in_the_applications_place_as_long_as_that_allows() {
    let conf = "CacheEnable disk /\nCacheRoot {root}/cache\nCacheQuickHandler off\nCacheIgnoreHeaders Set-Cookie";
    let modules = ["cache", "cache_disk"];
    let Some(site) = beside("mod_cache_answers_in_the_applications_place_as_long_as_that_allows", &modules, conf)
    else {
        return;
    };
    let site = site.file("cache/.keep", "").start();
    let cache = site.root().join("cache");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).expect("a directory for Apache's user");
    for mode in MODES {
        let path = format!("{mode}?cached");
        let first = told(&site.get(&path));
        let second = site.get(&path);
        assert_eq!(told(&second)["answers"], first["answers"], "{mode}: the second is the first");
        assert!(second.header("age").is_some(), "{mode}");
        assert_eq!(second.header("set-cookie"), None, "{mode}");
        let posted = told(&site.request("POST", &path, &[], b"new"));
        assert_ne!(posted["answers"], first["answers"], "{mode}: what changes something is never answered from memory");
    }
    site.finish();
}

#[test]
fn mod_remoteip_tells_applications_who_the_client_is() {
    let conf = "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1";
    let Some(site) = beside("mod_remoteip_tells_applications_who_the_client_is", &["remoteip"], conf) else { return };
    let site = site.start();
    for mode in MODES {
        let environ = told(&site.request("GET", mode, &[("X-Forwarded-For", "192.0.2.7")], b""));
        assert_eq!(environ["REMOTE_ADDR"], "192.0.2.7", "{mode}");
        assert!(environ.get("HTTP_X_FORWARDED_FOR").is_none(), "{mode}: it has been used up");
    }
    site.finish();
}

#[test]
fn what_a_hook_of_mod_lua_sets_is_in_the_environ() {
    let conf = "LuaHookFixups {root}/hook.lua fixups";
    let Some(site) = beside("what_a_hook_of_mod_lua_sets_is_in_the_environ", &["lua"], conf) else { return };
    let hook = "function fixups(r)\n    r.subprocess_env['FROM_LUA'] = 'set'\n    return apache2.DECLINED\nend\n";
    let site = site.file("hook.lua", hook).start();
    for mode in MODES {
        assert_eq!(told(&site.get(mode))["FROM_LUA"], "set", "{mode}");
    }
    site.finish();
}

#[test]
fn mod_security_reads_a_body_before_the_application_and_stops_what_it_should() {
    let conf = "SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess On\nSecResponseBodyMimeType application/json\n\
                SecRule REQUEST_BODY \"attack\" \"id:1,phase:2,deny,status:403\"\n\
                SecRule RESPONSE_BODY \"leak\" \"id:2,phase:4,deny,status:403\"";
    let test = "mod_security_reads_a_body_before_the_application_and_stops_what_it_should";
    let Some(site) = beside(test, &["security2", "unique_id"], conf) else { return };
    let site = site.start();
    for mode in MODES {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let harmless = site.request("POST", mode, &form, b"name=value");
        assert_eq!((harmless.status, &told(&harmless)["body"]), (200, &"name=value".into()), "{mode}");
        assert_eq!(site.request("POST", mode, &form, b"name=attack").status, 403, "{mode}");
        let stopped = site.request("POST", mode, &form, b"name=leak");
        assert!(stopped.status == 403 && !stopped.text().contains("leak"), "{mode}: {}", stopped.text());
    }
    site.finish();
}

#[test]
fn mod_auth_openidc_sends_to_the_provider_who_has_not_logged_in() {
    let conf = "OIDCProviderIssuer https://id.example\nOIDCProviderAuthorizationEndpoint https://id.example/authorize\n\
                OIDCProviderTokenEndpoint https://id.example/token\nOIDCClientID us\nOIDCClientSecret secret\n\
                OIDCRedirectURI http://127.0.0.1/callback\nOIDCCryptoPassphrase phrase\nOIDCUnAuthAction auth\n\
                <LocationMatch ^/(daemon|embedded)>\nAuthType openid-connect\nRequire valid-user\n</LocationMatch>\n\
                <LocationMatch /open>\nAuthType openid-connect\nOIDCUnAuthAction pass\n</LocationMatch>";
    let test = "mod_auth_openidc_sends_to_the_provider_who_has_not_logged_in";
    let Some(site) = beside(test, &["auth_openidc"], conf) else { return };
    let site = site.start();
    for mode in MODES {
        let answer = site.get(mode);
        assert_eq!(answer.status, 302, "{mode}");
        let location = answer.header("location").expect("a Location");
        assert!(location.starts_with("https://id.example/authorize?"), "{mode}: {location}");
        let open =
            site.request("GET", &format!("{mode}/open"), &[("OIDC_CLAIM_sub", "forged"), ("X-Remote-User", "x")], b"");
        assert_eq!(open.status, 200, "{mode}");
        let environ = told(&open);
        assert!(environ.get("HTTP_OIDC_CLAIM_SUB").is_none(), "{mode}: only the module says who somebody is");
    }
    site.finish();
}

#[test]
fn over_http2_requests_and_answers_are_those_of_http1() {
    let test = "over_http2_requests_and_answers_are_those_of_http1";
    let Some(site) = beside(test, &["http2"], "Protocols h2c http/1.1") else { return };
    if !curl_has("HTTP2") {
        return cannot_run(test, "needs a curl that speaks HTTP/2");
    }
    let site = site.start();
    for mode in MODES {
        let url = site.url(&format!("{mode}/a?b=c"));
        let words = ["-s", "--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}", "-H", "X-Some: thing"];
        let asked = Command::new("curl").args(words).args(["--data-binary", "body", &url]).output().expect("curl runs");
        let said = String::from_utf8_lossy(&asked.stdout).into_owned();
        let (body, how) = said.rsplit_once('\n').expect("a body and more");
        assert_eq!(how, "2 200", "{mode}: {said}");
        let environ: serde_json::Value = serde_json::from_str(body.trim()).expect("JSON");
        for (name, value) in [
            ("SERVER_PROTOCOL", "HTTP/2.0"),
            ("REQUEST_METHOD", "POST"),
            ("PATH_INFO", "/a"),
            ("QUERY_STRING", "b=c"),
            ("CONTENT_LENGTH", "4"),
            ("HTTP_X_SOME", "thing"),
        ] {
            assert_eq!(environ[name], value, "{mode}: {name}");
        }
    }
    site.finish();
}

#[test]
fn mod_md_answers_the_challenges_of_its_domains_and_the_application_all_others() {
    let test = "mod_md_answers_the_challenges_of_its_domains_and_the_application_all_others";
    // Its directory of certificates is not reached, and need not be: the challenge is there already.
    let conf = "MDStoreDir {root}/md\nMDCertificateAuthority http://127.0.0.1:9/directory\n\
                MDCertificateAgreement accepted\nMDContactEmail admin@managed.example\nMDRenewMode manual\n\
                MDomain managed.example\n\
                <VirtualHost *:{port}>\nServerName managed.example\n\
                WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=%{GLOBAL}\n</VirtualHost>\n\
                <VirtualHost *:{port}>\nServerName other.example\n\
                WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=%{GLOBAL}\n</VirtualHost>";
    let Some(site) = beside(test, &["md"], conf) else { return };
    let site = site.file("md/challenges/managed.example/acme-http-01.txt", "token.thumbprint").start();
    let ask = |host: &str, path: &str| site.request("GET", path, &[("Host", host)], b"");
    let challenge = ask("managed.example", "/.well-known/acme-challenge/token");
    assert_eq!((challenge.status, challenge.text().as_str()), (200, "token.thumbprint"));
    for (host, path) in [("managed.example", "/shop"), ("other.example", "/.well-known/acme-challenge/token")] {
        let answer = ask(host, path);
        assert_eq!((answer.status, told(&answer)["PATH_INFO"].as_str()), (200, Some(path)), "{host}");
    }
    site.finish();
}
