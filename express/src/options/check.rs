//! Checks of options that need nothing but the options.

use super::server::{Options, pairs};

/// Levels of Apache's error log.
const LEVELS: [&str; 16] = [
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace1", "trace2", "trace3", "trace4",
    "trace5", "trace6", "trace7", "trace8",
];

/// A mistake in the options.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum OptionError {
    /// One option makes sense only with another.
    #[error("{option} needs {other}")]
    Needs {
        /// The one given.
        option: &'static str,
        /// The missing one.
        other: &'static str,
    },
    /// Options that exclude each other.
    #[error("{option} cannot be combined with {other}")]
    Excludes {
        /// The one.
        option: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A value of the wrong form.
    #[error("invalid value {value:?} for {option}: {reason}")]
    Invalid {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong, and what would be right.
        reason: &'static str,
    },
}

pub(super) type Result = std::result::Result<(), OptionError>;

pub(super) fn invalid(option: &'static str, value: impl ToString, reason: &'static str) -> OptionError {
    OptionError::Invalid { option, value: value.to_string(), reason }
}

impl Options {
    /// Checks what can be checked without looking at this machine.
    ///
    /// # Errors
    /// The first mistake found.
    pub fn check(&self) -> Result {
        self.check_urls()?;
        self.check_https()?;
        self.check_numbers()?;
        self.check_names()?;
        self.check_hosts()?;
        self.check_interface()?;
        self.check_debugging()?;
        self.check_telemetry()?;
        self.monitoring.check_opentelemetry()?;
        check_log_level(&self.logging.log_level)
    }

    fn check_telemetry(&self) -> Result {
        let monitoring = &self.monitoring;
        if let Some(target) = &monitoring.telemetry_service {
            if target.strip_prefix("unix:").is_none_or(str::is_empty) {
                return Err(invalid("--telemetry-service", target, "it is unix: and the path of a socket"));
            }
            if monitoring.enable_telemetry {
                return Err(OptionError::Excludes { option: "--enable-telemetry", other: "--telemetry-service" });
            }
        }
        if monitoring.enable_telemetry && pairs(&self.services.service_script).any(|(name, _)| name == "telemetry") {
            return Err(invalid("--service-script", "telemetry", "--enable-telemetry runs a service of that name"));
        }
        // As with mod_wsgi; WSGISlowRequests in a file of --include-file needs no service.
        if monitoring.slow_requests.is_some() && monitoring.telemetry_service.is_none() && !monitoring.enable_telemetry
        {
            return Err(OptionError::Needs { option: "--slow-requests", other: "--telemetry-service" });
        }
        let interval = monitoring.telemetry_interval;
        if !(interval >= 0.5 && interval.is_finite()) {
            return Err(invalid("--telemetry-interval", interval, "it is a number of seconds, 0.5 or more"));
        }
        match monitoring.slow_requests.filter(|seconds| !(*seconds >= 0.0 && seconds.is_finite())) {
            Some(seconds) => Err(invalid("--slow-requests", seconds, "it is a number of seconds, or 0 for none")),
            None => Ok(()),
        }
    }

    fn check_debugging(&self) -> Result {
        let debugging = &self.debugging;
        if debugging.debugger_startup && !debugging.enable_debugger {
            return Err(OptionError::Needs { option: "--debugger-startup", other: "--enable-debugger" });
        }
        let mut modes = debugging.modes().into_iter().chain([(debugging.embedded_mode, "--embedded-mode")]);
        match modes.find(|(given, _)| *given) {
            Some((_, other)) if !self.identity.env_file.is_empty() => {
                Err(OptionError::Excludes { option: "--env-file", other })
            }
            _ => Ok(()),
        }
    }

