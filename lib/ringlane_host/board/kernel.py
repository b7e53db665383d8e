"""Virtual time: one clock, the events that are due, and the cores that run firmware.

Each core, or thread, of the firmware is a thread of this process, and one of them at a time has
the baton: it runs until it waits. Whoever waits looks for what comes next, an event, another core
or its own time, and moves the clock there. When that lies beyond what the test allowed, the test
gets the baton back. So nothing depends on the host's time or scheduler.

Code takes no time until it has worked for _CHUNK units without a wait: then that many
microseconds pass at once, and more where nothing happens for long. A round of a loop is one unit,
a call of a verb ten, one in vain fifty. An event is never passed over, so a loop that polls sees
each change at the instant it happens.

A hard handler runs inside whatever waits or works at that instant. Handlers of one priority, which
on rp2 are those of all Pins, Timers and UARTs, do not interrupt each other: one that comes
meanwhile, or while interrupts are masked, is pending and runs next; twice pending is once.
A soft handler goes through the scheduler's queue, and runs on the first core where that executes
bytecode next and no other soft handler does.
"""

import ctypes
import os
import struct
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from .faults import (
    AllocationInHandler,
    BlockingInHandler,
    Fault,
    HandlerRaised,
    HandlerTooLong,
    SoftHandlerDropped,
    ThreadRaised,
)
from .firmware import is_ours

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

NEVER = 1 << 62
_CHUNK = 100  # microseconds
_SLACK_US = 1000
_RUNS = 100_000  # of handlers that are kept
_SETUP = 100_000  # units of work after which start() no longer waits for the first wait
_HANDLER_MAX_US = 1_000_000
_STOP_PATIENCE_S = 3.0
_HOST_PATIENCE_S = 60.0  # firmware that computes for so long without a loop round hangs


def raised_at(error):
    """Return the firmware's line that an exception came through last: main.py:12."""
    lines = [
        _line(frame, number)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if not is_ours(frame.f_code.co_filename)
    ]
    return lines[-1] if lines else "in ringlane"


def _line(frame, number):
    return f"{os.path.basename(frame.f_code.co_filename)}:{number}"


class Stopped(BaseException):
    """Thrown into the firmware to end it."""


class Core:
    """One thread of the firmware: a core of an rp2, a thread elsewhere."""

    def __init__(self, number, function, name):
        self.number = number
        self.name = name
        self.function: Any = function
        self.resume = threading.Semaphore(0)
        self.wake_at = 0
        self.seen = None  # what `Kernel.stirred` was when it began to poll
        self.asleep = None  # while asyncio sleeps: a function that gives the tasks it overlooks
        self.takes_soft = False  # it waits where a soft handler can run
        self.in_soft = False
        self.viper = 0  # how deep in viper functions
        self.ended = function is None
        self.error = None
        self.thread: Any = None


