"""Interrupts that can be masked, on CPython: what IrqGuard uses there.

disable_irq and enable_irq are as in MicroPython's `machine`. Where contexts are explored they keep
out hard handlers, and on cores whoever masks as well, as on an rp2: what interrupts meanwhile
comes when interrupts are unmasked. Soft handlers are not kept out, as on a board, where they may
have been queued before. A context that ends with interrupts masked is a failure.
"""

contexts = None  # the run of the contexts, which has mask() and unmask(state)
_enabled = True  # where no contexts are explored


def disable_irq():
    """Mask interrupts; return the state before, for enable_irq."""
    global _enabled
    if contexts is not None:
        return contexts.mask()
    state, _enabled = _enabled, False
    return state


def enable_irq(state):
    """Go back to `state`; if that unmasks, what has become pending runs now."""
    global _enabled
    if contexts is not None:
        contexts.unmask(state)
    else:
        _enabled = state


__all__ = ["disable_irq", "enable_irq"]
