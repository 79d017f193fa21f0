//! HTTPS of a generated server: what a client sees of certificates, both ways.

use crate::authority::{Authority, text};
use harness::{Express, Finished, Foreground, cannot_run, free_port};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_client_that_knows_the_root_alone_needs_the_certificates_between() {
    let Some(authority) = Authority::new() else {
        return cannot_run("a_client_that_knows_the_root_alone_needs_the_certificates_between", "no openssl or curl");
    };
    let (server, port) = authority.start(&[]);
    let refused = authority.get(port, "/?1", &[]);
    assert!(!refused.status.success() && text(&refused).contains("issuer certificate"), "{refused:?}");
    drop(server);
    let (_server, port) = authority.start(&["--ssl-certificate-chain-file", "middle.crt"]);
    let answer = authority.get(port, "/?environ['wsgi.url_scheme']", &[]);
    assert!(text(&answer).contains("200 OK") && text(&answer).ends_with("\"https\""), "{answer:?}");
}

#[test]
fn what_is_below_a_url_needs_a_certificate_of_the_client() {
    let Some(authority) = Authority::new() else {
        return cannot_run("what_is_below_a_url_needs_a_certificate_of_the_client", "no openssl or curl");
    };
    let words = ["--ssl-certificate-chain-file", "middle.crt", "--ssl-ca-certificate-file", "root.crt"];
    let words: Vec<_> = words.into_iter().chain(["--ssl-verify-client", "/private", "--ssl-environment"]).collect();
    let (_server, port) = authority.start(&words);
    let certificate = ["--cert", "client.crt", "--key", "client.key"];
    let status = |path: &str, words: &[&str]| text(&authority.get(port, path, words));
    assert!(status("/public?1", &[]).contains("200 OK"));
    assert!(status("/private?1", &[]).contains("403 Forbidden"));
    let told = status("/private?environ['SSL_CLIENT_S_DN_CN']", &certificate);
    assert!(told.contains("200 OK") && told.ends_with("\"client\""), "{told}");
}

#[test]
fn clients_of_http_are_sent_to_https_which_says_that_it_stays_so() {
    let Some(authority) = Authority::new() else {
        return cannot_run("clients_of_http_are_sent_to_https_which_says_that_it_stays_so", "no openssl or curl");
    };
    let words = ["--ssl-certificate-chain-file", "middle.crt", "--https-only", "--server-alias", "www.shop.example"];
    let words: Vec<_> = words.into_iter().chain(["--hsts-policy", "max-age=600; includeSubDomains"]).collect();
    let (server, port) = authority.start(&words);
    let plain =
        harness::Site::try_request(&server, "GET", "/page", &[("Host", "shop.example")], b"").expect("an answer");
    let to = plain.header("location").unwrap_or_default();
    assert!((300..400).contains(&plain.status) && to == format!("https://shop.example:{port}/page"), "{plain:?}");
    for name in ["shop.example", "www.shop.example"] {
        let answer = text(&authority.get_of(name, port, "/?1", &[]));
        assert!(answer.contains("200 OK"), "{name}: {answer}");
        assert!(answer.contains("Strict-Transport-Security: max-age=600; includeSubDomains"), "{name}: {answer}");
    }
}

