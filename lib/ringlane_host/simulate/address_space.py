"""The simulated 32-bit memory: where objects have their addresses, and what a chip would punish.

Each buffer whose address is taken has a place of its own, with gaps between. The errors:

    OutOfBounds     an access beyond the buffer
    Unaligned       a 16- or 32-bit access off its alignment: a HardFault on a Cortex-M0+
    BadAddress      no buffer was ever there, or it has been freed or resized
    ReadOnly        a store into bytes, which a chip would carry out, in flash even
    OutOfSmallInts  a viper function returned an int that a 32-bit chip has to allocate
    Miscompiled     a function that viper compiles without complaint but that cannot work

The words of objects, which the direct form of the verbs reads, are as a 32-bit MicroPython has
them; each is there only if that form may rely on it (InPlace).
"""

import collections
import ctypes
import sys
from array import array
from bisect import bisect_right

from .source import Word, word_of

WORD = 0xFFFFFFFF
SMALL = 1 << 30  # from here on an int needs memory on a 32-bit chip

# Where objects get their addresses: below 2**30, so that an address is a small int.
_LOW, _HIGH = 0x20000000, 0x40000000
_ALIGNMENT = 16
_GAP = 256  # nothing lies so close behind an object, so an overrun hits nothing
_FREED_KEPT = 1000  # freed objects that an error can still name
_COLLECT_EVERY = 256


def signed(value):
    return ((value & WORD) ^ 0x80000000) - 0x80000000


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


class InPlace:
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
        self._obj[number] = signed(value) >> 1

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
NOWHERE = _Region(-1, 0, b"", None, True, "nothing")


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
    slice can start anywhere. (A bytearray or array is aligned, as on the heap.) `fault`: the last
    SimulationError raised, or None, to find one that the program caught.

    An object is freed when nothing but the memory refers to it. That is found when its address is
    used as an int, which does not keep it alive; a pointer made of the object does.
    """

    def __init__(self):
        self.hook = None
        self.misalign = 0
        self.fault = None
        self._regions = []  # by address; freed ones too, while an error can name them
        self._starts = []
        self._of = {}  # id(object): region
        self._last = NOWHERE  # the region found last
        self._freed: collections.deque[_Region] = collections.deque(maxlen=_FREED_KEPT)
        self._next = _LOW
        self._collect_in = _COLLECT_EVERY

    def place(self, obj):
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
        region, offset = self.place(obj)
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
                self._last = NOWHERE
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
            return f"0x{address & WORD:08x} is the address of no buffer"
        if region.size < 0:
            return f"0x{address:08x} was in a {region.title}, which has been freed"
        offset = address - region.start
        named = region.label(offset) if region.label is not None else None
        return named or f"{region.title} + {offset}"

    def label(self, obj, label):
        """Let describe() name what is in the buffer `obj`: label(offset) returns a str or None."""
        self.place(obj)[0].label = label

    def fence(self):
        """Order this core's stores before whatever it does next, as DMB does.

        Only where a core's stores are seen late (explorer.py) does it make a difference.
        """
        if self.hook is not None:
            self.hook("fence", 0, 0)

    def offset(self, address):
        """Return how far into its buffer `address` is; `address` itself if no buffer is there."""
        region = self.at(address)
        return address if region is None else address - region.start

    def peek(self, address, size):
        """Return the bytes at `address` unchecked and without the hook; None if none are there."""
        region = self.at(address)
        if region is None or address + size > region.start + region.size:
            return None
        with memoryview(region.buffer) as view, view.cast("B") as data:
            return bytes(data[address - region.start :][:size])

    def poke(self, address, data):
        """Put `data` where peek would find it; nothing happens if no buffer is there any more."""
        region = self.at(address)
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
        region = self.at(pointer._address)
        if region is not None:
            pointer._region = region
            return region
        return self.at(address) or NOWHERE

    def refuse(self, kind, width, address, region):
        """Raise the error for an access that failed the checks."""
        access = f"{kind} of {width} bytes at"
        if region is NOWHERE:
            near = self._near(address)
            if not 0 <= address <= WORD:
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

    def at(self, address):
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
        self._last = NOWHERE
        named = set(self._freed)
        self._regions = [each for each in self._regions if each.size >= 0 or each in named]
        self._starts = [each.start for each in self._regions]


memory = Memory()
