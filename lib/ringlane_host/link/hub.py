"""Hub: a program's console for its own terminal, and its link for another one.

A serial port has one user. This runs the program, prints what it prints, and opens a
pseudo-terminal beside it, at which `ringlane top` and the others find the program's link.
"""

import os
import select
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path

from ..boards.targets import Target
from . import LinkError, ProgramEnded
from .frames import STRAY_MAX, Frame, Splitter
from .wires import ProgramWire, start_program

_CHUNK = 4096
_OUT_MAX = 1 << 18
_LAST_S = 2.0  # for the port's user to read what came last, and to leave
_USED_S = 5.0  # since then somebody has been there


class Hub:
    """Between `wire` and whoever opens `port`. A context manager.

    What is not for the terminal goes to the port; what its user sends goes to the board, a frame
    at a time, as the wire asks for.
    """

    def __init__(self, wire: ProgramWire) -> None:
        self._wire = wire
        self._heard = -1e9  # when its user last sent something
        self._out = bytearray()  # for that one
        self._splitter = Splitter()
        self._waiting = bytearray()  # from the port, for the board
        self._wrote: float | None = None  # when the frame that is on its way was written
        self._master, self._slave = os.openpty()
        os.set_blocking(self._master, False)
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)

    def __enter__(self) -> "Hub":
        return self

    def __exit__(self, *exc: object) -> None:
        # What the port's user has not read yet would be lost with it: the program's goodbye. How
        # much that is cannot be asked: the kernel hands on later what was written just now.
        os.close(self._slave)
        left = select.poll()
        left.register(self._master, 0)  # POLLHUP: nobody has the port open
        end = time.monotonic() + _LAST_S
        while self._used() and time.monotonic() < end and not left.poll(20):
            self._give()
        os.close(self._master)

    def _used(self) -> bool:
        return time.monotonic() - self._heard < _USED_S

    def _give(self) -> None:
        # To the port's user, if there is one.
        if not self._used() or len(self._out) > _OUT_MAX:
            self._out.clear()  # its session counts what it misses
        try:
            while self._out:
                del self._out[: os.write(self._master, self._out)]
        except BlockingIOError:
            pass

    def turn(self, timeout: float) -> bytes:
        """Carry what has come in `timeout` seconds; return the text for the terminal."""
        data = self._wire.read(timeout)
        found = self._splitter.feed(data)
        text = b"".join(each for each in found if isinstance(each, bytes))
        if any(isinstance(each, Frame) for each in found):
            self._wrote = None  # the board has read what was on its way
        self._out += data
        self._give()
        try:
            self._waiting += os.read(self._master, _CHUNK)
            self._heard = time.monotonic()
        except BlockingIOError:
            pass
        self._feed()
        return text

    def _feed(self) -> None:
        # The newest whole frame: what came before it was not answered in time. One at a time, as
        # a wire with a mounted folder asks for.
        end = self._waiting.rfind(b"\0")
        start = self._waiting.rfind(b"\0", 0, max(end, 0))
        now = time.monotonic()
        if start < 0 or self._wrote is not None and now - self._wrote < self._wire.careful_s:
            return
        frame = bytes(self._waiting[start : end + 1])
        self._waiting.clear()
        if 2 < len(frame) <= STRAY_MAX:
            self._wire.write(frame)
            self._wrote = now


def run(
    board: Target,
    code: str,
    *sources: Path,
    out: Callable[[str], object] = sys.stdout.write,
    announce: Callable[[str], object] = print,
    timeout: float | None = None,
) -> int:
    """Run `code` on `board` as Target.run, and let others look at it meanwhile.

    `announce` gets the port for them. Return 0, or 1 after the program's traceback. Raise
    LinkError as Target.run raises BoardError.
    """
    end = None if timeout is None else time.monotonic() + timeout
    with start_program(board, code, *sources) as wire, Hub(wire) as hub:
        announce(hub.port)
        while end is None or time.monotonic() < end:
            try:
                text = hub.turn(0.05)
            except ProgramEnded as ended:
                out(f"{ended.error}\n" if ended.error else "")
                return 1 if ended.error else 0
            if text:
                out(text.decode("utf-8", "replace").replace("\r\n", "\n"))
                sys.stdout.flush()
        raise LinkError(f"no end in {timeout} s")
