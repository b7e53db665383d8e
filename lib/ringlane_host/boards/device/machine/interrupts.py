"""The interrupts of a board that has none.

A *source* is what can interrupt: a Pin, a Timer, a UART. It is *raised* by whoever notices the
event: the thread that keeps the time, or the program that drives one of its own pins. Handlers are
called one after the other under one lock, which disable_irq() takes, too.
"""

import _thread
import sys
import time

import micropython
from micropython import const

_POLL = const(3)  # MP_STREAM_POLL
_SLICE_US = const(1000)  # so late at most the thread sees what the program has set up
# Under a GIL the scheduler runs handlers in any thread, also half-way in a hard one; without, in
# the main one only.
_GIL = getattr(sys.implementation, "_thread", "unsafe") == "GIL"

_lock = _thread.allocate_lock()
_owner = 0  # the thread that has the lock
_sources = []
_clocks = []  # what has something to do when its time comes
_soft = []  # under a GIL: the sources whose handlers are to be called
_running = False
_now = 0  # microseconds at the tick `_ticks`
_ticks = time.ticks_us()


def disable_irq():
    """Let no handler be called until enable_irq() has what this returns."""
    global _owner
    try:
        me = _thread.get_ident()
    except MemoryError:
        return 1  # a big int, of 32 bits, and the heap is locked: this is a handler
    if _owner == me:
        return 1
    _lock.acquire()
    _owner = me
    return 0


def enable_irq(state):
    """Call what was raised meanwhile, and undo disable_irq(), which returned `state`."""
    global _owner
    if not state:
        try:
            if _sources:
                _call()
        finally:  # also where Ctrl-C comes
            _owner = 0
            _lock.release()


def now():
    """Return the microseconds since the import. To be called with interrupts disabled."""
    global _now, _ticks
    ticks = time.ticks_us()
    _now += time.ticks_diff(ticks, _ticks)
    _ticks = ticks
    return _now


def add_clock(clock):
    """Call `clock.tick(now)` when its time has come; it returns in how many us that is next."""
    state = disable_irq()
    if clock not in _clocks:
        _clocks.append(clock)
    _start()
    enable_irq(state)


def _start():
    global _running
    if not _running:
        _running = True
        _thread.start_new_thread(_keep_time, ())


def forget(what):
    """Let a clock or source that has nothing more to do go."""
    state = disable_irq()
    for kept in (_clocks, _sources):
        if what in kept:
            kept.remove(what)
    enable_irq(state)


class Source:
    """Something that can interrupt. `argument`: what its handler is called with."""

    def __init__(self, argument):
        self._argument = argument
        self._raised = False
        self._handler = None
        self._hard = False

    def listen(self, handler, hard):
        """Let `handler` be called from now on; None: nothing."""
        if handler is not None and not callable(handler):
            raise ValueError("handler must be None or callable")
        if handler is not None and not hard:
            _see_scheduled()
        state = disable_irq()
        self._raised = False
        self._handler = handler
        self._hard = hard
        if self not in _sources:
            _sources.append(self)
        _start()
        enable_irq(state)

    def interrupt(self):
        """Interrupt. To be called with interrupts disabled: the handler comes after that."""
        self._raised = self._handler is not None

    def call(self):
        """Call the handler. A hard one that raises is not called again, as on rp2."""
        handler = self._handler
        if not self._hard:
            if _GIL:
                _soft.append(self)
                return
            try:
                micropython.schedule(handler, self._argument)
            except RuntimeError:
                pass  # the queue is full: lost without a word, as on a chip
            return
        error = None
        micropython.heap_lock()
        try:
            handler(self._argument)
        except Exception as raised:
            error = raised
        finally:
            micropython.heap_unlock()
        if error is not None:
            self._handler = None
            print("Uncaught exception in a hard handler, which is not called again:")
            sys.print_exception(error)


def _call():
    # Call the handlers of all that was raised, also by them.
    again = True
    while again:
        again = False
        for source in _sources:
            if source._raised:
                source._raised = False
                source.call()
                again = True


def _keep_time():
    while True:
        wait = _SLICE_US
        state = disable_irq()
        here = now()
        for clock in _clocks:
            left = clock.tick(here)
            if left < wait:
                wait = left
            _call()
        enable_irq(state)
        while _soft:
            source = _soft.pop(0)
            try:
                source._handler(source._argument)
            except Exception as error:
                sys.print_exception(error)
        if wait > 0:
            time.sleep_us(wait)


def _see_scheduled():
    # asyncio's poll sleeps on, where a chip's interrupt wakes it. With a stream that is never
    # ready it looks up each millisecond, and what is scheduled runs then.
    import io
    from asyncio import core

    queue = core.IOQueue
    if hasattr(queue, "never"):
        return

    class Never(io.IOBase):
        def ioctl(self, request, flags):
            for _ in (0, 1):
                pass  # what is scheduled runs where a loop jumps back
            return 0 if request == _POLL else -1

    queue.never = Never()
    begin = queue.__init__

    def init(self):
        begin(self)
        self.poller.register(self.never, 1)

    queue.__init__ = init
    core._io_queue.poller.register(queue.never, 1)
