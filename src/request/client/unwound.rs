//! A response in whose course a panic has happened.

use super::HttpClient;

impl Drop for HttpClient<'_, '_> {
    /// Ends a response that a panic leaves where it is: the error page of httpd must not become a part of it.
    fn drop(&mut self) {
        if std::thread::panicking() && self.has_passed() {
            self.abort();
        }
    }
}
