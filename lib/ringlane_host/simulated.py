"""MicroPython's names on CPython, viper's pointers among them, on a simulated memory.

Importing this module lets the shipped source of ringlane run unmodified on CPython. A pointer is
an address in a simulated 32-bit memory; each buffer whose address is taken has a place there of
its own, with gaps between. What a chip would punish, or its heap would suffer, is an error:

    OutOfBounds     an access beyond the buffer
    Unaligned       a 16- or 32-bit access off its alignment: a HardFault on a Cortex-M0+
    BadAddress      no buffer was ever there, or it has been freed
    ReadOnly        a store into bytes, which a chip would carry out, in flash even
    OutOfSmallInts  a viper function returned an int that a 32-bit chip has to allocate

Loads of words are signed, stores are cut to their width. Each access calls `memory.hook` before
it happens: there a simulated interrupt can land (interrupts.py).
"""

import bisect
import builtins
import ctypes
import functools
import gc
import sys
import time
import types

_RAM = 0x20000000  # where an RP2040's begins
_RAM_END = 0x3FFF0000  # below 2**30, so that every address is a small int
_GAP = 64
_SMALL = 1 << 30
_TICKS_MASK = (1 << 30) - 1


class SimulationError(Exception):
    """The program did what a chip would punish."""


class OutOfBounds(SimulationError):
    """An access beyond the buffer."""


class Unaligned(SimulationError):
    """A 16- or 32-bit access at an address that is no multiple of its width."""


class BadAddress(SimulationError):
    """An access where no buffer is, or no more."""


class ReadOnly(SimulationError):
    """A store into a read-only buffer."""


class OutOfSmallInts(SimulationError):
    """A result beyond -2**30..2**30-1."""


class _PyBuffer(ctypes.Structure):
    # Py_buffer of CPython's buffer protocol; only the first field is read.
    _fields_ = [("buf", ctypes.c_void_p), ("rest", ctypes.c_byte * 128)]


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int)
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(_PyBuffer),)


def _host_address(obj):
    view = _PyBuffer()
    _get_buffer(obj, ctypes.byref(view), 0)
    address = view.buf or 0
    _release_buffer(ctypes.byref(view))
    return address


class _Region:
    """One buffer's place in the memory."""

    __slots__ = ("base", "owner")

    def __init__(self, base, owner):
        self.base = base
        self.owner = owner

    def size(self):
        owner = self.owner
        return len(owner) * getattr(owner, "itemsize", 1)

    def __str__(self):
        return f"{type(self.owner).__name__} of {self.size()} bytes"