    fn check_urls(&self) -> Result {
        let absolute = |option, url: &str| {
            if url.starts_with('/') { Ok(()) } else { Err(invalid(option, url, "it is a URL path that begins with /")) }
        };
        for (url, _) in pairs(&self.content.url_alias) {
            absolute("--url-alias", url)?;
        }
        let content = &self.content;
        for (option, given) in [("--static-files", &content.static_files), ("--media-files", &content.media_files)] {
            if let Some((url, _)) = pairs(given).find(|(url, _)| url.trim_matches('/').is_empty()) {
                return Err(invalid(option, url, "it would take the place of the application"));
            }
        }
        for (url, _) in pairs(&self.proxying.proxy_mount_point) {
            absolute("--proxy-mount-point", url)?;
        }
        for url in &self.https.ssl_verify_client {
            absolute("--ssl-verify-client", url)?;
        }
        for url in &self.timeouts.ignore_activity {
            absolute("--ignore-activity", url)?;
        }
        let mount = &self.application.mount_point;
        if mount.contains(|c: char| c.is_whitespace() || "\"'\\?#%$".contains(c)) {
            return Err(invalid("--mount-point", mount, "it is a plain URL path such as /shop"));
        }
        for (status, _) in pairs(&self.content.error_document) {
            if !status.parse::<u16>().is_ok_and(|s| (400..600).contains(&s)) {
                return Err(invalid("--error-document", status, "it is an error status: 400 to 599"));
            }
        }
        Ok(())
    }

    fn check_https(&self) -> Result {
        let https = &self.https;
        let named = https.ssl_certificate_file.is_some() || https.ssl_certificate.is_some();
        if https.self_signed && named {
            return Err(OptionError::Excludes { option: "--self-signed", other: "a certificate that is given" });
        }
        let by_acme = !https.acme_domain.is_empty();
        if by_acme && (named || https.self_signed) {
            return Err(OptionError::Excludes { option: "--acme-domain", other: "another certificate" });
        }
        let certificate = named || https.needs_self_signed();
        let key = https.ssl_certificate_key_file.is_some() || https.ssl_certificate.is_some() || !named;
        if https.https_port.is_none() {
            let given = [
                (https.ssl_certificate_file.is_some(), "--ssl-certificate-file"),
                (https.ssl_certificate_key_file.is_some(), "--ssl-certificate-key-file"),
                (https.ssl_certificate.is_some(), "--ssl-certificate"),
                (https.ssl_certificate_chain_file.is_some(), "--ssl-certificate-chain-file"),
                (https.ssl_ca_certificate_file.is_some(), "--ssl-ca-certificate-file"),
                (!https.ssl_verify_client.is_empty(), "--ssl-verify-client"),
                (https.self_signed, "--self-signed"),
                (!https.alias_certificate.is_empty(), "--alias-certificate"),
                (by_acme, "--acme-domain"),
                (https.ssl_environment, "--ssl-environment"),
                (https.https_only, "--https-only"),
                (https.hsts_policy.is_some(), "--hsts-policy"),
            ];
            return match given.into_iter().find(|(given, _)| *given) {
                Some((_, option)) => Err(OptionError::Needs { option, other: "--https-port" }),
                None => Ok(()),
            };
        }
        let own = pairs(&https.alias_certificate).map(|(name, _)| ("--alias-certificate", name));
        let all = own.chain(https.acme_domain.iter().map(|name| ("--acme-domain", name.as_str())));
        if let Some((option, name)) =
            all.into_iter().find(|(_, name)| name.contains(['*', '/', ':']) || name.is_empty())
        {
            return Err(invalid(option, name, "it is one host name, such as shop.example"));
        }
        let rules = [
            (!by_acme && https.acme_email.is_some(), "--acme-email", "--acme-domain"),
            (!by_acme && https.acme_directory.is_some(), "--acme-directory", "--acme-domain"),
            (!by_acme && https.acme_ca_file.is_some(), "--acme-ca-file", "--acme-domain"),
            (
                !https.alias_certificate.is_empty() && self.address.server_name.is_none(),
                "--alias-certificate",
                "--server-name",
            ),
            (!certificate, "--https-port", "--ssl-certificate-file"),
            (!key, "--https-port", "--ssl-certificate-key-file, the certificate's key"),
            (
                !https.ssl_verify_client.is_empty() && https.ssl_ca_certificate_file.is_none(),
                "--ssl-verify-client",
                "--ssl-ca-certificate-file",
            ),
            (
                https.https_only && self.address.server_name.is_none() && !by_acme,
                "--https-only",
                "--server-name, the name to lead clients to",
            ),
        ];
        if let Some((_, option, other)) = rules.into_iter().find(|(broken, ..)| *broken) {
            return Err(OptionError::Needs { option, other });
        }
        let mut ports = self.address.listeners().into_iter().map(|listener| listener.port);
        match ports.find(|port| Some(*port) == https.https_port) {
            Some(port) => Err(invalid("--https-port", port, "that is the port for HTTP; choose another")),
            None => Ok(()),
        }
    }

