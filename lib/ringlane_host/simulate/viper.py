"""Viper on CPython: its pointers, its conversions, its calls, on the simulated memory.

A pointer is an address there. Loads of words are signed, stores are cut to their width. Each
access calls `memory.hook` before it happens: there a simulated interrupt can land or another core
run.

Not simulated: the width of local variables (an overflow shows only when the value is stored,
returned or used as an address), and viper's static types beyond what a value shows at run time.
"""

import dis
import functools
import inspect
import struct
import sys
import types
from typing import Any

from .address_space import (
    SMALL,
    WORD,
    BadAddress,
    InPlace,
    Miscompiled,
    OutOfSmallInts,
    memory,
    signed,
)
from .scheduler import access_codes, scheduler, viper_codes
from .source import Word


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
            kind = type(x)
            if kind is int or kind is bool:
                if not -0x80000000 <= x <= WORD:
                    memory.fail(BadAddress(f"{name}({x:#x}): more than 32 bits"))
                self._address = x & WORD
                self._region = self._object = None
            elif kind is Word:
                self._address = int(x)
                self._region = InPlace(x)
                self._object = x.obj
            elif kind in _POINTERS:
                self._address = x._address
                self._region = x._region
                self._object = x._object
            else:
                region, offset = memory.place(x)
                self._address = region.start + offset
                self._region = region
                self._object = x

        def __getitem__(self, index):
            address = self._address + index * width
            region: Any = self._region
            if memory.hook is not None and type(region) is not InPlace:
                memory.hook("load", address, width)
                region = self._region
            if region is None:
                region = memory.find(self, address)
            elif type(region) is InPlace:
                return region.load(address - region.start, width)
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
            if memory.hook is not None and type(region) is not InPlace:
                memory.hook("store", address, width)
                region = self._region
            if region is None:
                region = memory.find(self, address)
            elif type(region) is InPlace:
                region.store(address - region.start, width, value)
                return
            offset = address - region.start
            if address & odd or offset < 0 or offset + width > region.size or not region.writable:
                memory.refuse("store", width, address, region)
            try:
                pack_into(region.buffer, offset, value & mask)
            except struct.error:
                memory.refuse("store", width, address, region)

        def __int__(self):
            return signed(self._address)

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


for _pointer_type in _POINTERS:
    for _access in (_pointer_type.__getitem__, _pointer_type.__setitem__):
        access_codes.add(id(_access.__code__))


def _viper_int(x):
    """Viper's int(x): signed 32 bits of an int, a bool or a pointer, and of nothing else."""
    kind = type(x)
    if kind is int:  # most are, and each access has some
        return x if -SMALL <= x < SMALL else signed(x)
    if kind in _POINTERS:
        return signed(x._address)
    if not isinstance(x, int):
        raise TypeError(f"can't convert {kind.__name__} to int")
    return signed(x)


def uint(x):
    """Return viper's uint(x): the unsigned 32 bits of an int, a bool or a pointer."""
    return _viper_int(x) & WORD


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
    return _int_result(name, value) & WORD


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
    if not -SMALL <= value < SMALL:
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
            if scheduler.queue:
                scheduler.run(sys._getframe(1))
        return result(name, value)

    call.simulated_kind = "closure" if cells else "viper"  # for Clock, as MicroPython's types
    return call


def names():
    """Return viper's names, by name: what its functions expect among the builtins."""
    return {"ptr8": ptr8, "ptr16": ptr16, "ptr32": ptr32, "uint": uint, _INT: _viper_int}
