"""The same test on real MicroPython: the virtual board, with the test at its wires.

    board = RealTimeBoard(pytest.skip)
    board.run("main.py")
    board.pin(2).press(ms=30)
    board.run_until(lambda: "pressed" in board.log)

It has of SimulatedBoard what the wires and the terminal show: pins, ADCs, UARTs, PWM, what is
printed. The rest it refuses: `refuse(reason)` is called, which raises. What differs: time is that
of the host, which may be busy, so a time limit is _PATIENCE times as long, and a test compares
with a margin; run() returns at asyncio's first wait, at the end, or after _SETUP_S; a hard handler
is a thread beside the firmware; no faults are looked for.
"""

import codecs
import os
import re
import select
import shutil
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from ..boards.virtual import VirtualBoard
from ..boards.wires import Wires
from .analog import TEMPERATURE
from .faults import BoardError
from .firmware import ringlane_folder
from .outside import OutsideBoard, along

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_SETUP_S = 1.0
_PATIENCE = 10
_LOOK_S = 0.002
_BOOT = """\
def begin():
    from asyncio import core
    from machine import wires
    wait = core.IOQueue.wait_io_event
    def first(self, dt):
        if dt:
            core.IOQueue.wait_io_event = wait
            wires.say({"waits": 1})
        wait(self, dt)
    core.IOQueue.wait_io_event = first
begin()
del begin
"""
_BANNER = re.compile(r"MicroPython [^\n]*\nType \"help\(\)\" for more information\.\n>>> $")
_TRACEBACK = "Traceback (most recent call last):"
_RESET = re.compile("^(MPY: soft reboot|micropython ended with status)", re.MULTILINE)


class RealTimeBoard(OutsideBoard):
    """RealTimeBoard(refuse, *folders, kind="rpi_pico"): a virtual board with pins of that kind."""

    def __init__(self, refuse, *folders, kind="rpi_pico"):
        super().__init__("virtual board", "a virtual board", refuse, folders, kind)
        self._wires = Wires()
        self._flash = tempfile.TemporaryDirectory(prefix="ringlane-")
        self._board: VirtualBoard | None = None
        self._log = ""
        self._told = 0  # so much of the log was searched for tracebacks
        self._start = 0.0

    # Running

    def run(self, path="main.py"):
        """Power it on with a file as its main.py, and ringlane and what lies beside it."""
        if self._board is not None:
            raise BoardError("this board runs already: one run() a board")
        file = self._find(path)
        flash = Path(self._flash.name)
        for path, source in along(file).items():
            (flash / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, flash / path)
        shutil.copytree(ringlane_folder(), flash / "lib" / "ringlane", dirs_exist_ok=True)
        shutil.copy(file, flash / "main.py")
        own = flash / "boot.py"
        own.write_text(_BOOT + (own.read_text() if own.exists() else ""))
        self._board = VirtualBoard(flash, heap="8m", wires=self._wires)
        self._terminal = threading.Thread(target=self._read, args=(self._board.port,), daemon=True)
        self._terminal.start()
        self._start = time.monotonic()
        while time.monotonic() < self._start + _SETUP_S and not self._wires.waiting.is_set():
            if self.ended:
                break
            time.sleep(_LOOK_S)
        self._wires.mark()
        self._start = time.monotonic()
        self._check()

    def _read(self, port):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
        try:
            while self._board is not None:
                if select.select([fd], [], [], 0.05)[0]:
                    text = decoder.decode(os.read(fd, 4096))
                    self._log = (self._log + text).replace("\r\n", "\n")
        except OSError:
            pass  # it was powered off
        finally:
            os.close(fd)

    def advance(self, ms=0, us=0):
        """Let so much of the host's time pass. Raises BoardError with what the firmware raised."""
        time.sleep(ms / 1000 + us / 1_000_000)
        self._check()

    def run_until(self, condition, ms=1000):
        """Let time pass until `condition()` is true."""
        late = time.monotonic() + ms * _PATIENCE / 1000
        while not condition():
            self._check()
            if time.monotonic() > late:
                raise BoardError(f"not met in {ms} ms and {_PATIENCE} times that: {self.log!r}")
            time.sleep(_LOOK_S)
        self._check()
        return True

    def _check(self):
        log = self._log[self._told :]
        if _TRACEBACK in log and self.ended:
            self._told = len(self._log)
            raise BoardError(log[log.index(_TRACEBACK) :])
        if _RESET.search(log):
            raise BoardError(f"the board was reset: {self._log!r}")

    def stop(self):
        """Power it off, and raise what the firmware raised if nobody has seen it."""
        try:
            if self._board is not None:
                self._check()
        finally:
            self.close()

    def close(self):
        """Power it off."""
        board, self._board = self._board, None
        if board is not None:
            self._terminal.join()
            board.close()
        self._wires.close()
        self._flash.cleanup()

    @property
    def ended(self):
        """Whether the main program has ended; handlers go on."""
        return bool(_BANNER.search(self._log))

    @property
    def us(self):
        """Microseconds since run() returned."""
        return round((time.monotonic() - self._start) * 1_000_000) if self._start else 0

    @property
    def log(self):
        """What the firmware printed, as one text."""
        return _BANNER.sub("", self._log)

    # Its pins

    def pin(self, number):
        """As SimulatedBoard.pin."""
        return self._wires.pin(self._number(number))

    def adc(self, pin):
        """As SimulatedBoard.adc; no functions."""
        if pin != TEMPERATURE:
            self._one_of("ADC at pin", pin, self._has.adc)
        adc = self._wires.adc(pin)

        def put(value):
            if callable(value):
                self._refuse("a virtual board's ADC takes levels and recordings, not functions")
            adc.set(value)

        return SimpleNamespace(set=put, play=adc.play)

    def uart(self, number):
        """As SimulatedBoard.uart; without `lost`."""
        number = self._one_of("UART", number, range(self._has.uarts))
        return _Uart(self._refuse, self._wires.uart(number))

    def pwm(self, pin):
        """As SimulatedBoard.pwm."""
        return self._wires.pwm(self._number(pin))


class _Uart:
    # A wire's UART, of which nobody knows what was lost.
    def __init__(self, refuse, wire):
        self._refuse = refuse
        self._wire = wire

    def __getattr__(self, name):
        return getattr(self._wire, name)

    @property
    def lost(self):
        self._refuse("a virtual board does not tell which bytes its UART has lost")


__all__ = ["RealTimeBoard"]
