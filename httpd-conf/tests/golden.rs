//! Whole configurations, compared with what was reviewed. `UPDATE_GOLDEN=1 cargo test -p httpd-conf` writes them anew.

use std::error::Error;

use httpd_conf::{
    Access, AccessLog, Acme, Alias, Application, Authentication, ClientCertificates, Connection, Content, Environment,
    Files, Fractions, Hosting, HostingMode, Logs, Module, Mount, Mpm, NamedCertificate, NamedHost, Proxy, ReadLimit,
    RunAs, STATUS_PAGES, Scheme, Server, Service, Sites, Sizes, Target, Telemetry, Tls, Wsgi,
};

fn compare(name: &str, server: &Server) -> Result<(), Box<dyn Error>> {
    let file = format!("{}/tests/golden/{name}.conf", env!("CARGO_MANIFEST_DIR"));
    let text = server.render()?;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &text)?;
    }
    let reviewed = std::fs::read_to_string(&file)?;
    assert!(text == reviewed, "{file} differs; look at `UPDATE_GOLDEN=1 cargo test -p httpd-conf; git diff`:\n{text}");
    Ok(())
}

/// What `start-server app.wsgi` gives.
fn plain() -> Server {
    let header = ReadLimit { timeout: 15, maximum: 30, rate: 500 };
    Server {
        root: "/run/site".into(),
        pid_file: "/run/site/httpd.pid".into(),
        run_as: RunAs { user: "www-data".into(), group: "#33".into() },
        library: None,
        modules: vec![Module { name: "mpm_event".into(), file: "/modules/mod_mpm_event.so".into() }],
        mpm: Mpm::Event,
        sizes: Sizes::new(Mpm::Event, 5, None, Fractions::default()),
        sites: Sites {
            address: None,
            more: vec![],
            unix: vec![],
            only_unix: false,
            port: 8000,
            default_name: "localhost".into(),
            name: None,
            aliases: vec![],
            admit_local: false,
            tls: None,
            https_only: false,
        },
        connection: Connection {
            timeout: 60,
            keep_alive: 2,
            backlog: 500,
            header,
            body: ReadLimit { maximum: 0, ..header },
            limit_request_body: 10_485_760,
            http2: false,
        },
        logs: Logs {
            error: Target::File("/run/site/error_log".into()),
            level: vec!["warn".into()],
            json: false,
            error_format: None,
            access: None,
        },
        content: Content {
            document_root: "/run/site/htdocs".into(),
            application: Some(Application { mount_point: String::new(), reserved: &[] }),
            directory_index: None,
            directory_listing: false,
            allow_override: vec!["None".into()],
            rewrite_rules: "/run/site/rewrite.conf".into(),
            aliases: vec![],
            error_documents: vec![],
            resource_extensions: vec![],
            cgi: None,
            mime_types: "/etc/mime.types".into(),
            compress: false,
            sendfile: false,
        },
        proxy: Proxy::default(),
        access: Access::default(),
        status_page: false,
        metrics: false,
        wsgi: Wsgi {
            python_home: "/venv".into(),
            socket_prefix: "/run/site/wsgi".into(),
            hosting: Some(Hosting {
                mode: HostingMode::Daemons {
                    name: "localhost:8000".into(),
                    settings: vec![("home", "/my site".into()), ("threads", "5".into())],
                },
                application_group: "%{GLOBAL}".into(),
                handler: "/run/site/handler.wsgi".into(),
                resource: None,
            }),
            services: vec![],
            access: None,
            settings: vec![],
            trusted_proxies: vec![],
            trusted_headers: vec![],
            ignore_activity: vec![],
            telemetry: Telemetry::default(),
        },
        environment: Environment::default(),
        includes: vec![],
    }
}

