"""What MicroPython's asyncio, select and sys have beyond CPython's, for firmware that waits.

Tasks of a firmware run in host tests as they are: asyncio gets `sleep_ms`, `wait_for_ms`,
`ThreadSafeFlag` and `core._io_queue`, through which that and ringlane's waiters wait, and of
`core._task_queue` and `core.Task` what their time-outs need. A stream that is waited for is looked
at once a millisecond, as MicroPython's unix port does.

`sleep_ms` and `wait_for_ms` take the host's time. Where the simulated clock stands still, what
waits for its time-out waits until somebody advances it.
"""

import asyncio
import functools
import io
import sys
import time
import traceback
import types

from .ticks import clock

_PERIOD_US = 1000
_POLL = 3  # MP_STREAM_POLL
_POLLIN = 1
_POLLOUT = 4


class _IOQueue:
    """Where a task waits for a stream: by yielding what these return.

    All streams are looked at together, in the loop's next round and from then on each period.
    """

    def __init__(self):
        self._waiting = []  # (future, stream, events)
        self._next_look = None

    def queue_read(self, stream):
        return self._wait(stream, _POLLIN)

    def queue_write(self, stream):
        return self._wait(stream, _POLLOUT)

    def _wait(self, stream, events):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append((future, stream, events))
        if self._next_look is not None:
            self._next_look.cancel()
        self._next_look = loop.call_soon(self._look, loop)
        return next(future.__await__())

    def _look(self, loop):
        self._next_look = None
        asyncio.core._task_queue.run()  # type: ignore[attr-defined]
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            future, stream, events = each
            if future.done() or future.get_loop() is not loop:
                continue  # its task was cancelled, or gone with its loop
            try:
                ready = stream.ioctl(_POLL, events)
            except Exception as error:
                future.set_exception(error)
            else:
                if ready:
                    future.set_result(None)
                else:
                    self._waiting.append(each)
        if self._waiting:
            self._next_look = loop.call_later(_PERIOD_US / 1_000_000, self._look, loop)


class _Task:
    """What a waiter's time-out makes of itself: a task that is one step long."""

    def __init__(self, coro):
        self.coro = coro


class _TaskQueue:
    """Tasks and when each is to run. Their time is looked at with the streams."""

    def __init__(self):
        self._due = {}  # ticks_ms by task

    def push(self, task, ticks):
        self._due[task] = ticks

    def remove(self, task):
        self._due.pop(task, None)

    def run(self):
        now = time.ticks_ms()  # type: ignore[attr-defined]
        for task, due in list(self._due.items()):
            if time.ticks_diff(due, now) <= 0:  # type: ignore[attr-defined]
                self.remove(task)
                task.coro.send(None)


class poll:
    """select.poll() for objects with MicroPython's ioctl(), one at least."""

    def __init__(self):
        self._streams = []

    def register(self, stream, events):
        self._streams.append((stream, events))

    def ipoll(self, timeout_ms=-1):
        """Wait until a stream is ready; return a list of (stream, events).

        Where the simulated clock stands still, a time-out takes its time and not the host's.
        """
        end = None if timeout_ms < 0 else clock.now_us() + 1000 * timeout_ms
        while True:
            ready = [(s, events) for s, events in self._streams if s.ioctl(_POLL, events)]
            if ready or (end is not None and clock.now_us() >= end):
                return ready
            if end is None:
                time.sleep(_PERIOD_US / 1_000_000)  # another thread has to send
            else:
                clock.sleep_us(min(_PERIOD_US, end - clock.now_us()))


class _Flag(io.IOBase):
    """MicroPython's asyncio.ThreadSafeFlag: set() from anywhere ends the wait of one task."""

    def __init__(self):
        self.state = 0

    def ioctl(self, request, flags):
        return self.state * flags if request == _POLL else -1

    def set(self):
        self.state = 1

    def clear(self):
        self.state = 0

    async def wait(self):
        if not self.state:
            await _Yield(asyncio.core._io_queue.queue_read(self))  # type: ignore[attr-defined]
        self.state = 0


class _Yield:
    # What a generator of MicroPython does with `yield`, in an awaitable.
    def __init__(self, value):
        self._value = value

    def __await__(self):
        yield self._value


def coroutine(function):
    """Make a generator function what it is in MicroPython as well: it gives coroutines.

    As a decorator. What it yields goes to the event loop.
    """
    steps = types.coroutine(function)

    @functools.wraps(function)
    async def wrapper(*args):
        return await steps(*args)

    return wrapper


async def _sleep_ms(ms):
    await asyncio.sleep(max(0, ms) / 1000)


async def _wait_for_ms(awaitable, ms):
    return await asyncio.wait_for(awaitable, None if ms is None else ms / 1000)


def _print_exception(error, file=None):
    traceback.print_exception(error, file=sys.stdout if file is None else file)


def _install():
    core = types.ModuleType("asyncio.core", "The part of MicroPython's that waiting needs.")
    core._io_queue = _IOQueue()  # type: ignore[attr-defined]
    core._task_queue = _TaskQueue()  # type: ignore[attr-defined]
    core.Task = _Task  # type: ignore[attr-defined]
    for name, value in (
        ("core", core),
        ("sleep_ms", _sleep_ms),
        ("wait_for_ms", _wait_for_ms),
        ("ThreadSafeFlag", _Flag),
    ):
        if not hasattr(asyncio, name):
            setattr(asyncio, name, value)
    if not hasattr(sys, "print_exception"):
        sys.print_exception = _print_exception  # type: ignore[attr-defined]


_install()

__all__ = ["coroutine", "poll"]
