"""The module micropython, and what time and gc have beyond CPython's: install() adds them."""

import builtins
import gc
import sys
import time
import types

from . import source
from .address_space import SimulationError, memory
from .scheduler import scheduler
from .ticks import clock, ticks_add, ticks_diff, ticks_ms, ticks_us
from .viper import names, viper

_heap_locks = 0  # the nesting of heap_lock(); CPython allocates all the same


def _heap_lock():
    global _heap_locks
    _heap_locks += 1


def _heap_unlock():
    global _heap_locks
    if not _heap_locks:
        raise SimulationError("heap_unlock() without heap_lock()")
    _heap_locks -= 1
    return _heap_locks


def _module():
    module = types.ModuleType("micropython", "MicroPython's module, on a simulated memory.")
    module.const = lambda value: value
    module.viper = viper
    module.native = lambda function: function
    # The one function in assembler that there is: that of fence.py.
    module.asm_thumb = module.asm_rv32 = lambda function: memory.fence
    module.schedule = scheduler.schedule
    module.heap_lock = _heap_lock
    module.heap_unlock = _heap_unlock
    module.opt_level = lambda *level: None if level else 0
    module.alloc_emergency_exception_buf = lambda size: None
    module.kbd_intr = lambda char: None
    return module


def install():
    """Put the names in place that firmware expects; leave those that CPython has."""
    source.install()
    sys.modules["micropython"] = _module()
    for name, value in names().items():
        setattr(builtins, name, value)
    for module, name, value in (
        (time, "ticks_us", ticks_us),
        (time, "ticks_ms", ticks_ms),
        (time, "ticks_cpu", ticks_us),
        (time, "ticks_add", ticks_add),
        (time, "ticks_diff", ticks_diff),
        (time, "sleep_us", clock.sleep_us),
        (time, "sleep_ms", lambda ms: clock.sleep_us(1000 * ms)),
        (gc, "mem_alloc", lambda: memory.heap()[0]),
        (gc, "mem_free", lambda: memory.heap()[1]),
    ):
        if not hasattr(module, name):
            setattr(module, name, value)
