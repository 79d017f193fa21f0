//! What is wrong with options from elsewhere.

/// Why options from elsewhere cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// There is no such option.
    #[error("{origin} names the option {name}, which there is not; `mod_wsgi-express start-server --help` lists them")]
    Unknown {
        /// The file or variable that has it.
        origin: String,
        /// The name that it has.
        name: String,
    },
    /// The value cannot be one of that option.
    #[error("{origin}: the value of {name} {reason}")]
    Form {
        /// The file or variable that has it.
        origin: String,
        /// The option that it is for.
        name: String,
        /// The form that the value should have.
        reason: &'static str,
    },
    /// A file cannot be read.
    #[error("{origin}: {reason}")]
    File {
        /// The path of the file.
        origin: String,
        /// The reason of the failure.
        reason: String,
    },
}
