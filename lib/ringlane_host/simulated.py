"""MicroPython's names on CPython, viper's pointers among them, on a simulated memory.

Importing this module lets the shipped source of ringlane run unmodified on CPython. A pointer is
an address in a simulated 32-bit memory; each buffer whose address is taken has a place there of
its own, with gaps between. What a chip would punish, or its heap would suffer, is an error:

    OutOfBounds     an access beyond the buffer
    Unaligned       a 16- or 32-bit access off its alignment: a HardFault on a Cortex-M0+
    BadAddress      no buffer was ever there, or it has been freed or resized
    ReadOnly        a store into bytes, which a chip would carry out, in flash even
    OutOfSmallInts  a viper function returned an int that a 32-bit chip has to allocate
    Miscompiled     a function that viper compiles without complaint but that cannot work

The words of objects, which the direct form of the verbs reads, are as a 32-bit MicroPython has
them; each is there only if that form may rely on it (_InPlace).

Loads of words are signed, stores are cut to their width. Each access calls `memory.hook` before
it happens: there a simulated interrupt can land or another core run (explore/).

Not simulated: the width of local variables (an overflow shows only when the value is stored,
returned or used as an address), and viper's static types beyond what a value shows at run time.
"""

import builtins
import collections
import ctypes
import dis
import functools
import gc
import inspect
import struct
import sys
import threading
import time
import types
from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from . import source
from .source import Word, word_of

_WORD = 0xFFFFFFFF
_SMALL = 1 << 30  # from here on an int needs memory on a 32-bit chip

# Where objects get their addresses: below 2**30, so that an address is a small int.
_LOW, _HIGH = 0x20000000, 0x40000000
_ALIGNMENT = 16
_GAP = 256  # nothing lies so close behind an object, so an overrun hits nothing
_FREED_KEPT = 1000  # freed objects that an error can still name
_COLLECT_EVERY = 256

_SCHEDULER_DEPTH = 8  # MICROPY_SCHEDULER_DEPTH of rp2 and esp32
_TICKS_PERIOD = 1 << 30


class SimulationError(Exception):
    """The program did what a chip would punish."""


class OutOfBounds(SimulationError):
    """An access beyond the buffer."""


class Unaligned(SimulationError):
    """A 16- or 32-bit access at an address that is no multiple of its width."""


class BadAddress(SimulationError):
    """An access where no buffer is, or no more; an address of more than 32 bits."""


class ReadOnly(SimulationError):
    """A store into a read-only buffer."""


class OutOfSmallInts(SimulationError):
    """A result beyond -2**30..2**30-1."""


class Miscompiled(SimulationError):
    """A function that MicroPython's viper does not refuse but cannot run."""


class _Region:
    """An object's place in the address space, or a device's."""

    __slots__ = (
        "start",
        "end",
        "size",
        "buffer",
        "owner",
        "idle",
        "length",
        "writable",
        "title",
        "label",
    )

    def __init__(self, start, size, buffer, owner, writable, title):
        self.start = start
        self.end = start + size
        self.size = size  # -1 once freed: no access is within bounds any more
        self.buffer = buffer
        self.owner = owner
        # References to the owner when nothing outside the memory has one.
        self.idle = _ALONE + (buffer is owner)
        self.length = len(owner) if owner is not None else 0
        self.writable = writable
        self.title = f"{title} of {size} bytes"
        self.label = None

    def free(self):
        self.size = -1
        self.buffer = self.owner = None