/// One of everything.
fn full() -> Server {
    let mut server = plain();
    server.sites = Sites {
        address: Some("[::1]".into()),
        name: Some("www.site.test".into()),
        aliases: vec!["*.site.test".into(), "shop.test".into()],
        admit_local: true,
        https_only: true,
        tls: Some(Tls {
            port: 8443,
            certificate: "/tls/site.crt".into(),
            key: "/tls/site.key".into(),
            chain: Some("/tls/chain.crt".into()),
            clients: Some(ClientCertificates { authority: "/tls/ca.crt".into(), urls: vec!["/members".into()] }),
            environment: true,
            hsts: Some("max-age=31536000; includeSubDomains".into()),
            named: vec![NamedCertificate {
                name: "shop.test".into(),
                certificate: "/tls/shop.crt".into(),
                key: "/tls/shop.key".into(),
            }],
            acme: Some(Acme {
                domains: vec!["www.site.test".into()],
                directory: Some("https://acme.test/dir".into()),
                authority: None,
                contact: Some("admin@site.test".into()),
            }),
        }),
        ..server.sites
    };
    server.connection.http2 = true;
    server.connection.keep_alive = 0;
    server.connection.body.timeout = 0;
    server.logs = Logs {
        error: Target::Rotated { rotatelogs: "/bin/rotatelogs".into(), file: "/logs/error".into(), megabytes: 5 },
        level: vec!["info".into(), "wsgi:debug".into()],
        json: true,
        error_format: Some("%M".into()),
        access: Some(AccessLog { target: Target::Pipe(vec!["/bin/cat".into()]), format: "combined".into() }),
    };
    let alias =
        |url: &str, target: &str, file| Alias { url: url.into(), target: target.into(), file, files: Files::Any };
    server.content = Content {
        application: Some(Application { mount_point: "/api/v1.0".into(), reserved: &STATUS_PAGES }),
        directory_index: Some("index.html".into()),
        directory_listing: true,
        allow_override: vec!["FileInfo".into(), "Limit".into()],
        aliases: vec![
            alias("/", "/site", false),
            alias("/static", "/my site/static", false),
            alias("/static/inner", "/inner", false),
            alias("/favicon.ico", "/img/fav.ico", true),
            Alias { files: Files::Static, ..alias("/app/files", "/collected", false) },
            Alias { files: Files::Uploads, ..alias("/uploads", "/uploads", false) },
        ],
        error_documents: vec![("404".into(), "/pages/404.html".into())],
        resource_extensions: vec![".tpl".into()],
        cgi: Some("cgid"),
        compress: true,
        sendfile: true,
        ..server.content
    };
    server.wsgi.telemetry.open = Some((
        "http://127.0.0.1:4318".to_owned(),
        vec![("service", "shop floor".to_owned()), ("resource", "a=b".to_owned())],
    ));
    server.proxy = Proxy {
        mounts: vec![Mount { url: "/other/".into(), target: "http://127.0.0.1:9000/".into() }],
        hosts: vec![NamedHost { name: "api.site.test".into(), target: "unix:/run/api.sock|http://api/".into() }],
        timeout: Some(30),
    };
    server.access = Access {
        host_script: Some("/auth.py".into()),
        authentication: Some(Authentication {
            scheme: Scheme::Digest,
            realm: "[::1]:8000".into(),
            user_script: "/auth.py".into(),
            group: Some(("/auth.py".into(), "the staff".into())),
        }),
    };
    server.status_page = true;
    server.metrics = true;
    if let Some(hosting) = &mut server.wsgi.hosting {
        hosting.resource = Some("/run/site/resource.wsgi".into());
    }
    server.wsgi.access = Some(vec![("home", "/my site".into())]);
    server.wsgi.services = vec![Service {
        name: "tasks".into(),
        script: "/tasks.py".into(),
        settings: vec![("threads", "0".into())],
        log: Some(Target::File("/logs/tasks".into())),
    }];
    server.wsgi.settings = vec![("WSGIChunkedRequest", "--chunked-request", "On".into())];
    server.wsgi.trusted_proxies = vec!["10.0.0.0/8".into()];
    server.wsgi.trusted_headers = vec!["X-Forwarded-For".into()];
    server.wsgi.ignore_activity = vec!["/health".into()];
    server.environment =
        Environment { set: vec![("TEXT".into(), r#"it's "${HOME}" \ there"#.into())], pass: vec!["DB_URL".into()] };
    server.includes = vec!["/extra.conf".into()];
    server
}

#[test]
fn plain_server() -> Result<(), Box<dyn Error>> {
    compare("plain", &plain())
}

#[test]
fn full_server() -> Result<(), Box<dyn Error>> {
    compare("full", &full())
}

#[test]
fn modules_are_those_of_the_directives() {
    let plain = plain().needed_modules();
    assert!(!plain.contains(&"ssl") && !plain.contains(&"proxy") && plain.contains(&"rewrite"));
    let full = full().needed_modules();
    for name in ["ssl", "proxy_http", "http2", "status", "deflate", "autoindex", "cgid", "auth_digest", "log_config"] {
        assert!(full.contains(&name), "{name}");
    }
    assert!(full.iter().all(|name| full.iter().filter(|other| *other == name).count() == 1));
}