#[test]
fn a_certificate_for_development_is_made_once_and_tells_its_fingerprint() {
    let Some(authority) = Authority::new() else {
        return cannot_run(
            "a_certificate_for_development_is_made_once_and_tells_its_fingerprint",
            "no openssl or curl",
        );
    };
    let directory = &authority.directory;
    let root = directory.path().join("dev").display().to_string();
    let start = |more: &[&str]| {
        let port = free_port();
        let (number, http) = (port.to_string(), free_port());
        let words = ["start-server", "app.wsgi", "--server-root", &root, "--https-port", &number, "--self-signed"];
        let words: Vec<_> = words.into_iter().chain(["--log-to-terminal"]).chain(more.iter().copied()).collect();
        (Express::new(&words).within(directory.path()).on_port(http).with_address().start_as_it_is(), port)
    };
    let told = |server: &Foreground| {
        let text = server.console.wait_for("Certificate        : SHA-256 ");
        text.lines()
            .find_map(|line| line.strip_prefix("Certificate        : ").map(str::to_owned))
            .expect("a fingerprint")
    };
    let (server, port) = start(&[]);
    let first = told(&server);
    std::fs::copy(directory.path().join("dev/self-signed.crt"), directory.path().join("root.crt"))
        .expect("its certificate");
    let answer = text(&authority.get_of("localhost", port, "/?environ['wsgi.url_scheme']", &[]));
    assert!(answer.contains("200 OK") && answer.ends_with("\"https\""), "{answer}");
    let key = std::fs::metadata(directory.path().join("dev/self-signed.key")).expect("its key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    drop(server);
    let (again, _) = start(&[]);
    assert_eq!(told(&again), first);
    drop(again);
    // One that ends within a month is made anew.
    authority.openssl("req -x509 -key dev/self-signed.key -days 20 -subj /CN=localhost -addext subjectAltName=DNS:localhost -out dev/self-signed.crt");
    let (renewed, _) = start(&[]);
    let third = told(&renewed);
    assert_ne!(third, first);
    authority.openssl("x509 -noout -checkend 31536000 -in dev/self-signed.crt");
    drop(renewed);
    let (again, _) = start(&[]);
    assert_eq!(told(&again), third);
    drop(again);
    // One that is for other names is, too.
    let names = ["--server-name", "shop.test", "--server-alias", "*.shop.test"];
    let (named, _) = start(&names);
    let fourth = told(&named);
    assert_ne!(fourth, third);
    drop(named);
    let (again, _) = start(&names);
    assert_eq!(told(&again), fourth);
}

#[test]
fn each_name_of_the_site_has_the_certificate_that_is_given_for_it() {
    let Some(authority) = Authority::new() else {
        return cannot_run("each_name_of_the_site_has_the_certificate_that_is_given_for_it", "no openssl or curl");
    };
    authority.directory.write("blog.cnf", "subjectAltName=DNS:blog.example\n");
    authority.certificate("blog", "root", "blog.cnf");
    let words = ["--ssl-certificate-chain-file", "middle.crt", "--server-alias", "www.shop.example"];
    let words: Vec<_> = words.into_iter().chain(["--alias-certificate", "blog.example", "blog"]).collect();
    let (_server, port) = authority.start(&words);
    for name in ["shop.example", "www.shop.example", "blog.example"] {
        let answer = text(&authority.get_of(name, port, "/?environ['HTTP_HOST']", &[]));
        assert!(answer.contains("200 OK") && answer.contains(name), "{name}: {answer}");
    }
    let other = authority.get_of("other.example", port, "/?1", &["-k"]);
    assert!(text(&other).contains("403 Forbidden"), "{other:?}");
}

fn check(authority: &Authority, words: &[&str]) -> Finished {
    let port = free_port().to_string();
    let usual = ["check", "app.wsgi", "--https-port", &port];
    let words: Vec<_> = usual.into_iter().chain(words.iter().copied()).collect();
    Express::new(&words).within(authority.directory.path()).with_place().run()
}

#[test]
fn a_certificate_that_does_not_fit_is_found_before_the_start() {
    let Some(authority) = Authority::new() else {
        return cannot_run("a_certificate_that_does_not_fit_is_found_before_the_start", "no openssl or curl");
    };
    authority.openssl("req -x509 -newkey rsa:2048 -nodes -keyout old.key -out old.crt -days 30 -subj /CN=old");
    authority.directory.write("torn.crt", "-----BEGIN CERTIFICATE-----\n");
    let with = |certificate, key| {
        check(&authority, &["--ssl-certificate-file", certificate, "--ssl-certificate-key-file", key])
    };
    let other = with("shop.crt", "client.key");
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.text.contains("client.key is not that of the certificate "), "{other:?}");
    let torn = with("torn.crt", "shop.key");
    assert!(torn.code == Some(1) && torn.text.contains("torn.crt is no certificate that can be read"), "{torn:?}");
    let good = with("old.crt", "old.key");
    assert!(good.code == Some(0) && good.text.contains("0 errors, 0 warnings"), "{good:?}");
    // Those of this test are good for two days.
    let soon = check(&authority, &["--ssl-certificate", "shop", "--server-name", "blog.example"]);
    assert_eq!(soon.code, Some(0), "{soon:?}");
    assert!(soon.text.contains("shop.crt expires in less than two weeks"), "{soon:?}");
    assert!(soon.text.contains("shop.crt is not for blog.example"), "{soon:?}");
}