class _InPlace:
    """The words of an object, or the items of a list, as a 32-bit MicroPython lays them out.

    Only what the direct form of the verbs may rely on is there. They are the calling context's
    own, so memory.hook is not called.
    """

    __slots__ = ("start", "_obj", "_items")

    def __init__(self, word):
        self.start = int(word)
        self._obj = word.obj
        self._items = word.items

    def load(self, offset, width):
        number = self._number(offset, width)
        obj = self._obj
        if self._items:
            return word_of(obj[number])
        kind = type(obj)
        if number == 0:
            return word_of(kind)
        if number == 2 and kind in (bytes, bytearray, memoryview, array, list):
            return len(obj)
        if number == 3 and kind in (bytes, bytearray):
            return memory.address_of(obj)[0]
        if number == 3 and kind is list:
            found = Word(self.start + 8)
            found.obj, found.items = obj, True
            return found
        memory.fail(BadAddress(f"word {number} of a {kind.__name__}: nobody knows what it is"))

    def store(self, offset, width, value):
        number = self._number(offset, width)
        if not self._items:
            memory.fail(ReadOnly(f"store into word {number} of a {type(self._obj).__name__}"))
        if not value & 1:
            memory.fail(BadAddress(f"store of {value:#x} into a list, where it is no small int"))
        self._obj[number] = _signed(value) >> 1

    def _number(self, offset, width):
        number, odd = divmod(offset, 4)
        if odd or width != 4:
            memory.fail(Unaligned(f"access of {width} bytes to a {type(self._obj).__name__}"))
        if self._items and not 0 <= number < len(self._obj):
            memory.fail(OutOfBounds(f"item {number} of a list of {len(self._obj)}"))
        return number


def _alone():
    # What getrefcount counts beside the attribute differs between versions of CPython.
    sample = _Region(0, 0, b"", bytearray(), False, "sample")
    return sys.getrefcount(sample.owner)


_ALONE = 0  # for the sample
_ALONE = _alone()
_NOWHERE = _Region(-1, 0, b"", None, True, "nothing")


class _Buffer(ctypes.Structure):
    # Py_buffer of CPython's buffer protocol; only the first field is read.
    _fields_ = [("buf", ctypes.c_void_p), ("rest", ctypes.c_byte * 128)]


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int)
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(_Buffer),)
_release_buffer.restype = None


def _host_address(obj):
    """Return where the bytes of `obj` lie in the memory of this process."""
    buffer = _Buffer()
    _get_buffer(obj, ctypes.byref(buffer), 0)
    address = buffer.buf
    _release_buffer(ctypes.byref(buffer))
    return address or 0


