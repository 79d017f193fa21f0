"""A room in which visitors chat."""
