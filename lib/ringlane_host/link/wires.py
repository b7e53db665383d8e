"""Wires: how a session reaches a board. A port where a program runs, or a program started here."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import package
from ..boards.targets import FIRST_MOUNTED, STARTED, TARGETS, Target, connect, no_board
from . import LinkError, ProgramEnded
from .session import Wire

_REQUEST, _END = b"\x18", b"\x04"
_RAW = b"raw REPL; CTRL-B to exit"
_REQUEST_S = 5.0  # for the bytes of a board's request
_STOP_S, _CTRL_C_S = 15.0, 2.0
_AWAY_S = 10.0  # for so long a port may be away
_ATTACH_S = 10.0
_LOAD_S = 60.0  # for a program that has to be loaded first
_LOAD_SLOWLY_S = 240.0  # on an emulated chip, beside whatever else this computer does


class PortWire:
    """A serial port, a virtual board's pseudo-terminal, or socket://HOST:PORT."""

    def __init__(self, port: str) -> None:
        import serial

        if why := no_board(port):
            raise LinkError(why)
        self.name = port
        self.careful_s = 0.0
        self._lost = (serial.SerialException, OSError)
        self._since: float | None = None  # when the board was unplugged, or reset
        self._serial: serial.SerialBase | None = None
        try:
            self._open()
        except self._lost as error:
            said = str(error)
            if "exclusive" in said.lower() or "busy" in said.lower():
                said = "another program has it open; close that first"
            elif "://" not in port and not _is_terminal(port):
                said = f"it is no serial port; a port is {TARGETS.partition('or ')[2]}"
            raise LinkError(f"cannot open {port}: {said}") from None

    def _open(self) -> None:
        import serial

        options = {} if "://" in self.name else {"exclusive": True}
        self._serial = serial.serial_for_url(self.name, 115200, timeout=0, **options)

    def read(self, timeout: float) -> bytes:
        """As Wire.read. The port may vanish for a while: a board does that at its reset.

        Raise LinkError if it stays away.
        """
        try:
            if self._serial is None:
                self._open()
                self._since = None
            assert self._serial is not None
            self._serial.timeout = timeout
            first = self._serial.read(1)
            self._serial.timeout = 0
            return bytes(first + self._serial.read(4096)) if first else b""
        except self._lost as error:
            self._away(error)
            time.sleep(timeout)
            return b""

    def write(self, data: bytes) -> None:
        """As Wire.write; nothing while the port is away."""
        try:
            if self._serial is not None:
                self._serial.write(data)
        except self._lost as error:
            self._away(error)

    def _away(self, error: Exception) -> None:
        if self._serial is not None:
            self.close()
            self._serial = None
        if self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > _AWAY_S:
            raise LinkError(f"{self.name} is gone: {error}") from None

    def close(self) -> None:
        """Give the port back."""
        if self._serial is not None:
            self._serial.close()