    fn check_numbers(&self) -> Result {
        if let Some(seconds) = self.application.switch_interval.filter(|s| !(*s > 0.0 && s.is_finite())) {
            return Err(invalid("--switch-interval", seconds, "it is a number of seconds above 0"));
        }
        // The limits of WSGIDaemonProcess.
        let transfer = &self.transfer;
        let sizes = [
            ("--send-buffer-size", transfer.send_buffer_size, 512, "it is 0 or at least 512 bytes"),
            ("--receive-buffer-size", transfer.receive_buffer_size, 512, "it is 0 or at least 512 bytes"),
            ("--header-buffer-size", transfer.header_buffer_size, 8192, "it is 0 or at least 8192 bytes"),
            ("--response-buffer-size", transfer.response_buffer_size, 65536, "it is 0 or at least 65536 bytes"),
        ];
        match sizes.into_iter().find(|(_, size, min, _)| (1..*min).contains(size)) {
            Some((option, size, _, reason)) => Err(invalid(option, size, reason)),
            None => Ok(()),
        }
    }

    fn check_names(&self) -> Result {
        let Options { application, address, services, content, .. } = self;
        for path in &application.python_path {
            if path.as_str().contains(':') {
                return Err(invalid("--python-path", path, "it is one directory, and its name cannot contain a colon"));
            }
        }
        let places = address.listeners();
        let mut bound = places.iter().enumerate();
        if let Some((_, twice)) = bound.find(|(at, one)| places[..*at].iter().any(|other| other.overlaps(one))) {
            return Err(invalid("--bind", twice.port, "another --bind has that port at the same address, or at all"));
        }
        if address.server_name.is_none() && !address.server_alias.is_empty() {
            return Err(OptionError::Needs { option: "--server-alias", other: "--server-name" });
        }
        if address.server_name.is_none() && address.allow_localhost {
            return Err(OptionError::Needs { option: "--allow-localhost", other: "--server-name" });
        }
        if self.access.auth_group_script.is_some() && self.access.auth_user_script.is_none() {
            return Err(OptionError::Needs { option: "--auth-group-script", other: "--auth-user-script" });
        }
        for (extension, _) in pairs(&application.add_handler) {
            if !extension.starts_with('.') {
                return Err(invalid("--add-handler", extension, "it is an extension such as .tpl"));
            }
        }
        if application.disable_reloading && application.reload_on_changes {
            return Err(OptionError::Excludes { option: "--reload-on-changes", other: "--disable-reloading" });
        }
        if content.allow_override.iter().any(|kind| kind.contains(char::is_whitespace)) {
            return Err(invalid(
                "--allow-override",
                content.allow_override.join(" "),
                "it is one kind, such as FileInfo",
            ));
        }
        let known: Vec<_> = pairs(&services.service_script).map(|(name, _)| name).collect();
        let details = [
            ("--service-user", &services.service_user),
            ("--service-group", &services.service_group),
            ("--service-log-file", &services.service_log_file),
        ];
        for (option, words) in details {
            if let Some((name, _)) = pairs(words).find(|(name, _)| !known.contains(name)) {
                return Err(invalid(option, name, "no --service-script has that name"));
            }
        }
        match known.iter().enumerate().find(|(i, name)| known[..*i].contains(name)) {
            Some((_, name)) => Err(invalid("--service-script", name, "two services have that name")),
            None => Ok(()),
        }
    }
}

