//! What one side can make another spend has a bound, and a test goes to it.
