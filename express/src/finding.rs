//! Findings of a check: one line for each, which ends in the cure.

use std::fmt::Write;

use serde::Serialize;

use crate::options::Format;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The server will not start, or requests will fail.
    Error,
    /// It may well be intended.
    Warning,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The severity of the finding.
    pub severity: Severity,
    /// The check that has found it, in one word that stays the same.
    pub check: &'static str,
    /// What is wrong, and the cure.
    pub message: String,
}

impl Finding {
    /// Makes a finding of something that is wrong.
    pub fn error(check: &'static str, message: impl ToString) -> Self {
        Self { severity: Severity::Error, check, message: one_line(&message.to_string()) }
    }

    /// Makes a finding of something that people should know.
    pub fn warning(check: &'static str, message: impl ToString) -> Self {
        Self { severity: Severity::Warning, ..Self::error(check, message) }
    }
}

/// Makes one line of a text of others, without a character that a terminal would obey.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Formats all findings as text, the worst first. `subject` is what has been checked.
///
/// # Errors
/// Never in fact: everything in it can be JSON.
pub fn report(mut findings: Vec<Finding>, subject: &str, format: Format) -> Result<String, serde_json::Error> {
    // A stable sort: what was found first stays first.
    findings.sort_by_key(|finding| finding.severity);
    if format == Format::Json {
        let all = serde_json::json!({ "ok": is_good(&findings), "subject": subject, "findings": findings });
        return Ok(serde_json::to_string_pretty(&all)? + "\n");
    }
    let mut text = String::new();
    for Finding { severity, message, .. } in &findings {
        let label = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = writeln!(text, "{label}: {message}");
    }
    let number = |severity: Severity, one: &str| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        format!("{count} {one}{}", if count == 1 { "" } else { "s" })
    };
    let (errors, warnings) = (number(Severity::Error, "error"), number(Severity::Warning, "warning"));
    let _ = writeln!(text, "{subject}: {errors}, {warnings}");
    Ok(text)
}

/// Whether nothing is wrong.
pub fn is_good(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity != Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_first_each_on_its_line() {
        let findings = vec![Finding::warning("port", "w\n  x"), Finding::error("user", "e\u{1b}[1m")];
        let text = report(findings.clone(), "shop", Format::Text).unwrap();
        assert_eq!(text, "error: e?[1m\nwarning: w x\nshop: 1 error, 1 warning\n");
        let json: serde_json::Value = serde_json::from_str(&report(findings, "shop", Format::Json).unwrap()).unwrap();
        assert_eq!((&json["ok"], &json["findings"][0]["check"]), (&false.into(), &"user".into()));
    }
}