class Memory:
    """A simulated 32-bit memory; the pointers use the one called `memory`.

    `hook`: None, or called as hook(kind, address, width) before each access; `kind` is "load" or
    "store", `width` 1, 2 or 4 bytes; by fence() as hook("fence", 0, 0). `misalign`: how many
    bytes, 0..15, past a multiple of 16 a bytes or str object is placed from now on: a literal or a
    slice can start anywhere. (A bytearray or array is aligned, as on the heap.) `accesses` counts
    them. `fault`: the last SimulationError raised, or None, to find one that the program caught.

    An object is freed when nothing but the memory refers to it. That is found when its address is
    used as an int, which does not keep it alive; a pointer made of the object does.
    """

    def __init__(self):
        self.hook = None
        self.accesses = 0
        self.misalign = 0
        self.fault = None
        self._regions = []  # by address; freed ones too, while an error can name them
        self._starts = []
        self._of = {}  # id(object): region
        self._last = _NOWHERE  # the region found last
        self._freed: collections.deque[_Region] = collections.deque(maxlen=_FREED_KEPT)
        self._next = _LOW
        self._collect_in = _COLLECT_EVERY

    def _place(self, obj):
        """Return the region of `obj` and its offset there, and give it one if it has none.

        A memoryview is in the region of the object that it is a view of. Raise TypeError, in
        viper's words, if it is not bytes-like.
        """
        base = obj
        if type(obj) is memoryview and obj.obj is not None:
            base = obj.obj
            if not obj.c_contiguous:
                raise TypeError("memoryview with a step: MicroPython has none")
        region = self._of.get(id(base))
        if region is None:
            region = self._add_object(base)
        elif region.length != len(base):
            self._free(region)  # resized, so on a board it may lie elsewhere now
            region = self._add_object(base)
        if base is obj or not region.size:
            return region, 0
        return region, _host_address(obj) - _host_address(base)

    def address_of(self, obj):
        """Return (address, region) of a buffer or str, placing it if it is new."""
        region, offset = self._place(obj)
        return region.start + offset, region

    def device(self, address, size):
        """Map a peripheral's registers at `address`; return them as a bytearray of `size`.

        The same range mapped again stands for the new registers. Raise ValueError if it overlaps
        anything else.
        """
        for at in range(len(self._regions) - 1, -1, -1):
            region = self._regions[at]
            if region.size >= 0 and region.start < address + size and address < region.end:
                if (region.start, region.size) != (address, size) or region.owner is not None:
                    raise ValueError(f"0x{address:08x} is taken by a {region.title}")
                del self._regions[at], self._starts[at]
                region.free()
                self._last = _NOWHERE
        registers = bytearray(size)
        self._insert(_Region(address, size, registers, None, True, "device"))
        return registers

    def unmap(self, registers):
        """Take away what device() has returned: its range is the address of nothing again."""
        for at, region in enumerate(self._regions):
            if region.buffer is registers:
                del self._regions[at], self._starts[at]
                region.free()
                return

    def describe(self, address):
        """Return `address` as a person would say it."""
        region = self._near(address)
        if region is None:
            return f"0x{address & _WORD:08x} is the address of no buffer"
        if region.size < 0:
            return f"0x{address:08x} was in a {region.title}, which has been freed"
        offset = address - region.start
        named = region.label(offset) if region.label is not None else None
        return named or f"{region.title} + {offset}"

    def label(self, obj, label):
        """Let describe() name what is in the buffer `obj`: label(offset) returns a str or None."""
        self._place(obj)[0].label = label

    def fence(self):
        """Order this core's stores before whatever it does next, as DMB does.

        Only where a core's stores are seen late (explore/) does it make a difference.
        """
        if self.hook is not None:
            self.hook("fence", 0, 0)

    def offset(self, address):
        """Return how far into its buffer `address` is; `address` itself if no buffer is there."""
        region = self._at(address)
        return address if region is None else address - region.start

    def peek(self, address, size):
        """Return the bytes at `address` unchecked and without the hook; None if none are there."""
        region = self._at(address)
        if region is None or address + size > region.start + region.size:
            return None
        with memoryview(region.buffer) as view, view.cast("B") as data:
            return bytes(data[address - region.start :][:size])

    def poke(self, address, data):
        """Put `data` where peek would find it; nothing happens if no buffer is there any more."""
        region = self._at(address)
        if region is None or address + len(data) > region.start + region.size:
            return
        start = address - region.start
        with memoryview(region.buffer) as view, view.cast("B") as target:
            target[start : start + len(data)] = data

    def heap(self):
        """Return (allocated, free) in bytes: of live objects with an address, of address space."""
        self._collect()
        allocated = sum(region.size for region in self._of.values())
        return allocated, _HIGH - _LOW - allocated

    def find(self, pointer, address):
        """Return the region for an access at `address` by `pointer`, which is made of an int.

        If it points into a region or just behind, it belongs there from now on; ptr32(0)[n]
        belongs nowhere.
        """
        region = self._at(pointer._address)
        if region is not None:
            pointer._region = region
            return region
        return self._at(address) or _NOWHERE

    def refuse(self, kind, width, address, region):
        """Raise the error for an access that failed the checks."""
        access = f"{kind} of {width} bytes at"
        if region is _NOWHERE:
            near = self._near(address)
            if not 0 <= address <= _WORD:
                self.fail(BadAddress(f"{access} {address:#x}: more than 32 bits"))
            if near is None:
                self.fail(BadAddress(f"{access} {self.describe(address)}"))
            region = near
        if region.size < 0:
            self.fail(
                BadAddress(
                    f"{access} 0x{address:08x}, which was in a {region.title}, "
                    "which has been freed or resized"
                )
            )
        offset = address - region.start
        access += f" byte {offset} of a {region.title}, 0x{address:08x}"
        if offset < 0 or offset + width > region.size:
            self.fail(OutOfBounds(access))
        if address % width:
            self.fail(Unaligned(access))
        if kind == "store" and not region.writable:
            self.fail(ReadOnly(access))
        self._free(region)
        self.fail(BadAddress(f"{access}, which has been resized"))

    def fail(self, error):
        """Raise `error` and remember it."""
        self.fault = type(error)(*error.args)  # a copy: a traceback would keep objects alive
        raise error

    def _at(self, address):
        """Return the region that holds `address` or ends there, or None."""
        region = self._last
        if not region.start <= address < region.end:
            at = bisect_right(self._starts, address) - 1
            if at < 0:
                return None
            region = self._regions[at]
            if address > region.end:
                return None
            self._last = region
        if region.owner is not None and (
            sys.getrefcount(region.owner) == region.idle or len(region.owner) != region.length
        ):
            self._free(region)
        return region

    def _near(self, address):
        """Return the region that holds `address` or is just beside it, or None."""
        at = bisect_right(self._starts, address)
        if at and address < self._regions[at - 1].end + _GAP:
            return self._regions[at - 1]
        if at < len(self._regions) and address > self._starts[at] - _ALIGNMENT:
            return self._regions[at]
        return None

    def _add_object(self, obj):
        kind = type(obj)
        title = kind.__name__
        if kind is str:
            buffer, writable = obj.encode(), False
            size = len(buffer)
        else:
            try:
                with memoryview(obj) as view:
                    buffer, writable, size = obj, not view.readonly, view.nbytes
                    len(obj)
            except TypeError:
                raise TypeError(f"can't convert {title} to int") from None
            if hasattr(obj, "typecode"):
                title += f"({obj.typecode!r})"
        self._collect_in -= 1
        if self._collect_in <= 0:
            self._collect()
        start = self._room(size + _ALIGNMENT + _GAP)
        if not writable:
            start += self.misalign
        region = _Region(start, size, buffer, obj, writable, title)
        self._insert(region)
        self._of[id(obj)] = region
        return region

    def _insert(self, region):
        at = bisect_right(self._starts, region.start)
        self._starts.insert(at, region.start)
        self._regions.insert(at, region)

    def _room(self, size):
        """Return the address of so many bytes in which nothing is, behind those given last."""
        wrapped = False
        start = self._next
        at = max(0, bisect_right(self._starts, start) - 1)
        while True:
            while at < len(self._regions) and self._starts[at] < start + size:
                start = max(start, self._regions[at].end + _GAP + _ALIGNMENT - 1 & -_ALIGNMENT)
                at += 1
            if start + size <= _HIGH:
                self._next = start + size + _ALIGNMENT - 1 & -_ALIGNMENT
                return start
            if wrapped:
                raise MemoryError(f"no {size} bytes left in the simulated memory")
            wrapped = True
            self._collect()
            self._freed.clear()
            self._forget()
            start = _LOW
            at = max(0, bisect_right(self._starts, start) - 1)

    def _free(self, region):
        self._of.pop(id(region.owner), None)  # a device is not there
        region.free()
        self._freed.append(region)

    def _collect(self):
        """Free the objects that nothing else refers to."""
        for region in list(self._of.values()):
            if sys.getrefcount(region.owner) == region.idle:
                self._free(region)
        self._forget()
        self._collect_in = max(_COLLECT_EVERY, len(self._of))

    def _forget(self):
        """Drop the regions freed so long ago that no error needs their names."""
        self._last = _NOWHERE
        named = set(self._freed)
        self._regions = [each for each in self._regions if each.size >= 0 or each in named]
        self._starts = [each.start for each in self._regions]


