"""Waiting for what comes in its own time."""
import time


def wait_until(condition, seconds=60, what="", pause=0.02):
    """Waits for a true answer and returns it. what: a text, or a function that says how things stand."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)
    return answer