class Memory:
    """A simulated 32-bit memory; the pointers use the one called `memory`.

    `hook`: None, or called as hook(kind, address, width) before each access; `kind` is "load" or
    "store", `width` 1, 2 or 4 bytes. `misalign`: how many bytes, 0..3, past a multiple of 16 a
    buffer of bytes is placed from now on: a literal or a slice can start anywhere. (A bytearray or
    array is aligned, as on the heap.) `accesses` counts them.
    """

    def __init__(self):
        self.hook = None
        self.misalign = 0
        self.accesses = 0
        self._next = _RAM
        self._bases = []  # sorted
        self._regions = []  # in the same order
        self._by_id = {}
        self._sweep_at = 256

    def address_of(self, obj):
        """Return (address, region) of a buffer, placing it if it is new."""
        offset = 0
        owner = obj
        if type(obj) is memoryview:
            owner = obj.obj
            offset = _host_address(obj) - _host_address(owner)
        region = self._by_id.get(id(owner))
        if region is None:
            memoryview(owner).release()  # raises TypeError unless it is a buffer
            region = self._place(owner)
        return region.base + offset, region

    def device(self, address, size):
        """Map a peripheral's registers at `address`; return them as a bytearray of `size`."""
        registers = bytearray(size)
        self._insert(_Region(address, registers))
        return registers

    def region_at(self, address):
        """Return the region at `address`, or the one it overruns; raise BadAddress if none."""
        at = bisect.bisect_right(self._bases, address) - 1
        if at >= 0:
            region = self._regions[at]
            if address < region.base + region.size() + _GAP:
                if self._freed(region):
                    raise BadAddress(f"0x{address:08x} was in a {region}, which has been freed")
                return region
        raise BadAddress(f"0x{address & 0xFFFFFFFF:08x} is the address of no buffer")

    def describe(self, address):
        """Return `address` as a person would say it."""
        try:
            region = self.region_at(address)
        except BadAddress as error:
            return str(error)
        return f"{region} + {address - region.base}"

    def load(self, address, width, region):
        """Return the unsigned value at `address`."""
        offset = self._reach("load", address, width, region)
        owner = region.owner
        if type(owner) is not bytearray and type(owner) is not bytes:
            owner = memoryview(owner).cast("B")
        if width == 1:
            return owner[offset]
        return int.from_bytes(owner[offset : offset + width], "little")

    def store(self, address, width, region, value):
        """Store the low bytes of `value` at `address`."""
        offset = self._reach("store", address, width, region)
        owner = region.owner
        data = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
        if type(owner) is bytearray:
            owner[offset : offset + width] = data
            return
        with memoryview(owner) as view:
            if view.readonly:
                raise ReadOnly(f"store at byte {offset} of a {region}")
            view.cast("B")[offset : offset + width] = data

    def _reach(self, kind, address, width, region):
        self.accesses += 1
        if self.hook is not None:
            self.hook(kind, address, width)
        offset = address - region.base
        if offset < 0 or offset + width > region.size():
            raise OutOfBounds(f"{kind} of {width} bytes at byte {offset} of a {region}")
        if address & width - 1:
            raise Unaligned(
                f"{kind} of {width} bytes at 0x{address:08x}, byte {offset} of a {region}"
            )
        return offset

    def _freed(self, region):
        # Only the region itself and getrefcount's argument refer to the buffer.
        return region.base < _RAM_END and sys.getrefcount(region.owner) <= 2

    def _place(self, owner):
        if len(self._regions) >= self._sweep_at:
            self._sweep()
        size = memoryview(owner).nbytes
        if self._next + size + 2 * _GAP > _RAM_END:
            self._sweep()
            self._next = _RAM
        base = self._next
        for region in self._regions[bisect.bisect_left(self._bases, base) :]:
            if base + size + _GAP <= region.base:
                break
            base = region.base + region.size() + _GAP + 15 & ~15
        self._next = base + size + _GAP + 15 & ~15
        region = _Region(base + (self.misalign if type(owner) is bytes else 0), owner)
        self._insert(region)
        self._by_id[id(owner)] = region
        return region

    def _insert(self, region):
        at = bisect.bisect_left(self._bases, region.base)
        self._bases.insert(at, region.base)
        self._regions.insert(at, region)

    def _sweep(self):
        alive = [region for region in self._regions if not self._freed(region)]
        self._regions = alive
        self._bases = [region.base for region in alive]
        self._by_id = {id(region.owner): region for region in alive}
        self._sweep_at = 2 * len(alive) + 256


memory = Memory()


class _Pointer:
    """What ptr8, ptr16 and ptr32 return: an address, indexed in units of the width."""

    __slots__ = ("_address", "_region")
    width = 0

    def __init__(self, at):
        if isinstance(at, int):
            self._address = at & 0xFFFFFFFF
            self._region = None
        elif isinstance(at, _Pointer):
            self._address = at._address
            self._region = at._region
        else:
            if isinstance(at, str):
                at = at.encode()  # a str is a buffer on MicroPython
            try:
                self._address, self._region = memory.address_of(at)
            except TypeError:
                # What MicroPython says.
                raise TypeError("object with buffer protocol required") from None

    def __int__(self):
        return self._address

    def __getitem__(self, index):
        width = self.width
        address = self._address + index * width
        return memory.load(address, width, self._region or self._resolve(address))

    def __setitem__(self, index, value):
        width = self.width
        address = self._address + index * width
        memory.store(address, width, self._region or self._resolve(address), value)

    def _resolve(self, address):
        self._region = memory.region_at(address)
        return self._region


class ptr8(_Pointer):
    """viper's pointer to bytes."""

    __slots__ = ()
    width = 1


class ptr16(_Pointer):
    """viper's pointer to half-words, unsigned."""

    __slots__ = ()
    width = 2