memory = Memory()


def _signed(value):
    return ((value & _WORD) ^ 0x80000000) - 0x80000000


def _pointer(name, load_code, store_code):
    """Return the class of a viper pointer; little-endian, as all of MicroPython's boards are."""
    width = struct.calcsize(load_code)
    mask = (1 << 8 * width) - 1
    odd = width - 1
    unpack_from = struct.Struct("<" + load_code).unpack_from
    pack_into = struct.Struct("<" + store_code).pack_into

    class Pointer:
        # The object itself, not the region alone, so that it lives as long as the pointer.
        __slots__ = ("_address", "_region", "_object")

        def __init__(self, x):
            if type(x) is int or type(x) is bool:
                if not -0x80000000 <= x <= _WORD:
                    memory.fail(BadAddress(f"{name}({x:#x}): more than 32 bits"))
                self._address = x & _WORD
                self._region = self._object = None
            elif type(x) is Word:
                self._address = int(x)
                self._region = _InPlace(x)
                self._object = x.obj
            elif type(x) in _POINTERS:
                self._address = x._address
                self._region = x._region
                self._object = x._object
            else:
                region, offset = memory._place(x)
                self._address = region.start + offset
                self._region = region
                self._object = x

        def __getitem__(self, index):
            address = self._address + index * width
            region: Any = self._region
            if type(region) is _InPlace:
                return region.load(address - region.start, width)
            memory.accesses += 1
            if memory.hook is not None:
                memory.hook("load", address, width)
                region = self._region
            if region is None:
                region = memory.find(self, address)
            offset = address - region.start
            if address & odd or offset < 0 or offset + width > region.size:
                memory.refuse("load", width, address, region)
            try:
                return unpack_from(region.buffer, offset)[0]
            except struct.error:
                memory.refuse("load", width, address, region)

        def __setitem__(self, index, value):
            if type(value) is not int and type(value) is not bool and type(value) is not Word:
                kind = type(value).__name__ if type(value) in _POINTERS else "object"
                raise TypeError(f"can't store '{kind}'")
            address = self._address + index * width
            region: Any = self._region
            if type(region) is _InPlace:
                region.store(address - region.start, width, value)
                return
            memory.accesses += 1
            if memory.hook is not None:
                memory.hook("store", address, width)
                region = self._region
            if region is None:
                region = memory.find(self, address)
            offset = address - region.start
            if address & odd or offset < 0 or offset + width > region.size or not region.writable:
                memory.refuse("store", width, address, region)
            try:
                pack_into(region.buffer, offset, value & mask)
            except struct.error:
                memory.refuse("store", width, address, region)

        def __int__(self):
            return _signed(self._address)

        __iter__ = None

        def __bool__(self):
            raise TypeError(f"can't implicitly convert '{name}' to 'bool'")

        def __eq__(self, other):
            raise TypeError(f"can't compare '{name}': compare int({name}(...))")

        __hash__ = None

        def __repr__(self):
            return f"<{name} {memory.describe(self._address)}>"

    Pointer.__name__ = Pointer.__qualname__ = name
    return Pointer


