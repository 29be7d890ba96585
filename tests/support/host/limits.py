"""The time limits of the host that the tests of the functions share."""

HEADER_READ_S, BODY_STALL_S = 2.0, 3.0
LATE_S = 20.0
"""What a busy machine may add to a time limit. An upstream has 30 s unless its service says otherwise."""
