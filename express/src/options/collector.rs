//! What the options about a collector of OpenTelemetry may say.

use super::check::{OptionError, Result, invalid};
use super::operation::Monitoring;

impl Monitoring {
    /// Checks the options that begin with `--opentelemetry`.
    ///
    /// # Errors
    /// The first mistake found.
    pub(super) fn check_opentelemetry(&self) -> Result {
        let given = [
            (self.opentelemetry_service.is_some(), "--opentelemetry-service"),
            (self.opentelemetry_sample.is_some(), "--opentelemetry-sample"),
            (self.opentelemetry_interval.is_some(), "--opentelemetry-interval"),
            (!self.opentelemetry_attribute.is_empty(), "--opentelemetry-attribute"),
        ];
        let Some(url) = &self.opentelemetry else {
            let needy = given.into_iter().find(|(given, _)| *given);
            return needy.map_or(Ok(()), |(_, option)| Err(OptionError::Needs { option, other: "--opentelemetry" }));
        };
        let is_host = |rest: &str| !rest.is_empty() && !rest.starts_with(['/', ':']);
        if !url.strip_prefix("http://").is_some_and(is_host) || url.contains(|c: char| !c.is_ascii_graphic()) {
            return Err(invalid(
                "--opentelemetry",
                url,
                "it is http://HOST:PORT of a collector that takes OTLP over HTTP",
            ));
        }
        if let Some(share) = self.opentelemetry_sample.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(invalid("--opentelemetry-sample", share, "it is a share of the requests, from 0 to 1"));
        }
        let is_text = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        if let Some(name) = self.opentelemetry_service.as_deref().filter(|name| !is_text(name)) {
            return Err(invalid("--opentelemetry-service", name, "it is a name"));
        }
        let is_attribute =
            |text: &&String| text.split_once('=').is_some_and(|(key, value)| is_text(key) && is_text(value));
        match self.opentelemetry_attribute.iter().find(|text| !is_attribute(text)) {
            Some(text) => Err(invalid("--opentelemetry-attribute", text, "it is KEY=VALUE")),
            None => Ok(()),
        }
    }
}