ptr8 = _pointer("ptr8", "B", "B")
ptr16 = _pointer("ptr16", "H", "H")
ptr32 = _pointer("ptr32", "i", "I")
_POINTERS = (ptr8, ptr16, ptr32)


def _accesses(pointer):
    return pointer.__getitem__, pointer.__setitem__


# The ids of the codes that call memory.hook.
_ACCESSES = {
    id(function.__code__)
    for function in (Memory.fence, *(f for each in _POINTERS for f in _accesses(each)))
}


def _viper_int(x):
    """Viper's int(x): signed 32 bits of an int, a bool or a pointer, and of nothing else."""
    if type(x) in _POINTERS:
        return _signed(x._address)
    if not isinstance(x, int):
        raise TypeError(f"can't convert {type(x).__name__} to int")
    return _signed(x)


def uint(x):
    """Return viper's uint(x): the unsigned 32 bits of an int, a bool or a pointer."""
    return _viper_int(x) & _WORD


# Annotations: of a parameter, what converts it; of the result, what checks it.


def _int_result(name, value):
    if value is None:
        return 0  # the end of the function, without a return
    if type(value) is Word:
        value = int(value)
    if type(value) is not int:
        kind = type(value).__name__ if type(value) in (bool, *_POINTERS) else "object"
        raise TypeError(f"return expected 'int' but got '{kind}'")
    return _small(name, value)


def _uint_result(name, value):
    return _int_result(name, value) & _WORD


def _bool_result(name, value):
    if value is None:
        return False
    if type(value) is not bool:
        kind = type(value).__name__ if type(value) in (int, *_POINTERS) else "object"
        raise TypeError(f"return expected 'bool' but got '{kind}'")
    return value


