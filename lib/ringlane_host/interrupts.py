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

from .simulated import memory

_POINTS_MAX = 100_000


class InterruptError(AssertionError):
    """The scenario's check failed; the text says at which access, and what was accessed when."""


def run_interrupted(call, handler, point):
    """Run `call`, and `handler` in it before its access number `point`, counted from 0.

    Return (accesses of the call, trace): the trace is a list of (who, kind, address, width). The
    handler has not run if there were fewer accesses than that.
    """
    trace = []
    count = 0
    busy = False

    def hook(kind, address, width):
        nonlocal count, busy
        if not busy:
            if count == point:
                busy = True
                try:
                    handler()
                finally:
                    busy = False
            count += 1
        trace.append(("handler" if busy else "call", kind, address, width))

    before, memory.hook = memory.hook, hook
    try:
        call()
    finally:
        memory.hook = before
    return count, trace


def sweep(scenario):
    """Interrupt the scenario's call at every access; return how many points were tried.

    `scenario()` returns (call, handler, check), all afresh: `call` is interrupted once by
    `handler`, then `check` raises if anything is wrong. A failure is an InterruptError. A call
    that makes no access is one too: nothing was tried.
    """
    point = 0
    while point < _POINTS_MAX:
        call, handler, check = scenario()
        trace = []
        try:
            count, trace = run_interrupted(call, handler, point)
            if point >= count:
                handler()
            check()
        except Exception as error:
            raise InterruptError(_story(scenario, point, error, trace)) from error
        if not count:
            raise InterruptError(f"{scenario.__name__}: the call accesses no simulated memory")
        if point >= count:
            return count
        point += 1
    raise InterruptError(f"{scenario.__name__}: still running after {_POINTS_MAX} points")


def _story(scenario, point, error, trace):
    lines = [f"{scenario.__name__}, interrupted before access {point}: {error!r}"]
    for number, (who, kind, address, width) in enumerate(trace):
        lines.append(f"  {number:4} {who:7} {kind:5} {width} {memory.describe(address)}")
    return "\n".join(lines)


__all__ = ["InterruptError", "run_interrupted", "sweep"]
