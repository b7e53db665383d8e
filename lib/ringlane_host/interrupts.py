"""Simulated interrupts: a handler at every memory access of a call.

    def scenario():
        ch = PriorityChannel(2)
        def check():
            ...  # raise AssertionError if the two did harm
        return lambda: ch.send(b"task", LOW), lambda: ch.recv(buf), check

    points = sweep(scenario)

One interrupt lands before the first access that the call makes to the simulated memory, then in a
fresh scenario before the second, and so on, the last one after the call has returned.
"""

import sys

from . import masking, simulate
from .simulate import memory

_POINTS_MAX = 100_000
_ACCESSES_MAX = 100_000  # in one run; a call that needs more waits for what never comes
_TOLD = 200  # accesses that a failure prints, the last ones
_OWN_FILES = (__file__, *simulate.OWN_FILES)


class InterruptError(AssertionError):
    """The scenario's check failed; the text says at which access, and what was accessed when."""


def run_interrupted(call, handler, point, trace=None):
    """Run `call`, and `handler` in it before its access number `point`, counted from 0.

    Return (accesses of the call, trace): the trace is a list of (who, kind, address, width,
    where), where being the file and line; given as an argument, it is there after an error too.
    The handler has not run if there were fewer accesses than that; where an IrqGuard masks
    interrupts, it runs as soon as it no longer does. Its exception ends the run,
    even if the call catches it, and so does one access more than a run may have: InterruptError.
    """
    if trace is None:
        trace = []
    count = 0
    busy = False
    failure = None

    def interrupt():
        nonlocal busy, failure
        busy = True
        try:
            handler()
        except BaseException as error:
            failure = error
            raise
        finally:
            busy = False

    def hook(kind, address, width):
        nonlocal count, failure
        if not busy:
            if count == point:
                masking.interrupt(interrupt)
            count += 1
        trace.append(("handler" if busy else "call", kind, address, width, _where()))
        if len(trace) > _ACCESSES_MAX:
            failure = InterruptError(f"no end after {_ACCESSES_MAX} accesses")
            raise failure

    before, memory.hook = memory.hook, hook
    try:
        call()
    finally:
        memory.hook = before
    if failure is not None:
        raise failure
    return count, trace


def sweep(scenario):
    """Interrupt the scenario's call at every access; return how many points were tried.

    `scenario()` returns (call, handler, check), all afresh: `call` is interrupted once by
    `handler`, then `check` raises if anything is wrong. A failure is an InterruptError, also a
    SimulationError that the call or the handler caught, and a call that makes no access: nothing
    was tried. run_interrupted(*scenario()[:2], point) repeats one point.
    """
    point = 0
    while point < _POINTS_MAX:
        call, handler, check = scenario()
        trace: list[tuple[str, str, int, int, tuple[str, int]]] = []
        memory.fault = None
        try:
            count, _ = run_interrupted(call, handler, point, trace)
            if point >= count:
                handler()
            check()
            if memory.fault is not None:
                raise memory.fault
        except Exception as error:
            raise InterruptError(_story(scenario, point, error, trace)) from error
        if not count:
            raise InterruptError(f"{_name(scenario)}: the call accesses no simulated memory")
        if point >= count:
            return count
        point += 1
    raise InterruptError(f"{_name(scenario)}: still running after {_POINTS_MAX} points")


def _where():
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename in _OWN_FILES:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _name(scenario):
    return getattr(scenario, "__name__", repr(scenario))


def _story(scenario, point, error, trace):
    lines = [f"{_name(scenario)}, interrupted before access {point}: {error!r}"]
    skipped = max(0, len(trace) - _TOLD)
    if skipped:
        lines.append(f"  {skipped} accesses before these")
    for number, (who, kind, address, width, (file, line)) in enumerate(trace[skipped:], skipped):
        place = f"{file.rpartition('/')[2]}:{line}"
        lines.append(f"  {number:4} {who:7} {kind:5} {width} {memory.describe(address)}  {place}")
    return "\n".join(lines)


__all__ = ["InterruptError", "run_interrupted", "sweep"]
