"""What the scenarios of device/*_scenarios.py share; CPython and MicroPython both run it.

On MicroPython every verb of a scenario runs under a locked heap (class Locked), so that one byte
allocated is a MemoryError.
"""

import gc
import sys
from array import array

import micropython
from ringlane import Clock

if hasattr(micropython, "alloc_emergency_exception_buf"):
    micropython.alloc_emergency_exception_buf(256)  # where it is not built in: errors have text
MICROPYTHON = sys.implementation.name == "micropython"
PATIENCE_MS = (
    60000  # what has not come by then never will; a busy host may not run a thread for 10 s
)
ROOMY = gc.mem_free() > 1000000  # a host; a chip gets smaller rooms and fewer repetitions


def objects(kind):
    """Return the bytes that memory() of a pattern counts beside the block."""
    return kind._beside + kind._objects * (8 if sys.maxsize >> 32 else 4)


class Locked:
    """A channel, sender or receiver whose methods are each called under a locked heap."""

    def __init__(self, end):
        self.end = end

    def __getattr__(self, name):
        verb = getattr(self.end, name)

        def call(*args):
            count = len(args)
            micropython.heap_lock()
            try:
                # verb(*args) would allocate.
                if count == 0:
                    return verb()
                if count == 1:
                    return verb(args[0])
                if count == 2:
                    return verb(args[0], args[1])
                return verb(args[0], args[1], args[2])
            finally:
                micropython.heap_unlock()

        return call

    def __len__(self):
        micropython.heap_lock()
        try:
            return len(self.end)
        finally:
            micropython.heap_unlock()


def raises(kind, text, call, *args):
    """Call it; it must raise `kind` with `text` in its message."""
    try:
        result = call(*args)
    except kind as error:
        said = str(error)
        if len(error.args) > 1 and "%" in str(error.args[0]):
            said = error.args[0] % tuple(error.args[1:])  # raised under a locked heap: its parts
        assert text in said, "%r not in %r" % (text, error)
    else:
        raise AssertionError("%r and no %s" % (result, kind.__name__))


def pattern(size, seed=0):
    """Return `size` bytes that differ by seed."""
    return bytes((seed * 7 + i * 13 + 1) & 0xFF for i in range(size))


def at(offset, data):
    """Return a view of a copy of `data` that starts `offset` bytes past a word."""
    room = bytearray(offset + len(data))
    room[offset:] = data
    return memoryview(room)[offset:]


_now = array("I", [0])


@micropython.viper
def _read_now() -> int:
    return ptr32(_now)[0] & 0x3FFFFFFF


class Ticks:
    """A clock that stands still until told. There is one time, which a new Ticks puts back to 0.

    A clock's function cannot close over anything, so the time is the module's.
    """

    def __init__(self, period=1 << 30):
        self.now = 0
        self.clock = Clock("test", 1000000, _read_now, period)

    @property
    def now(self):
        """The time in ticks, 0..2**30 - 1."""
        return _now[0]

    @now.setter
    def now(self, ticks):
        _now[0] = ticks


def run(module, only=None):
    """Run every scenario of the module, by its name: a line each, the name, then ok or the error.

    A scenario is a function without arguments whose name does not begin with "_". `only`: the
    names of those to run, None for all.
    """
    names = []
    for name in sorted(dir(module)):
        function = getattr(module, name)
        if name[0] != "_" and type(function) is type(run) and name not in globals():
            if only is None or name in only:
                names.append(name)
    for name in names:
        gc.collect()
        try:
            getattr(module, name)()
        except Exception as error:
            print(name, "failed")
            sys.print_exception(error)
        else:
            print(name, "ok")