def _is_terminal(port: str) -> bool:
    try:
        fd = os.open(port, os.O_RDWR | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return True  # what it is nobody can tell
    try:
        return os.isatty(fd)
    finally:
        os.close(fd)


class _Ahead:
    """A serial port that gives all that has come at once, and takes back what was too much.

    mpremote looks at each byte for a board's request to its mounted folder; a link has too many.
    """

    def __init__(self, port: Any) -> None:
        self.port = port
        self.held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def inWaiting(self) -> int:
        """As pyserial's."""
        return len(self.held) + self.port.inWaiting()

    def read(self, count: int = 1) -> bytes:
        """As pyserial's."""
        if len(self.held) < count:
            self.held += self.port.read(count - len(self.held))
        found, self.held = self.held[:count], self.held[count:]
        return found


class ProgramWire:
    """The console of a program that this starts on `board`, as `ringlane run` does.

    `code` is what the board executes; `folder`, if there is one, is mounted there. read() raises
    ProgramEnded when it has ended.
    """

    def __init__(self, board: Target, code: str, folder: str | None) -> None:
        from mpremote.transport import TransportError
        from mpremote.transport_serial import PyboardCommand, SerialTransport

        self._serve = PyboardCommand.cmd_table

        self.name = board.name
        self.careful_s = 10.0 if "emulated" in board.name else 1.0
        self.error: str | None = None  # while it runs
        self.requests = 0  # of the board, for what is mounted
        self._lost = (TransportError, OSError)
        try:
            self._transport = SerialTransport(board.port)
            self._transport.serial.timeout = _REQUEST_S
            self._port = self._transport.serial = _Ahead(self._transport.serial)
            self._transport.enter_raw_repl()
            if folder is not None:
                self._transport.mount_local(folder)
            self._transport.exec_raw_no_follow(code)
        except self._lost as error:
            raise LinkError(f"the program does not start at {board.port}: {error}") from None

    def read(self, timeout: float) -> bytes:
        """As Wire.read."""
        if self.error is not None:
            raise ProgramEnded(self.name, self.error)
        deadline = time.monotonic() + timeout
        found = b""
        try:
            while not found:
                count = self._port.inWaiting()
                if not count:
                    if time.monotonic() >= deadline:
                        break
                    time.sleep(0.001)
                    continue
                found, asks, rest = self._port.read(count).partition(_REQUEST)
                if asks:  # for a file of the mounted folder; no frame has that byte
                    self._port.held = rest + self._port.held
                    kind = self._port.read(1)[0]
                    self._port.write(_REQUEST)
                    self._serve[kind](self._transport.cmd)
                    self.requests += 1
            if _END in found:  # nor that one
                found, _, rest = found.partition(_END)
                while _END not in rest:
                    rest += self._port.read(1)
                self.error = rest.partition(_END)[0].decode("utf-8", "replace").strip()
        except self._lost as error:
            raise LinkError(f"{self.name} is gone: {error}") from None
        return found

    def write(self, data: bytes) -> None:
        """As Wire.write."""
        self._port.write(data)

    def reset(self) -> None:
        """Stop the program and reset the board softly, so that no timer or interrupt goes on."""
        try:
            deadline = time.monotonic() + _STOP_S
            try:
                while time.monotonic() < deadline:
                    self._port.write(b"\x03")  # one at a time: the next stops what the first began
                    again = time.monotonic() + _CTRL_C_S
                    while time.monotonic() < again:
                        self.read(0.1)
            except ProgramEnded:
                self._port.write(_END)
                said = b""
                while _RAW not in said and time.monotonic() < deadline:
                    said += self._port.read(self._port.inWaiting())
                    time.sleep(0.01)
        except self._lost:
            pass

    def close(self) -> None:
        """Stop the program, if it still runs, and give the port back."""
        try:
            if self.error is None:
                self._port.write(b"\r\x03\x03")
                time.sleep(0.1)
            self._port.write(b"\r\x02")
            self._transport.close()
        except self._lost:
            pass


@contextmanager
def start_program(board: Target, code: str, *sources: Path) -> Iterator[ProgramWire]:
    """Give the wire of `code`, run on `board` with `sources` mounted, as Target.run. A context."""
    with tempfile.TemporaryDirectory(prefix="ringlane-") as folder:
        if board.stage(folder, *sources):
            wire = ProgramWire(board, FIRST_MOUNTED + code, folder)
        else:
            wire = ProgramWire(board, code, None)
        try:
            yield wire
        finally:
            wire.close()


def patience_s(target: str, files: Sequence[Path]) -> float:
    """Return how long what open_wire() gives may take to answer, in seconds."""
    if not files:
        return _ATTACH_S
    return _LOAD_SLOWLY_S if target == "rp2040" else _LOAD_S


@contextmanager
def open_wire(target: str, uf2: str | None = None, files: tuple[Path, ...] = ()) -> Iterator[Wire]:
    """Give the wire of a target. A context manager.

    With `files` the first is run there, the others are what it imports; without, a program that
    runs there already is looked at: of a port only. Raise LinkError or FileNotFoundError.
    """
    if files:
        for path in files:
            if not path.exists():
                raise FileNotFoundError(f"no file {path}")
        sources = (package.FOLDER, *files)
        with connect(target, uf2, sources=sources) as board:
            with start_program(board, f"import {files[0].stem}", *sources) as started:
                yield started
    elif target in STARTED:
        raise LinkError(f"{target} is a new board on which nothing runs: name the program's FILE")
    else:
        wire = PortWire(target)
        try:
            yield wire
        finally:
            wire.close()


__all__ = ["PortWire", "ProgramWire", "open_wire", "patience_s", "start_program"]
