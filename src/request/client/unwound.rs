//! A response or a WebSocket in whose course a panic has happened.

use super::HttpClient;
use crate::httpd::upgraded;
use crate::request::client_websocket::ClientWebSocket;

impl Drop for HttpClient<'_, '_> {
    /// Ends a response or a WebSocket that a panic leaves where it is: the error page of httpd must not become a part
    /// of it.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        if self.websocket.as_ref().is_some_and(ClientWebSocket::is_granted) {
            upgraded::break_off(self.r);
        } else if self.has_passed() {
            self.abort();
        }
    }
}
