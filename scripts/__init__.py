"""The local host and the operator's commands."""
