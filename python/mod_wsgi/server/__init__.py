"""The compiled parts: the Apache module, the supervisor and the command."""
