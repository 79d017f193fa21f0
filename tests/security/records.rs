//! An application can neither forge, cut nor flood the logs.
