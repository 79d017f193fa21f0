"""Files that visitors have uploaded."""