class Kernel:
    """The clock and what happens when. `now`: microseconds since reset."""

    def __init__(self, depth, note):
        self.now = 0
        self.events = []
        self.horizon = 0
        self.depth = depth  # of the scheduler
        self.register = None  # a bytearray that shows `now`, as the chip's timer does
        self.cpuid = None  # and one that shows which core runs
        self.icsr = None  # and one that is not 0 while a hard handler runs
        self.faults = []
        self.stopping = False
        self.stirred = 0  # grows when something happens that a waiting core can see
        self.masked = False
        self._masks: Core | None = None  # the core that has done it
        self.source: Any = None  # of the hard handler that runs
        self.listeners = 0  # handlers of pins and so on, which the test may call
        self.handler_began = 0
        self.fired: list[tuple[str, bool]] = []  # (title, hard) of what a sweep's landing called
        self.runs: deque[tuple[int, int, str]] = deque(maxlen=_RUNS)  # (from, to, handler)
        self.rtc_offset = 0  # seconds that the firmware has set the clock forward
        self.task: Any = None  # a function that gives the name of the task that runs, or None
        self.timers: list[Any] = []  # their states, in the order of their making
        self.landing: Any = None  # of a sweep: where an interrupt is to land in this run
        self.quiet = False  # what runs is the test's or the board's own, and no firmware
        self._note = note  # note(kind, text): for the timeline
        self._sequence = 0
        self._work = 0
        self._busy_since = 0
        self._busy_stirred = -1  # what `stirred` was when the firmware last worked long
        self._setting_up = False
        self._told = set()
        self._pending = []
        self._queue: deque[tuple[Callable[[Any], Any], Any, str, Any]] = deque()
        self._condition: Any = None
        self._condition_error = None
        self._met = False
        self._idle = Core(0, None, "idle")  # the test's own thread, when main has ended
        self.core = self._idle
        self._last: Core | None = None  # who gave the baton to the test
        self.cores: list[Core] = []

    # Events

    def at(self, time, action):
        """Call `action()` at `time`; return what cancel() takes."""
        self._sequence += 1
        event = [time, self._sequence, action]
        heappush(self.events, event)
        return event

    def cancel(self, event):
        """Forget an event; one that has happened is ignored."""
        if event is not None:
            event[2] = None

    def _next_event(self):
        events = self.events
        while events and events[0][2] is None:
            heappop(events)
        return events[0][0] if events else NEVER

    def _pass(self, time):
        if time > self.now:
            self.now = time
            if self.register is not None:
                struct.pack_into("<I", self.register, 0, time & 0xFFFFFFFF)

    # What firmware calls

    def work(self, units):
        """Count work of the core that runs; let time pass if that was much."""
        self._work += units
        if self._work >= _CHUNK:
            self._busy()

    def loop_round(self):
        """Count a round of a loop; soft handlers that are due run here."""
        self._work += 1
        if self._work >= _CHUNK:
            self._busy()
        elif self._queue:
            self.run_scheduled()

    def _busy(self):
        worked, self._work = self._work, 0
        if self.source is not None:
            self._pass(self.now + worked)
            if self.now - self.handler_began > _HANDLER_MAX_US:
                raise HandlerTooLong(f"{self.source.title}: no end after 1 s")
        elif self._setting_up:
            self._setup_work += worked
            if self._setup_work > _SETUP:
                self._to_test()
        else:
            if self.stirred != self._busy_stirred:
                self._busy_since = self.now
            # The longer nothing happens the longer are the steps, or a loop that polls would take
            # the host's time: an event ends each, and a loop that looks at the clock is at most
            # a quarter late.
            slack = min(_SLACK_US, (self.now - self._busy_since) // 4)
            stirred = self.stirred
            self.wait(self.now + worked + slack, polling=True, working=True)
            self._busy_stirred = stirred

    def wait(self, until, polling=False, soft=True, working=False, since=None):
        """Let time pass on this core until `until`; with `polling` return after any event, too.

        `since`: what `stirred` was when the caller began to look; what has come meanwhile ends the
        wait at once, as an interrupt just before it does on a chip. Without `soft` no soft handler
        runs meanwhile: the core is busy.
        """
        if self.source is not None:
            self._wait_in_handler(until)
            return
        core = self.core
        if until > self.now:
            self._work = 0
        elif not working:
            self.work(5)
        if not working:
            self._busy_stirred = -1
        seen = self.stirred if since is None else since
        if self.landing is not None and not working:
            self.landing.at_wait(soft)
        while True:
            if soft and self._queue and self.run_scheduled() and polling:
                return
            if self.stopping and core is not self._idle:
                raise Stopped
            if polling and self.stirred != seen:
                return
            due = self._next_event()
            other = None
            first = min(due, until)
            for each in self.cores:
                if each is core or each.ended:
                    continue
                wake = each.wake_at
                if each.seen is not None and each.seen != self.stirred:
                    wake = self.now
                elif self._queue and each.takes_soft:
                    wake = self.now
                if wake < first:
                    first, other = wake, each
            if self._condition is not None and self._is_met():
                if core is self._idle:
                    return
                self._to_test()
                continue
            if first > self.horizon or self.now > self.horizon:
                self._pass(self.horizon)
                if core is self._idle:
                    return
                core.wake_at = until
                self._to_test()
                continue
            self._pass(first)
            if other is not None:
                core.wake_at = until
                core.seen = seen if polling else None
                core.takes_soft = (
                    soft and core is self.cores[0] and not (core.in_soft or core.viper)
                )
                self._switch(other)
                core.seen = None
                core.takes_soft = False
            elif due <= self.now:
                self.stirred += 1
                self.run_events()
            else:
                return

    def run_events(self):
        """Let happen what is due."""
        quiet, self.quiet = self.quiet, True
        try:
            while self.events and self.events[0][0] <= self.now <= self.horizon:
                action = heappop(self.events)[2]
                if action is not None:
                    action()
        finally:
            self.quiet = quiet

    def _wait_in_handler(self, until):
        source = self.source
        if until - self.now > 1000:
            self.fault(
                BlockingInHandler,
                f"{source.title}, {self.place()} waits"
                + (f" for {(until - self.now) / 1000:.0f} ms" if until < NEVER else ""),
            )
        if until >= NEVER:
            raise BlockingInHandler(f"{source.title} waits for ever")
        self._pass(until)
        if self.now - self.handler_began > _HANDLER_MAX_US:
            raise HandlerTooLong(f"{source.title}: no end after 1 s")

    @property
    def runs_firmware(self):
        """Whether what runs is the firmware, and not the test or the board itself."""
        if self.quiet:
            return False
        return self.core is not self._idle or self.core.in_soft or self.source is not None

    @property
    def setting_up(self):
        """Whether the main program has not come to its first wait."""
        return self._setting_up

    @property
    def _main(self):
        return self.cores[0] if self.cores else None

    # Handlers

    def interrupt(self, source):
        """Run the hard handler of `source`, or leave it pending.

        `source` has title, order, call() and disable(); `period` or 0.
        """
        if self.landing is not None:
            self.fired.append((source.title, True))
        if self.source is not None or self.masked:
            if source not in self._pending:
                self._pending.append(source)
            return
        self._run_hard(source)
        self._run_pending()

    def _run_pending(self):
        while self._pending and not self.masked and self.source is None:
            source = min(self._pending, key=lambda each: each.order)
            self._pending.remove(source)
            self._run_hard(source)

    def _run_hard(self, source):
        work, self._work = self._work, 0
        viper, self.core.viper = self.core.viper, 0
        quiet, self.quiet = self.quiet, False
        self.source = source
        if self.icsr is not None:
            self.icsr[0] = 1
        self.handler_began = began = self.now
        try:
            source.call()
        except Exception as error:
            source.disable()
            self._raised(source.title, error)
        finally:
            self.source = None
            if self.icsr is not None:
                self.icsr[0] = 0
            self.quiet = quiet
            self.core.viper = viper
            self._work = work
        self.stirred += 1
        self._ran(source.title, began, source)

    def _raised(self, title, error):
        if isinstance(error, Fault):
            self.fault(type(error), str(error))
        else:
            self.fault(HandlerRaised, f"{title}, {raised_at(error)}: {error!r}", error)

    def _ran(self, title, began, source):
        # A handler has ended; a scheduled function has no `source`.
        took = self.now - began
        self.runs.append((began, self.now, title))
        if source is not None and source.period and took > source.period:
            self.fault(
                HandlerTooLong, f"{title}, {source.defined} took {took} us of {source.period} us"
            )

    def mask(self):
        """Mask interrupts; return the state before. While another core masks them, wait for it."""
        while self.masked and self._masks is not self.core:
            self.wait(NEVER, polling=True, soft=False)
        state, self.masked = self.masked, True
        self._masks = self.core
        return state

    def unmask(self, state):
        """Go back to `state`; what is pending runs now if that unmasks."""
        self.masked = bool(state)
        if self._pending and self.source is None:
            self._run_pending()

    def schedule(self, function, arg, title, source=None):
        """Queue a soft handler; return False if the queue is full."""
        if len(self._queue) >= self.depth:
            return False
        self._queue.append((function, arg, title, source))
        return True

    def soft_interrupt(self, source, function, arg):
        """Queue the soft handler of `source`: dropped, and reported, if the queue is full."""
        if self.landing is not None:
            self.fired.append((source.title, False))
        if self.schedule(function, arg, source.title, source):
            return
        waiting = ", ".join(dict.fromkeys(title for _, _, title, _ in self._queue))
        self.fault(
            SoftHandlerDropped,
            f"{source.title}, {source.defined}: the scheduler's queue of {self.depth} is full of "
            f"{waiting}",
        )

    def run_nested(self, stimulus):
        """Call stimulus(), whose interrupt may come within the hard handler that runs."""
        source, self.source = self.source, None
        began, pending = self.handler_began, self._pending
        self._pending = []
        try:
            stimulus()
        finally:
            self.source, self.handler_began = source, began
            if self.icsr is not None:
                self.icsr[0] = source is not None
            self._pending = pending

    def run_at_boundary(self):
        """Run what is queued where bytecode runs, be it called by a viper function."""
        core = self.core
        viper, core.viper = core.viper, 0
        try:
            return self.run_scheduled()
        finally:
            core.viper = viper

    def give_way(self):
        """Let another core that could run go on, up to its next wait; return whether one did."""
        core = self.core
        for each in self.cores:
            if each is core or each.ended:
                continue
            if each.wake_at <= self.now or each.seen is not None:
                self.stirred += 1  # for one that polls
                core.wake_at = self.now
                self._switch(each)
                return True
        return False

    def run_scheduled(self):
        """Run what is queued, if this core is at a bytecode boundary; return whether it ran."""
        core = self.core
        if self.source is not None or core.in_soft or core.viper:
            return False
        if core is not self._main and not (core is self._idle and self.main_ended):
            return False
        core.in_soft = True
        try:
            for _ in range(len(self._queue)):  # what one of them queues is for the next time
                function, arg, title, source = self._queue.popleft()
                self.title = title
                self._note("soft", title)
                began = self.now
                try:
                    function(arg)
                except Exception as error:
                    self._raised(title, error)
                self._ran(title, began, source)
        finally:
            core.in_soft = False
        self.stirred += 1
        return True

    @property
    def main_ended(self):
        """Whether the firmware's main program has ended, or none was started."""
        return not self.cores or self.cores[0].ended

    @property
    def can_be_woken(self):
        """Whether an event is due, a handler queued or another core alive."""
        alive = any(not core.ended and core is not self.core for core in self.cores)
        return alive or bool(self._queue) or self._next_event() < NEVER

    def allocates(self, what):
        """Note that the firmware's line does what allocates: a fault in a hard handler."""
        if self.source is not None:
            place = self.place()
            self.fault_once(
                AllocationInHandler, place, f"{self.source.title}, {place}: {what} allocates"
            )

    def place(self):
        """Return the line of the firmware that runs: main.py:12."""
        frame = sys._getframe(1)
        while frame.f_back is not None and is_ours(frame.f_code.co_filename):
            frame = frame.f_back
        return _line(frame, frame.f_lineno)

    def fault_once(self, kind, key, text):
        """Note a fault unless there was one of that kind and key."""
        if (kind, key) not in self._told:
            self._told.add((kind, key))
            self.fault(kind, text)

    def caught(self):
        """End firmware that catches everything, too."""
        if self.stopping and self.core is not self._idle:
            raise Stopped

    def context(self):
        """Return who runs: "hard handler", "soft handler", "tasks" or the second core's name."""
        if self.source is not None:
            return "hard handler"
        if self.core.in_soft:
            return "soft handler"
        return "tasks" if self.core.number == 0 else self.core.name

    def who(self):
        """Return the name of the handler, task or core that runs."""
        if self.source is not None:
            return self.source.title
        if self.core.in_soft:
            return self.title
        if self.core.number:
            return self.core.name
        return (self.task and self.task()) or "main"

    def fault(self, kind, text, cause=None):
        """Note a fault; the test raises it."""
        if self.stopping:
            return
        error = kind(text)
        error.__cause__ = cause
        self._note("fault", f"{kind.__name__}: {text}")
        self.faults.append(error)

    # Cores

    def start(self, function, name):
        """Add a core that runs `function()`."""
        core = Core(len(self.cores), function, name)
        core.wake_at = self.now
        core.thread = threading.Thread(
            target=self._run_core, args=(core,), name=f"ringlane {name}", daemon=True
        )
        self.cores.append(core)
        core.thread.start()
        return core

    def _run_core(self, core):
        core.resume.acquire()
        try:
            if self.landing is not None:
                self.landing.enter_thread()
            if not self.stopping:
                core.function()
        except (Stopped, SystemExit):
            pass
        except BaseException as error:
            core.error = error
            if core.number and not self.stopping:
                self.fault(ThreadRaised, f"{core.name}, {raised_at(error)}: {error!r}", error)
        core.ended = True
        core.function = None
        self._core_ended = True
        self.stirred += 1
        self._idle.resume.release()

    def _switch(self, core):
        before = self.core
        self._enter(core)
        core.resume.release()
        before.resume.acquire()
        self._enter(before)

    def _enter(self, core):
        self.core = core
        if self.cpuid is not None:
            self.cpuid[0] = core.number

    def _to_test(self):
        core = self.core
        self._last = core
        self._idle.resume.release()
        core.resume.acquire()
        self._enter(core)
        if self.stopping:
            raise Stopped

    def run(self, until, condition=None, setting_up=False):
        """Let the board run to `until`; return whether `condition` was met, if there is one."""
        self.horizon = until
        self._condition = condition
        self._condition_error = None
        self._met = False
        self._setting_up = setting_up
        self._setup_work = 0
        try:
            while not self._met and (alive := [core for core in self.cores if not core.ended]):
                main = self.cores[0]
                if main.ended and main.error is not None:
                    break
                last = self._last
                if last is None or last.ended:
                    last = min(alive, key=lambda core: (core.wake_at, core.number))
                self._core_ended = False
                self._enter(last)
                last.resume.release()
                before = self.now
                while not self._idle.resume.acquire(timeout=_HOST_PATIENCE_S):
                    if self.now == before:
                        hangs = "computes without a loop, a call or a wait"
                        raise TimeoutError(_where(last, hangs))
                    before = self.now
                self.core = self._idle
                if not self._core_ended:
                    break  # the horizon
                self._last = None
            if not self._met and self.main_ended and not (self.cores and self.cores[0].error):
                self.core = self._idle
                if all(core.ended for core in self.cores) and not self.stopping:
                    self.wait(NEVER)
        except Stopped:
            pass  # a handler reset the board
        finally:
            self._condition = None
            self._setting_up = False
            self.core = self._idle
        if self._condition_error is not None:
            raise self._condition_error
        return self._met

    def _is_met(self):
        quiet, self.quiet = self.quiet, True
        try:
            self._met = bool(self._condition())
        except BaseException as error:
            self._condition_error = error
            self._met = True
        finally:
            self.quiet = quiet
        return self._met

    def stop(self):
        """End every core at its wait."""
        self.stopping = True
        for core in self.cores:
            if not core.ended:
                self.core = core
                core.resume.release()
                core.thread.join(_STOP_PATIENCE_S)
                if core.thread.is_alive():  # in a viper function without end, perhaps
                    ident = ctypes.c_ulong(core.thread.ident)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Stopped))
                    core.thread.join(_HOST_PATIENCE_S)
                if core.thread.is_alive():
                    raise TimeoutError(_where(core, "does not end"))
        self.core = self._idle
        self.events.clear()
        self._queue.clear()
        self._pending.clear()


def _where(core, what):
    frame = sys._current_frames().get(core.thread.ident)
    place = f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
    return f"firmware on {core.name} {what}{place}"


__all__ = ["NEVER", "Core", "Kernel", "Stopped"]
