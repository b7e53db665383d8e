"""Which form of the hot verbs runs here: "direct", which reads objects in place, or "portable".

The direct form (verbs_direct.py) takes length and address of bytes and bytearray from the object's
own words, and writes small ints into its list. MicroPython documents none of that, so all that it
relies on is tried here, and what is not as expected makes it the portable form:

    bytes, bytearray    [0] its type, [2] the length, [3] the address of the data
    memoryview, array   [2] the length, in items
    list                [2] the length, [3] the address of the items, each an object's word
    small int           twice its value and 1; a word that ends in 00 is an object's address

To choose another, say so before the first channel is imported: `ringlane.engine = "portable"`.
"""

import sys
from array import array

import micropython

from .port import address


@micropython.viper
def _word(x) -> int:
    word = x if 1 else 0
    return word


@micropython.viper
def _type(x) -> int:
    return ptr32(x if 1 else 0)[0]


@micropython.viper
def _length(x) -> int:
    return ptr32(x if 1 else 0)[2]


@micropython.viper
def _data(x) -> int:
    return ptr32(x if 1 else 0)[3]


@micropython.viper
def _write(items, first: int, second: int, third: int):
    at = ptr32(items if 1 else 0)
    to = ptr32(at[3])
    to[0] = first << 1 | 1
    to[1] = second << 1 | 1
    to[2] = third << 1 | 1


def _unlike():
    # What the direct form needs and does not find, None if nothing.
    if sys.maxsize >> 32 and sys.implementation.name == "micropython":
        return "words of 64 bits"
    grown = bytearray(3)
    grown.extend(bytes(40))
    for data in (grown, bytearray(5), bytearray(), bytes(grown), b"\x05\x07", b""):
        if _word(data) & 3 or _type(data) != _word(type(data)):
            return "the type of %s" % type(data).__name__
        if _length(data) != len(data):
            return "the length of %s" % type(data).__name__
        if _data(data) != address(data):
            return "the address of %s" % type(data).__name__
    for data in (memoryview(grown), memoryview(grown)[3:], array("B", grown), array("B")):
        if _word(data) & 3 or _length(data) != len(data):
            return "the length of %s" % type(data).__name__
    items = [0, 0, 0]
    for count in (3, 17):
        while len(items) < count:
            items.append(None)
        if _word(items) & 3 or _length(items) != count:
            return "the length of list"
        values = 5, -7, (1 << 30) - 1
        _write(items, *values)
        if items[:3] != list(values):
            return "the items of list"
    return None


def _choose():
    asked = sys.modules["ringlane"].__dict__.get("engine")
    if asked == "portable":
        return asked
    unlike = _unlike()
    if asked is None:
        return "direct" if unlike is None else "portable: " + unlike
    if asked != "direct":
        raise ImportError("ringlane.engine must be 'direct' or 'portable', not %r" % (asked,))
    if unlike is not None:
        raise ImportError("ringlane.engine cannot be 'direct' here: %s" % unlike)
    return asked


engine = _choose()
del _word, _type, _length, _data, _write, _unlike, _choose
