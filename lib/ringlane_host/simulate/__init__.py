"""MicroPython's names on CPython, viper's pointers among them, on a simulated memory.

Importing this lets the shipped source of ringlane run unmodified on CPython. It is the one place
that changes the process as a whole: builtins gets viper's names, time and gc get MicroPython's
functions where CPython has none of that name, and the modules of ringlane are read as MicroPython
reads them. event_loop.py does the same for asyncio, select and sys; `import ringlane` imports
both.
"""

from .address_space import (
    BadAddress,
    Memory,
    Miscompiled,
    OutOfBounds,
    OutOfSmallInts,
    ReadOnly,
    SimulationError,
    Unaligned,
    memory,
)
from .micropython import install
from .scheduler import viper_codes
from .ticks import Clock, clock
from .viper import names, ptr8, ptr16, ptr32, uint, viper

install()

__all__ = [
    "BadAddress",
    "Clock",
    "Memory",
    "Miscompiled",
    "OutOfBounds",
    "OutOfSmallInts",
    "ReadOnly",
    "SimulationError",
    "Unaligned",
    "clock",
    "memory",
    "names",
    "ptr8",
    "ptr16",
    "ptr32",
    "uint",
    "viper",
    "viper_codes",
]