def _pointer_result(name, value):
    return _small(name, int(value))


def _object_result(name, value):
    if type(value) is int:
        return _small(name, value)
    if type(value) in _POINTERS:
        raise TypeError(f"return expected 'object' but got '{type(value).__name__}'")
    return value


def _small(name, value):
    if not -_SMALL <= value < _SMALL:
        memory.fail(OutOfSmallInts(f"{name}() returned {value}"))
    return value


_PARAMETERS = {
    "int": _viper_int,
    "uint": uint,
    "bool": bool,
    "object": None,
    "ptr8": ptr8,
    "ptr16": ptr16,
    "ptr32": ptr32,
}
_RESULTS = {
    "ptr8": _pointer_result,
    "ptr16": _pointer_result,
    "ptr32": _pointer_result,
    "int": _int_result,
    "uint": _uint_result,
    "bool": _bool_result,
    "object": _object_result,
    "None": _object_result,
}

_INT = "int (viper)"  # a name that no source can have
# id(code): (code, the code to run). A channel makes its verbs anew from the same code.
_compiled: dict[int, tuple[types.CodeType, types.CodeType]] = {}
viper_codes: set[int] = set()  # ids of the codes that run as viper


def _compile(function):
    """Return the code of a viper function with viper's int() in it.

    Raise Miscompiled for what MicroPython does not refuse but cannot run.
    """
    code = function.__code__
    found = _compiled.get(id(code))
    if found is not None:
        return found[1]
    name = code.co_name
    unsupported = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    if code.co_flags & unsupported or code.co_kwonlyargcount or function.__defaults__:
        raise Miscompiled(f"{name}(): viper has positional parameters only, without defaults")
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        raise Miscompiled(f"{name}(): viper has no generators and no async def")
    if code.co_cellvars:
        cells = ", ".join(code.co_cellvars)
        raise Miscompiled(f"{name}(): a function inside viper cannot use its variables: {cells}")
    for each in dis.get_instructions(code):
        if each.opname in ("STORE_DEREF", "DELETE_DEREF"):
            raise Miscompiled(f"{name}(): viper stores a raw word in nonlocal {each.argval}")
    names = code.co_names
    if "int" not in function.__globals__:
        names = tuple(_INT if each == "int" else each for each in names)
    run = code.replace(co_names=names)
    _compiled[id(code)] = code, run
    viper_codes.add(id(run))
    return run


def _annotation(function, name, kinds):
    kind = function.__annotations__.get(name, "object")
    kind = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    if kind not in kinds:
        raise TypeError(f"unknown type '{kind}'")
    return kinds[kind]


def viper(function):
    """Simulate @micropython.viper: its calls, its conversions, its errors.

    Raise Miscompiled for a function that cannot work, TypeError for an unknown annotation.
    """
    code = function.__code__
    run = types.FunctionType(
        _compile(function), function.__globals__, code.co_name, None, function.__closure__
    )
    count = code.co_argcount
    cells = len(code.co_freevars)
    name = code.co_name
    result = _annotation(function, "return", _RESULTS)
    conversions = []
    for place, parameter in enumerate(code.co_varnames[:count]):
        convert = _annotation(function, parameter, _PARAMETERS)
        if convert is not None:
            conversions.append((place, convert))

    @functools.wraps(function)
    def call(*args, **keywords):
        if keywords:
            raise TypeError("function doesn't take keyword arguments")
        if len(args) != count:
            raise TypeError(
                f"function takes {count + cells} positional arguments "
                f"but {len(args) + cells} were given"
            )
        if conversions:
            values = list(args)
            for place, convert in conversions:
                values[place] = convert(values[place])
            args = values
        try:
            value = run(*args)
        finally:
            if _scheduler.queue:
                _scheduler.run(sys._getframe(1))
        return result(name, value)

    call.simulated_kind = "closure" if cells else "viper"  # for Clock, as MicroPython's types
    return call


