//! What `<WSGIInterpreterOptions>` and the directives above it say about one interpreter.

use wsgi_wire::codec::Bytes;
use wsgi_wire::settings::Interpreter;

use crate::ffi::interpreter::{Gil, OWN_GIL_SINCE};
use crate::ffi::runtime::version;
use crate::process::Process;

/// The settings of one interpreter.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Directories for `sys.path`, layer by layer.
    pub(crate) python_path: Vec<Vec<Vec<u8>>>,
    /// The value of `WSGIRestrictStdin`.
    pub(crate) restrict_stdin: bool,
    /// The value of `WSGIRestrictStdout`.
    pub(crate) restrict_stdout: bool,
    /// The value of `WSGIRestrictSignal`.
    pub(crate) restrict_signal: bool,
    /// The GIL that the interpreter runs under.
    pub(crate) gil: Gil,
    /// The switch interval that its GIL is to have, seconds.
    pub(crate) switch_interval: Option<f64>,
    /// Whether a switch interval is given for this interpreter alone, which it cannot have because it shares its GIL.
    pub(crate) ignored_interval: bool,
}

impl Options {
    /// Reads the settings of this process for the interpreter of an application group.
    pub(crate) fn for_group(group: &[u8]) -> Self {
        let settings = &Process::get().settings;
        let of_process = Some(settings.switch_interval).filter(|interval| *interval > 0.0);
        Self::of(&settings.interpreters, group, of_process, version() >= OWN_GIL_SINCE)
    }

    /// Merges the layers for the interpreter of this application group; the empty name is the main interpreter.
    /// `of_process`: the process group's `switch-interval`. `own_gils`: whether Python can give sub-interpreters GILs
    /// of their own.
    pub(crate) fn of(layers: &[Interpreter], group: &[u8], of_process: Option<f64>, own_gils: bool) -> Self {
        let bytes = |list: &[Bytes]| list.iter().map(|b| b.0.clone()).collect::<Vec<_>>();
        let mut options = Self {
            python_path: Vec::new(),
            restrict_stdin: false,
            restrict_stdout: false,
            restrict_signal: true,
            gil: Gil::Shared,
            switch_interval: None,
            ignored_interval: false,
        };
        let (mut own_gil, mut for_it_alone) = (false, false);
        let fits = |name: &Option<Bytes>| name.as_ref().is_none_or(|name| name.0 == group);
        for layer in layers.iter().filter(|layer| fits(&layer.application_group)) {
            options.python_path.push(bytes(&layer.python_path));
            options.restrict_stdin = layer.restrict_stdin.unwrap_or(options.restrict_stdin);
            options.restrict_stdout = layer.restrict_stdout.unwrap_or(options.restrict_stdout);
            options.restrict_signal = layer.restrict_signal.unwrap_or(options.restrict_signal);
            options.switch_interval = layer.switch_interval.or(options.switch_interval);
            for_it_alone |= layer.switch_interval.is_some() && layer.application_group.is_some();
            own_gil = layer.own_gil.unwrap_or(own_gil);
        }
        match group {
            [] => options.switch_interval = of_process.or(options.switch_interval),
            _ if own_gil && own_gils => {
                options.gil = Gil::Own;
                options.switch_interval = options.switch_interval.or(of_process);
            }
            // The lock is the main interpreter's, and so is its interval.
            _ => {
                options.switch_interval = None;
                options.ignored_interval = for_it_alone;
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(application_group: Option<&str>, switch_interval: Option<f64>, own_gil: Option<bool>) -> Interpreter {
        Interpreter {
            application_group: application_group.map(Bytes::from),
            python_path: vec![],
            restrict_stdin: None,
            restrict_stdout: None,
            restrict_signal: None,
            switch_interval,
            own_gil,
        }
    }

    #[test]
    fn only_named_interpreters_have_gils_of_their_own() {
        let layers = [layer(None, None, Some(true)), layer(Some("shared"), None, Some(false))];
        let gil = |group: &str, own_gils| Options::of(&layers, group.as_bytes(), None, own_gils).gil;
        assert_eq!([gil("", true), gil("shared", true), gil("other", true)], [Gil::Shared, Gil::Shared, Gil::Own]);
        assert_eq!(gil("other", false), Gil::Shared);
    }

    #[test]
    fn the_switch_interval_belongs_to_a_gil() {
        let layers = [
            layer(None, Some(0.1), None),
            layer(Some("own"), Some(0.2), Some(true)),
            layer(Some("named"), Some(0.3), None),
        ];
        let interval =
            |group: &str, of_process| Options::of(&layers, group.as_bytes(), of_process, true).switch_interval;
        assert_eq!([interval("", None), interval("", Some(0.9))], [Some(0.1), Some(0.9)]);
        assert_eq!([interval("own", Some(0.9)), interval("other", None)], [Some(0.2), None]);
        let named = Options::of(&layers, b"named", None, true);
        assert!(named.ignored_interval && named.switch_interval.is_none());
        assert!(!Options::of(&layers, b"other", None, true).ignored_interval);
    }
}