class ptr32(_Pointer):
    """viper's pointer to words, signed as on a 32-bit chip."""

    __slots__ = ()
    width = 4

    def __getitem__(self, index):
        value = _Pointer.__getitem__(self, index)
        return value - 0x100000000 if value & 0x80000000 else value


def _to_int(value):
    # An argument annotated `int`: cut to a machine word.
    if not isinstance(value, int):
        raise TypeError(f"can't convert {type(value).__name__} to int")
    return (value + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def viper(function):
    """Make `function` behave as one compiled by @micropython.viper."""
    code = function.__code__
    hints = function.__annotations__
    names = code.co_varnames[: code.co_argcount]
    ints = [place for place, name in enumerate(names) if hints.get(name) is int]
    count = len(names)
    cells = len(code.co_freevars)  # MicroPython counts them as arguments
    to_bool = hints.get("return") is bool

    @functools.wraps(function)
    def verb(*args, **keywords):
        if keywords:
            raise TypeError("function doesn't take keyword arguments")
        if len(args) != count:
            raise TypeError(
                f"function takes {count + cells} positional arguments "
                f"but {len(args) + cells} were given"
            )
        if ints:
            args = list(args)
            for place in ints:
                args[place] = _to_int(args[place])
        result = function(*args)
        if to_bool:
            return bool(result)
        if type(result) is int and not -_SMALL <= result < _SMALL:
            raise OutOfSmallInts(f"{function.__name__}() returned {result}")
        return result

    return verb


class Clock:
    """What time's ticks functions read: the host's time, or a simulated one once set."""

    def __init__(self):
        self._us = None

    def now_us(self):
        """Return microseconds since some start."""
        return time.perf_counter_ns() // 1000 if self._us is None else self._us

    def set(self, us):
        """Stop the clock at `us` microseconds."""
        self._us = us

    def advance(self, us):
        """Let `us` microseconds pass; stops the clock."""
        self._us = self.now_us() + us

    def run(self):
        """Go back to the host's time."""
        self._us = None

    def sleep_us(self, us):
        """Wait, or let simulated time pass."""
        if self._us is None:
            time.sleep(us / 1000000)
        else:
            self._us += us


clock = Clock()


def _ticks_diff(end, start):
    half = _SMALL >> 1
    return (end - start + half & _TICKS_MASK) - half


def _install():
    module = types.ModuleType("micropython", "MicroPython's module, as far as it means something.")
    locks = [0]

    def heap_lock():
        locks[0] += 1
        return locks[0]

    def heap_unlock():
        locks[0] -= 1
        return locks[0]

    module.const = lambda value: value
    module.viper = viper
    module.native = lambda function: function
    module.heap_lock = heap_lock
    module.heap_unlock = heap_unlock
    module.heap_locked = lambda: locks[0]
    module.opt_level = lambda level=0: 0
    module.schedule = lambda function, argument: function(argument)
    module.alloc_emergency_exception_buf = lambda size: None
    module.kbd_intr = lambda char: None
    sys.modules["micropython"] = module

    for pointer in (ptr8, ptr16, ptr32):
        setattr(builtins, pointer.__name__, pointer)

    lacking = {
        time: {
            "ticks_us": lambda: clock.now_us() & _TICKS_MASK,
            "ticks_ms": lambda: clock.now_us() // 1000 & _TICKS_MASK,
            "ticks_cpu": lambda: clock.now_us() & _TICKS_MASK,
            "ticks_add": lambda ticks, delta: ticks + delta & _TICKS_MASK,
            "ticks_diff": _ticks_diff,
            "sleep_us": clock.sleep_us,
            "sleep_ms": lambda ms: clock.sleep_us(1000 * ms),
        },
        gc: {"mem_free": lambda: _RAM_END - _RAM, "mem_alloc": lambda: 0},
    }
    for target, names in lacking.items():
        for name, function in names.items():
            if not hasattr(target, name):
                setattr(target, name, function)


_install()

__all__ = [
    "BadAddress",
    "Clock",
    "Memory",
    "OutOfBounds",
    "OutOfSmallInts",
    "ReadOnly",
    "SimulationError",
    "Unaligned",
    "clock",
    "memory",
    "ptr8",
    "ptr16",
    "ptr32",
    "viper",
]
