//! The destinations of Apache's logs.

use camino::Utf8PathBuf;

use crate::block::Block;

/// The destination of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file, or a device such as `/dev/stderr`.
    File(Utf8PathBuf),
    /// The standard input of a program, started without a shell.
    Pipe(Vec<String>),
    /// Files that `rotatelogs` begins anew.
    Rotated {
        /// The path of the program.
        rotatelogs: Utf8PathBuf,
        /// The name before the time.
        file: Utf8PathBuf,
        /// Megabytes after which a new file is begun.
        megabytes: u32,
    },
}

impl Target {
    /// The argument of `ErrorLog` and `CustomLog`.
    pub(crate) fn argument(&self) -> String {
        match self {
            Self::File(path) => path.to_string(),
            Self::Pipe(words) => pipe(words.iter().map(String::as_str)),
            Self::Rotated { rotatelogs, file, megabytes } => {
                let pattern = format!("{}.%Y-%m-%d-%H_%M_%S", file.as_str().replace('%', "%%"));
                pipe([rotatelogs.as_str(), &pattern, &format!("{megabytes}M")])
            }
        }
    }
}

/// A command line as APR splits it: within double quotes a backslash protects the next character.
fn pipe<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> =
        words.into_iter().map(|w| format!("\"{}\"", w.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("|{}", quoted.join(" "))
}

/// A line for each request.
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// The destination of the lines.
    pub target: Target,
    /// The format: `common`, `combined` or one of the user's own.
    pub format: String,
}

/// All logs of the server.
#[derive(Clone, Debug)]
pub struct Logs {
    /// The value of `ErrorLog`.
    pub error: Target,
    /// Words of `LogLevel`: a level, and levels of modules.
    pub level: Vec<String>,
    /// The value of `WSGILogFormat json`.
    pub json: bool,
    /// The value of `ErrorLogFormat`.
    pub error_format: Option<String>,
    /// The value of `CustomLog`.
    pub access: Option<AccessLog>,
}

impl Logs {
    pub(crate) fn modules(&self, need: &mut Vec<&'static str>) {
        if self.access.is_some() {
            need.push("log_config");
        }
    }

    pub(crate) fn write(&self, out: &mut Block) {
        out.comment("--log-directory, --log-to-terminal, --rotate-logs, --log-level");
        out.set("ErrorLog", self.error.argument());
        out.directive("LogLevel").args(&self.level);
        if self.json {
            out.comment("--log-format");
            out.set("WSGILogFormat", "json");
        }
        if let Some(format) = &self.error_format {
            out.comment("--error-log-format");
            out.set("ErrorLogFormat", format);
        } else if self.json {
            out.comment("The records of Apache itself, and of its other modules, are JSON, too.");
            out.set("ErrorLogFormat", "%{begin}J%M%{end}J");
        }
        if let Some(AccessLog { target, format }) = &self.access {
            out.comment("--access-log, --access-log-format");
            let text = match format.as_str() {
                "common" => r#"%h %l %u %t "%r" %>s %b"#,
                "combined" => r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i""#,
                own => own,
            };
            out.directive("CustomLog").arg(target.argument()).arg(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_logs_are_a_pipe() {
        let target =
            Target::Rotated { rotatelogs: "/usr/bin/rotatelogs".into(), file: "/my logs/100%".into(), megabytes: 5 };
        assert_eq!(target.argument(), r#"|"/usr/bin/rotatelogs" "/my logs/100%%.%Y-%m-%d-%H_%M_%S" "5M""#);
    }
}
