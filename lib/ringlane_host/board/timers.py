"""Timers: virtual ones on rp2, numbered ones elsewhere."""

import sys
import weakref
from typing import Any

from .faults import TimerCollected
from .sources import Source

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's


class TimerHandle:
    """A timer as the test sees it."""

    def __init__(self, state):
        self._state = state

    @property
    def running(self):
        """Whether it will go off."""
        return self._state.running

    @property
    def period(self):
        """Microseconds from one call to the next; 0 if it does not repeat."""
        return self._state.period

    def fire(self):
        """Let it go off now, beside its period."""
        self._state.fire()


class TimerState(Source):
    """A timer's alarm."""

    def __init__(self, kernel, title, order):
        super().__init__(kernel, title, order)
        self._event = None
        self._due = 0
        self._repeats = False

    def begin(self, period, repeats):
        """Go off in `period` microseconds, and again each time if it repeats."""
        self.end()
        self.period = period if repeats else 0
        self._repeats = repeats
        self._due = self.kernel.now + period
        self._event = self.kernel.at(self._due, self._ring)

    def end(self):
        """Stop."""
        self.kernel.cancel(self._event)
        self._event = None

    @property
    def running(self):
        """Whether it will go off."""
        return self._event is not None

    def disable(self):
        self.end()

    def _argument(self):
        return None if self._arg is None else self._arg()  # a weak reference to the Timer

    def _ring(self):
        self._event = None
        if self._repeats:
            self._due += self.period
            self._event = self.kernel.at(self._due, self._ring)
        self.fire()


def make(kernel, facts):
    """Return the board's class Timer."""
    rp2 = facts.port == "rp2"
    numbered: dict[int, Any] = {}

    class Timer:
        """machine.Timer."""

        ONE_SHOT, PERIODIC = 0, 1

        def __new__(cls, id=-1, *args, **keywords):
            if not rp2 and id in numbered:
                return numbered[id]
            return object.__new__(cls)

        def __init__(self, id=-1, **keywords):
            if rp2 and id != -1:
                raise ValueError("Timer doesn't exist")
            if not rp2 and not 0 <= id < facts.timers:
                raise ValueError(
                    "Timer(%d) doesn't exist, there are only %d hardware timers"
                    % (id, facts.timers)
                )
            if not rp2:
                numbered[id] = self
            if not hasattr(self, "_state"):
                frame = sys._getframe(1)
                self._made = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                title = "Timer handler" if rp2 else f"Timer({id}) handler"
                self._state = TimerState(kernel, title, order=(3, id))
                kernel.timers.append(self._state)
                self._id = id
            if keywords:
                self.init(**keywords)

        def init(
            self,
            *,
            mode=PERIODIC,
            callback=None,
            period=0xFFFFFFFF,
            tick_hz=1000,
            freq=None,
            hard=False,
        ):
            kernel.work(5)
            if hard and not rp2:
                raise ValueError("hard Timers are not implemented")
            if freq is not None:
                us = int(1_000_000 / freq)
            else:
                us = period * 1_000_000 // tick_hz
            # The Timer is held weakly, so that one that nobody keeps is found.
            state = self._state
            if callback is None:
                state.listen(None, None, False)
            else:
                state.listen(callback, weakref.ref(self), hard)
            state.begin(max(1, us), mode == Timer.PERIODIC)

        def deinit(self):
            self._state.end()

        if not rp2:

            def value(self):
                return 0 if not self._state.running else kernel.now % 1000

        def __del__(self):
            state = getattr(self, "_state", None)
            if state is None or not state.running:
                return
            state.end()
            if state.listens and state.period:
                kernel.fault(
                    TimerCollected,
                    f"the Timer of {state.title.partition('handler ')[2]}, made at {self._made}, "
                    "is kept nowhere: it stops when the collector finds it",
                )

        def __repr__(self):
            return "Timer(period=%d)" % self._state.period

    return Timer


__all__ = ["TimerHandle", "make"]
