//! Nobody makes root read, run, write or give away a file of somebody else's choice.
