"""Where plain Python code can be interrupted: between its bytecodes, by soft handlers or threads.

MicroPython runs its scheduler, and under a GIL other threads, between bytecodes and nowhere else:
a viper function has none. A Tracer calls at_point(frame, point) before each bytecode that
touches what another context could see too; the others, which move locals about, can be passed
over, as nobody can tell whether he came before or after them.

CPython's bytecodes are not MicroPython's. They are finer, so each place where MicroPython can be
interrupted is also one here.
"""

import dis
import re
import sys
import sysconfig
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..simulate import viper_codes


class Point(NamedTuple):
    """A bytecode that can be told from outside.

    `kind`: "load" or "store" of `what`, a name or the items of objects; "call"; "return".
    """

    kind: str
    what: tuple[str, ...]
    text: str


_LOCAL = re.compile(
    "(LOAD|STORE|DELETE)_FAST|LOAD_CONST|LOAD_SMALL_INT|LOAD_CLOSURE|LOAD_ASSERTION_ERROR|"
    "LOAD_COMMON_CONSTANT|LOAD_BUILD_CLASS|POP_|PUSH_|COPY|SWAP|RESUME|CACHE|EXTENDED_ARG|PRECALL|"
    "KW_NAMES|NO[PT]|BUILD_|MAKE_|IS_OP|JUMP|UNARY|TO_BOOL|COMPARE_OP|BINARY_OP|GET_|SEND|END_|"
    "YIELD_VALUE|RERAISE|RAISE|CHECK_|CLEANUP|ASYNC|FORMAT|CONVERT|SETUP_|SET_FUNCTION|"
    "SET_ADD|LIST_APPEND|MAP_ADD|LIST_TO_TUPLE|CALL_INTRINSIC|RETURN_GENERATOR|INTERPRETER"
)
_NAMES = {
    "ATTR": "attribute",
    "METHOD": "attribute",
    "SUPER_ATTR": "attribute",
    "GLOBAL": "global",
    "NAME": "global",
    "DEREF": "variable",
    "CLASSDEREF": "variable",
}
_ITEMS = ("items",)


def _point(instruction):
    """Return the Point of an instruction, None if only its own frame can tell."""
    name = instruction.opname
    text = f"{name} {instruction.argrepr}".rstrip()
    if name.startswith("RETURN") and name != "RETURN_GENERATOR":
        # Its caller may be a viper function, which goes on with what it shares.
        return Point("return", (), text)
    if name == "BINARY_OP" and instruction.argrepr == "[]":
        return Point("load", _ITEMS, text)
    if _LOCAL.match(name):
        return None
    if name.startswith(("CALL", "BEFORE_WITH", "WITH_EXCEPT", "LOAD_SPECIAL")):
        return Point("call", (), text)
    verb, _, what = name.partition("_")
    kind = "load" if verb == "LOAD" else "store"
    what = what.removesuffix("_CHECK")
    if verb in ("LOAD", "STORE", "DELETE") and what in _NAMES:
        return Point(kind, (_NAMES[what], str(instruction.argval)), text)
    reads = name.startswith(("UNPACK", "FOR_ITER", "BINARY_S", "CONTAINS", "LIST_EXTEND"))
    return Point("load" if reads else "store", _ITEMS, text)


_INSTALLED = str(Path(__file__).resolve().parent.parent.parent / "ringlane") + "/"
_SKIPPED = (
    str(Path(__file__).parent.parent) + "/",
    *(f"{sysconfig.get_path(each)}/" for each in ("stdlib", "purelib", "platlib")),
    "<",
)
_points: dict[int, tuple[object, dict[int, Point] | None]] = {}


def points_of(code):
    """Return {offset: Point} of a code, None for one that is no part of a firmware.

    Not of it are CPython's own library, installed packages other than ringlane, and what simulates
    the board, with what that puts into the firmware's source.
    """
    found = _points.get(id(code))
    if found is None:
        points = None
        file = code.co_filename
        if file.startswith(_INSTALLED) or not file.startswith(_SKIPPED):
            points = {}
            for each in dis.get_instructions(code):
                point = _point(each)
                if point is not None and "(board)" not in point.text:
                    points[each.offset] = point
        _points[id(code)] = found = code, points
    return found[1]


def apart(function):
    """Return the function; its bytecodes are no points from now on.

    For what a scenario notes down: what only one context touches until all have returned.
    """
    codes = [function.__code__]
    for code in codes:
        _points[id(code)] = code, None
        codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return function


class Tracer:
    """Calls at_point(frame, point) before each bytecode that others can tell, in one thread.

    `entered(viper)` is called when any Python function is entered, with True for a viper function.
    Inside both nothing is traced. Both are attributes, set anew at any time.
    """

    def __init__(self):
        self.at_point: Callable[[types.FrameType, Point], None]
        self.entered: Callable[[bool], None]
        self.thread: int | None = None

    def attach(self):
        """Trace what this thread calls from here on, until detach()."""
        if self.thread is None:
            self.thread = threading.get_ident()
            _tracers[self.thread] = self
        _trace()

    def detach(self):
        """End it; from any thread, once this one has ended or runs nothing."""
        if self.thread is not None:
            del _tracers[self.thread]
            self.thread = None
            if not _tracers:
                _untrace()


_tracers: dict[int, Tracer] = {}  # by their threads


def _entered(code):
    # Return the tracer of this thread, if it is to see the bytecodes of `code`, which it enters.
    tracer = _tracers.get(threading.get_ident())
    if tracer is None:
        return None
    viper = id(code) in viper_codes
    tracer.entered(viper)
    return None if viper or points_of(code) is None else tracer


if sys.version_info >= (3, 12):
    # settrace() misses bytecodes here, and crashes some versions where several threads use it.
    _TOOL = 4
    _armed: dict[int, types.CodeType] = {}

    def _trace():
        monitoring = sys.monitoring
        if monitoring.get_tool(_TOOL) is None:
            events = monitoring.events
            monitoring.use_tool_id(_TOOL, __name__)
            monitoring.register_callback(_TOOL, events.PY_START, _start)
            monitoring.register_callback(_TOOL, events.PY_RESUME, _start)
            monitoring.register_callback(_TOOL, events.INSTRUCTION, _instruction)
            monitoring.set_events(_TOOL, events.PY_START | events.PY_RESUME)

    def _untrace():
        if sys.monitoring.get_tool(_TOOL) is None:
            return
        for code in _armed.values():
            sys.monitoring.set_local_events(_TOOL, code, 0)
        _armed.clear()
        sys.monitoring.set_events(_TOOL, 0)
        sys.monitoring.free_tool_id(_TOOL)

    def _start(code, _):
        if _entered(code) is not None and id(code) not in _armed:
            _armed[id(code)] = code
            sys.monitoring.set_local_events(_TOOL, code, sys.monitoring.events.INSTRUCTION)

    def _instruction(code, offset):
        tracer = _tracers.get(threading.get_ident())
        if tracer is not None:
            point = points_of(code).get(offset)
            if point is not None:
                tracer.at_point(sys._getframe(1), point)

else:

    def _trace():
        sys.settrace(_start)

    def _untrace():
        pass  # a trace function ends with its thread

    def _start(frame, event, _):
        if _entered(frame.f_code) is None:
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return _instruction

    def _instruction(frame, event, _):
        if event == "opcode":
            point = points_of(frame.f_code).get(frame.f_lasti)
            if point is not None:
                _tracers[threading.get_ident()].at_point(frame, point)
        return _instruction


__all__ = ["Point", "Tracer", "apart", "points_of"]
