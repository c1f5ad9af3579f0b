"""Waiting for an event with a deadline. The only place of the Python tests that polls."""

import threading
import time

# AddressSanitizer and two busy cores make everything slower; a deadline here only bounds a failure.
PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.01
_never = threading.Event()


def wait_until(condition, what, timeout=PATIENCE_SECONDS, poll=_POLL_SECONDS):
    """Returns the first true value of condition(); fails with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout:g} s still waiting until {what}")
        _never.wait(poll)


def process_exists(pid):
    """True while `pid` runs; a zombie has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
