"""Soft handlers, and threads under a GIL: contexts that meet between bytecodes."""

import functools
import sys

from ..simulate import clock
from .multicore import Cores
from .runs import Run
from .schedules import Step
from .threads import Ended
from .words import at


class Gil(Cores):
    """Threads under a GIL: others run between the bytecodes of plain Python, never within viper.

    What is counted is the points that bytecodes.py tells, not the accesses: `count`, `at`, and
    what a schedule says. A point touches all that is accessed from there up to the next one.
    """

    mode = "gil"

    def __init__(self, contexts, *rest):
        super().__init__([functools.partial(self.traced, each) for each in contexts], *rest)
        self.places = [(who, 0, 0, 0) for who in range(len(contexts))]  # their last points
        self.calls = [False] * len(contexts)  # whether it calls what is not Python, until entered

    def traced(self, context):
        tracer = self.threads.tracers[self.who]
        tracer.at_point, tracer.entered = self.point, self.enters
        tracer.attach()
        try:
            context()
        finally:
            self.calls[self.who] = False

    mask, unmask = Run.mask, Run.unmask  # nothing of this happens between

    def hook(self, kind, address, width):
        """Take note of an access: what memory.hook is meanwhile."""
        if self.over:
            raise Ended
        self.settle()
        self.access(kind, address, width)
        if self.told is not None:
            self.tell(kind, address, width, sys._getframe(2))
            self.told[-1][0] = ""
        self.log.append((self.who, kind, address >> 2, self.places[self.who]))
        clock.advance(1)

    def enters(self, viper):
        self.calls[self.who] = False
        if viper and self.places[self.who] is not None:
            self.touch("items")  # it may store into a list, such as a result

    def point(self, frame, point):
        """Let others run before a bytecode."""
        if self.over:
            raise Ended
        self.settle()
        who = self.who
        if self.calls[who]:  # by a call that entered no Python: it may have done anything to items
            self.touch("items")
        place = who, id(frame.f_code), frame.f_lasti, 0
        where = place if self.marks is not None else None
        while step := self.due(self.choices, where):
            self.apply(step)
            if self.over:
                raise Ended
        self.places[who] = place
        self.calls[who] = point.kind == "call"
        if point.what:
            self.log.append((who, point.kind, point.what, place))
        if self.told is not None:
            self.told.append([str(self.count), self.name(who), "does", point.text, at(frame)])
        self.passed("points")

    def touch(self, *what):
        """Take note that the context that runs changes what is no word of memory."""
        self.log.append((self.who, "store", what, self.places[self.who]))

    def wait(self):
        """Let another context run, as the one that runs waits for a lock."""
        others = [who for who in self.alive() if who != self.who]
        if not others:
            self.fail(f"{self.name(self.who)} waits for a lock for ever", None)
            raise Ended
        step = self.due(lambda: [(Step(self.count, who), 0, None) for who in others[1:]])
        me = self.who
        self.threads.swap(me, self.start(step.who if step else others[0]))
        if self.over:
            raise Ended

    def name(self, who):
        return f"thread {who}"


class Soft(Gil):
    """A call, and soft handlers, each of which runs to its end at one of the call's points."""

    mode = "soft"

    def begin(self):
        self.started = set()
        self.done = set()
        return self.start(0)

    def pick(self):
        if 0 not in self.done:
            return 0  # what a handler has interrupted goes on
        return super().pick()

    def choices(self, place, *_):
        if self.who:
            return []
        return [(Step(self.count, who), 0, place) for who in self.alive() if who]

    def apply(self, step):
        if self.who and step.who != self.who:
            self.misfit(step)
        else:
            super().apply(step)

    def wait(self):
        self.fail(f"{self.name(self.who)} waits for a lock that what it interrupts has", None)
        raise Ended

    def name(self, who):
        return f"handler {who}" if who else "call"


class Lock:
    """A lock of _thread for threads of Gil, of which one runs at a time."""

    run: "Gil | None" = None  # which goes on

    def __init__(self):
        self.taken = False

    def acquire(self, blocking=True, timeout=-1):
        while self.taken:
            if not blocking or Lock.run is None:
                return False
            Lock.run.wait()
        self._set(True)
        return True

    def release(self):
        if not self.taken:
            raise RuntimeError("release unlocked lock")
        self._set(False)

    def _set(self, taken):
        self.taken = taken
        if Lock.run is not None:
            Lock.run.touch("lock", id(self))

    def locked(self):
        return self.taken

    __enter__ = acquire

    def __exit__(self, *_):
        self.release()


__all__ = ["Gil", "Lock", "Soft"]