class _Scheduler:
    """What micropython.schedule() queued: it runs at the next bytecode boundary, as on a board.

    That is at once in plain Python code, and also in such that a viper function calls; not in the
    viper function itself, in a hard handler, which memory.hook calls, or in another scheduled
    function. While something is queued and waits for the next plain function, a profile function
    watches for its call; at other times nothing does.
    """

    def __init__(self):
        self.queue: collections.deque[tuple[Callable[..., Any], Any]] = collections.deque()
        self._busy = False
        self._before = threading.local()  # `profile`: what a watched thread had before

    def schedule(self, function, arg):
        if len(self.queue) >= _SCHEDULER_DEPTH:
            raise RuntimeError("schedule queue full")
        self.queue.append((function, arg))
        self.run(sys._getframe(1))

    def run(self, frame):
        """Run what is queued if `frame`, which runs, is at a boundary; else when one is."""
        if self._busy:
            return
        if not _at_boundary(frame):
            if not hasattr(self._before, "profile"):
                self._before.profile = sys.getprofile()
                sys.setprofile(self._watch)
            return
        self._busy = True
        try:
            while self.queue:
                function, arg = self.queue.popleft()
                function(arg)
        finally:
            self._busy = False
            if not self.queue:
                self._stop_watching()

    def _watch(self, frame, event, _):
        if event == "call" and self.queue and frame.f_code.co_filename != __file__:
            self.run(frame)
        if not self.queue:  # another thread has run it
            self._stop_watching()

    def _stop_watching(self):
        if hasattr(self._before, "profile"):
            sys.setprofile(self._before.profile)
            del self._before.profile


def _at_boundary(frame):
    # Whether `frame` runs bytecode, and no hard handler.
    if id(frame.f_code) in viper_codes:
        return False
    while frame is not None:
        if id(frame.f_code) in _ACCESSES:
            return False
        frame = frame.f_back
    return True


_scheduler = _Scheduler()


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
        if self._us is not None:
            self._us += max(0, us)
        elif us > 0:
            time.sleep(us / 1000000)


clock = Clock()


def _ticks_us():
    return clock.now_us() & _TICKS_PERIOD - 1


def _ticks_ms():
    return clock.now_us() // 1000 & _TICKS_PERIOD - 1


_ticks_us.simulated_kind = _ticks_ms.simulated_kind = "builtin"  # for Clock, too


def _ticks_add(ticks, delta):
    if not -_TICKS_PERIOD // 2 < delta < _TICKS_PERIOD // 2:
        raise OverflowError("ticks interval overflow")
    return ticks + delta & _TICKS_PERIOD - 1


def _ticks_diff(end, start):
    half = _TICKS_PERIOD // 2
    return (end - start + half & _TICKS_PERIOD - 1) - half


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
    module.schedule = _scheduler.schedule
    module.heap_lock = _heap_lock
    module.heap_unlock = _heap_unlock
    module.opt_level = lambda *level: None if level else 0
    module.alloc_emergency_exception_buf = lambda size: None
    module.kbd_intr = lambda char: None
    return module


def names():
    """Return viper's names, by name: what its functions expect among the builtins."""
    return {"ptr8": ptr8, "ptr16": ptr16, "ptr32": ptr32, "uint": uint, _INT: _viper_int}


def _install():
    """Put the names in place that firmware expects; leave those that CPython has."""
    source.install()
    sys.modules["micropython"] = _module()
    for name, value in names().items():
        setattr(builtins, name, value)
    for module, name, value in (
        (time, "ticks_us", _ticks_us),
        (time, "ticks_ms", _ticks_ms),
        (time, "ticks_cpu", _ticks_us),
        (time, "ticks_add", _ticks_add),
        (time, "ticks_diff", _ticks_diff),
        (time, "sleep_us", clock.sleep_us),
        (time, "sleep_ms", lambda ms: clock.sleep_us(1000 * ms)),
        (gc, "mem_alloc", lambda: memory.heap()[0]),
        (gc, "mem_free", lambda: memory.heap()[1]),
    ):
        if not hasattr(module, name):
            setattr(module, name, value)


_install()

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
