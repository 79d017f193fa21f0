//! Whatever a client sends, an unread body never becomes a request, and names of its choice cost nothing.