fn check_log_level(text: &str) -> Result {
    const REASON: &str =
        "it is one of emerg, alert, crit, error, warn, notice, info, debug and trace1 to trace8, or MODULE:LEVEL";
    let known = |word: &str| {
        let level = word.rsplit_once(':').map_or(word, |(_, level)| level);
        LEVELS.contains(&level.to_ascii_lowercase().as_str())
    };
    if !text.trim().is_empty() && text.split_whitespace().all(known) {
        return Ok(());
    }
    Err(invalid("--log-level", text, REASON))
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn checked(line: &str) -> Result {
        let command = Options::augment_args(Command::new("t").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace()).unwrap();
        Options::from_arg_matches(&matches).unwrap().check()
    }

    #[test]
    fn options_that_need_others() {
        let needs = |line: &str, option, other| assert_eq!(checked(line), Err(OptionError::Needs { option, other }));
        needs("--slow-requests 1", "--slow-requests", "--telemetry-service");
        needs("--ssl-certificate-file x", "--ssl-certificate-file", "--https-port");
        needs("--opentelemetry-sample 1", "--opentelemetry-sample", "--opentelemetry");
        needs("--opentelemetry-attribute a=b", "--opentelemetry-attribute", "--opentelemetry");
        needs("--https-port 1 --ssl-certificate-key-file k", "--https-port", "--ssl-certificate-file");
        needs("--server-alias x", "--server-alias", "--server-name");
        needs("--debugger-startup", "--debugger-startup", "--enable-debugger");
        assert_eq!(checked("--https-port 1 --ssl-certificate x --server-name n --https-only"), Ok(()));
    }

    #[test]
    fn values_of_the_wrong_form() {
        for line in [
            "--log-level loud",
            "--switch-interval 0",
            "--switch-interval nan",
            "--telemetry-service udp:127.0.0.1:99",
            "--telemetry-interval 0.1",
            "--send-buffer-size 100",
            "--url-alias static static",
            "--static-files / static",
            "--error-document 200 /x",
            "--service-user tasks www-data",
            "--mount-point /a?b",
            "--bind :8000 --bind 127.0.0.1:8000",
            "--bind [::1]:8000 --bind [::1]:8000",
        ] {
            let Err(OptionError::Invalid { option, .. }) = checked(line) else { panic!("accepted: {line}") };
            assert!(line.starts_with(option));
        }
        for (line, wrong) in [
            ("--opentelemetry https://collector", "--opentelemetry"),
            ("--opentelemetry http://:4318", "--opentelemetry"),
            ("--opentelemetry http://c --opentelemetry-sample 1.1", "--opentelemetry-sample"),
            ("--opentelemetry http://c --opentelemetry-attribute key", "--opentelemetry-attribute"),
            ("--opentelemetry http://c --opentelemetry-attribute =value", "--opentelemetry-attribute"),
        ] {
            let Err(OptionError::Invalid { option, .. }) = checked(line) else { panic!("accepted: {line}") };
            assert_eq!(option, wrong);
        }
        assert_eq!(checked("--opentelemetry http://[::1]:4318/base --opentelemetry-attribute a=b=c"), Ok(()));
        assert_eq!(check_log_level("crit wsgi:debug"), Ok(()));
    }

    proptest::proptest! {
        #[test]
        fn whatever_values_options_get_they_are_taken_or_refused(
            words in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), "[ -~]{0,12}|-?[0-9]{1,20}|[a-z]{1,5}:[ -~]{0,9}"), 1..4),
        ) {
            let command = Options::augment_args(Command::new("t").no_binary_name(true));
            let known: Vec<String> = command.get_arguments().filter_map(|option| Some(format!("--{}", option.get_long()?))).collect();
            let line = words.iter().flat_map(|(option, value)| [option.get(&known).clone(), value.clone(), value.clone()]);
            if let Ok(matches) = command.try_get_matches_from(line) {
                let outcome = Options::from_arg_matches(&matches).unwrap().check();
                // A refusal names an option that there is.
                let named = match outcome {
                    Ok(()) => return Ok(()),
                    Err(OptionError::Needs { option, .. } | OptionError::Excludes { option, .. }) => option,
                    Err(OptionError::Invalid { option, .. }) => option,
                };
                proptest::prop_assert!(known.iter().any(|known| known == named), "{named}");
            }
        }
    }
}
