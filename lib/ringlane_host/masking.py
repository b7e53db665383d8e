"""Interrupts that can be masked, on CPython: what IrqGuard uses there.

disable_irq and enable_irq are as in MicroPython's `machine`. A handler that is to respect them is
given to a sweep as

    call, lambda: interrupt(handler), check

and runs at once or, while they are masked, as soon as they no longer are: as on a chip.
"""

import collections
from collections.abc import Callable

_pending: collections.deque[Callable[[], object]] = collections.deque()
_enabled = True


def disable_irq():
    """Mask interrupts; return the state before, for enable_irq."""
    global _enabled
    state, _enabled = _enabled, False
    return state


def enable_irq(state):
    """Go back to `state`; if that unmasks, what has become pending runs now."""
    global _enabled
    _enabled = state
    while _enabled and _pending:
        _pending.popleft()()


def enabled():
    """Return whether an interrupt would run at once."""
    return _enabled


def interrupt(handler):
    """Run `handler`, or once interrupts are unmasked if they are masked."""
    if _enabled:
        handler()
    else:
        _pending.append(handler)


__all__ = ["disable_irq", "enable_irq", "enabled", "interrupt"]
