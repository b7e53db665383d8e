"""What tasks wait in, and what ends a wait: of loop.py, locks.py, stream.py and waits.py."""

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

POLL = 3  # MP_STREAM_POLL


class CancelledError(BaseException):
    """Thrown into a task that is cancelled."""


class TimeoutError(Exception):
    """wait_for's time has passed."""


class Pause:
    """Yields once to the loop: for `await`, `yield from` and `yield`."""

    def __await__(self):
        yield

    __iter__ = __await__


class Parked:
    """What a task waits in: a list of tasks."""

    def __init__(self):
        self.tasks = []

    def add(self, task):
        """Park the task."""
        self.tasks.append(task)
        task.parked = self

    def pop(self):
        """Return the one that waits longest, which waits no more."""
        task = self.tasks.pop(0)
        task.parked = None
        return task

    def remove(self, task):
        """Let a task go, if it is here."""
        if task in self.tasks:
            self.tasks.remove(task)

    def __bool__(self):
        return bool(self.tasks)


__all__ = ["POLL", "CancelledError", "Parked", "Pause", "TimeoutError"]
