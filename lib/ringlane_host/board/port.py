"""The same test on the board on the desk: real MicroPython at a serial port, reached by mpremote.

    board = PortBoard("/dev/ttyACM0", refuse)
    board.run("main.py")
    board.pin(2).press(ms=30)
    board.run_until(lambda: "pressed" in board.log)

The firmware, what lies beside it and ringlane are mounted, so that nothing on the board's flash is
written; a helper (boards/device/ringlane_helper.py) runs beside the firmware, and does what the
test asks. On an RP2040 or RP2350 it moves any pin from inside the chip; elsewhere it drives one
that is wired to it: `wires`. The rest is refused: `refuse(reason)` is called, which raises. Time
is the board's own: what was printed before advance() returns is in the log.
"""

import codecs
import functools
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from .. import boards
from ..boards.targets import Target
from ..boards.virtual import DEVICE
from ..boards.wires import PRESSED, TOGGLED, PinStimulus
from ..link import LinkError, ProgramEnded
from ..link.wires import ProgramWire
from .faults import BoardError
from .firmware import ringlane_folder
from .outside import OutsideBoard, along

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_HELPER = DEVICE / "ringlane_helper.py"
_START_S = 60.0  # without a file that is loaded
_SETUP_US = 1_000_000  # for a firmware that never waits in asyncio
_PATIENCE_S = 30.0  # for an answer
_AGAIN_S = 2.0  # a question that went to the mounted folder is asked again
_LOOK_S = 0.01
_QUIET_S = 0.3
_MASK = (1 << 30) - 1  # the board's microseconds wrap there
_BEGIN, _END = b"\x1d", b"\x1e"
_LONGEST = 4096  # of what the helper says
_LETTERS = {0: "l", 1: "h", None: "z", PRESSED: "p", TOGGLED: "t"}
_DELTA_MAX = 9_999_999  # a question has 14 bytes at most, so that a board may skip two
_CHANGES_MAX = 500
_START = """\
import sys
sys.path.insert(0, "/remote/lib")
import ringlane_helper
ringlane_helper.run(%s)
"""
_RESET = re.compile(r"^(MPY: soft reboot|micropython ended with status.*)", re.MULTILINE)


class PortBoard(OutsideBoard):
    """PortBoard(port, refuse, *folders, wires={}, asked=None): the board at a serial port.

    `wires`: {a pin of the firmware: the free pin that is wired to it}. `asked`: the name in
    boards/ that the test is for, if it names one.
    """

    def __init__(self, port, refuse, *folders, wires=None, asked=None):
        super().__init__(f"board at {port}", f"the board at {port}", refuse, folders)
        self._port = port
        self._wires = dict(wires or {})
        self._asked = asked
        self._wire: Any = None
        self._stage = tempfile.TemporaryDirectory(prefix="ringlane-")
        self._log = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = b""
        self._changed = threading.Condition()
        self._answers: dict[str, str] = {}
        self._outgoing: list[bytes] = []
        self._count = 0
        self._up = self._waits = self._closing = False
        self._lost: str | None = None
        self._error: str | None = None  # the firmware's, once it has ended
        self._told = False
        self._now = self._origin = 0
        self._pins: dict[int, _Pin] = {}

    # Running

    def run(self, path="main.py"):
        """Run a file as main.py after a reset, with ringlane and what lies beside it."""
        if self._wire is not None:
            raise BoardError("this board runs already: one run() a board")
        file = self._find(path)
        target = _target(self._port)
        self._facts = _facts(target)
        if self._asked and target.platform != "linux" and self._facts != boards.load(self._asked):
            self._refuse(f"{self._called} is {target.machine}, no {self._asked}")
        folder = Path(self._stage.name)
        _fill(folder, target, file)
        source = file.name if b"__name__" in file.read_bytes() else ""
        if source:
            (folder / file.with_suffix(".mpy").name).unlink(missing_ok=True)
            shutil.copy(file, folder)
        tasks = any(b"asyncio" in each.read_bytes() for each in (file, *along(file).values()))
        arguments = f"RemoteCommand, {self._wires}, {file.stem!r}, {source!r}, {tasks}"
        self._wire = ProgramWire(target, _START % arguments, str(folder))
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()
        self._await_setup()
        self._origin = self._clock()
        self._check()

    def _await_setup(self):
        requests, last, longest, since = -1, time.monotonic(), _QUIET_S, None
        while not self._waits and self._error is None:
            time.sleep(_LOOK_S)
            self._check()
            here = time.monotonic()
            if here - last > _START_S:
                raise BoardError(
                    f"{self._called} starts nothing in {_START_S:.0f} s: {self._log!r}"
                )
            if self._wire.requests != requests:
                longest = max(longest, 2 * (here - last))
                requests, last, since = self._wire.requests, here, None
            elif self._up and here - last > longest:
                if since is None:
                    since = self._clock()
                elif self._clock() - since > _SETUP_US:
                    return

    def advance(self, ms=0, us=0):
        """Let so much of its time pass. Raises BoardError with what the firmware raised."""
        end = self._clock() + ms * 1000 + us
        while (left := end - self._clock()) > 0:
            self._check()
            time.sleep(min(left / 1e6, 1.0))
        self._check()

    def run_until(self, condition, ms=1000):
        """Let time pass until `condition()` is true."""
        end = self._clock() + ms * 1000
        over = False
        while not condition():
            self._check()
            if over:
                raise BoardError(f"not met in {ms} ms: {self.log!r}")
            time.sleep(_LOOK_S)
            over = self._clock() > end  # and what was printed until then has come
        self._check()
        return True

    def stop(self):
        """Stop the firmware, and raise what it raised if nobody has seen it."""
        try:
            if self._wire is not None:
                self._check()
        finally:
            self.close()

    def close(self):
        """Stop the firmware and reset the board softly: its main.py does not run then."""
        wire, self._wire = self._wire, None
        if wire is not None:
            self._closing = True
            self._reader.join()
            if self._lost is None:
                wire.reset()
            wire.close()
        self._stage.cleanup()

    def _check(self):
        if self._lost is not None:
            raise BoardError(self._lost)
        if self._error and not self._told:
            self._told = True
            raise BoardError(self._error)

    @property
    def ended(self):
        """Whether the main program has ended; handlers go on."""
        return self._error is not None

    @property
    def us(self):
        """Microseconds of the board since run() returned."""
        if self._wire is not None and self._lost is None:
            try:
                self._clock()
            except BoardError:
                pass  # the newest that is known
        return self._now - self._origin

    @property
    def log(self):
        """What the firmware printed, as one text."""
        return self._log

    # Its console

    def _follow(self):
        wire = self._wire
        try:
            while not self._closing:
                before = wire.requests
                data = wire.read(_LOOK_S)
                if data:
                    self._take(data)
                elif self._outgoing and wire.requests == before:  # it is not loading files
                    wire.write(self._outgoing.pop(0))
        except ProgramEnded as ended:
            self._lose(f"{self._called} was reset: {ended.error or self._log!r}")
        except LinkError as error:
            self._lose(f"{error}: it was unplugged or reset")
        except Exception as error:  # mpremote's, as of a request that was cut short
            self._lose(f"{self._called} sends nonsense: {type(error).__name__}: {error}")

    def _lose(self, text):
        with self._changed:
            self._lost = text
            self._changed.notify_all()

    def _take(self, data):
        with self._changed:
            data = self._rest + data
            self._rest = b""
            while data:
                text, begun, said = data.partition(_BEGIN)
                self._print(text)
                said, whole, data = said.partition(_END)
                if whole:
                    self._note(said.decode(errors="replace").replace("\r\n", "\n"))
                elif begun and len(said) < _LONGEST:
                    self._rest = begun + said
                else:
                    self._print(begun + said)
            self._changed.notify_all()

    def _print(self, data):
        self._log = (self._log + self._decode(data)).replace("\r\n", "\n")
        if found := _RESET.search(self._log[-2000:]):
            self._lost = f"{self._called} was reset: {found[0]}"

    def _note(self, said):
        if said[:1] != "!":
            self._answers[said[:1]] = said[1:]
        elif said == "!up":
            self._up = True
        elif said == "!waits":
            self._waits = True
        elif said.startswith("!ended"):
            self._error = said[6:]
        elif said[1] == "e":
            number, us, level = map(int, said[2:].split(","))
            self._pins[number]._noted.append((self._unwrapped(us) - self._origin, level))

    def _ask(self, text):
        """Return the helper's answer. Raises BoardError if there is none."""
        if self._wire is None:
            raise BoardError(f"{self._called} does not run")
        self._count += 1
        number = chr(48 + self._count % 70)
        what = text.encode()
        frame = b"%s%s%02x%s\n" % (_BEGIN, number.encode(), sum(what) & 0xFF, what)
        requests, late = -1, 0.0
        with self._changed:
            self._answers.pop(number, None)
            while number not in self._answers:
                if self._lost is not None:
                    raise BoardError(self._lost)
                if self._wire.requests != requests:  # it loads files
                    requests, late = self._wire.requests, time.monotonic() + _PATIENCE_S
                if time.monotonic() > late:
                    raise BoardError(
                        f"the helper on {self._called} does not answer in {_PATIENCE_S:.0f} s: "
                        "the firmware masks interrupts, fills the scheduler or reads the console"
                    )
                self._outgoing[:] = [frame]
                self._changed.wait_for(
                    lambda: number in self._answers or self._lost is not None, _AGAIN_S
                )
            answer = self._answers[number]
        if answer[:1] == "?":
            raise BoardError(f"{self._called}: {answer[1:]}")
        return answer

    def _unwrapped(self, us):
        half = (_MASK + 1) // 2
        return self._now + ((us - self._now + half) & _MASK) - half

    def _clock(self):
        self._now = self._unwrapped(int(self._ask("t")))
        return self._now

    # Its pins

    def pin(self, number):
        """As SimulatedBoard.pin, after run(); its `history` on RP2040 and RP2350 only."""
        number = self._number(number)
        if self._wire is None:
            self._refuse(f"{self._called} has pins after run()")
        if number not in self._pins:
            self._pins[number] = _Pin(self, number)
        return self._pins[number]

    def _takes(self, what, hardware):
        self._refuse(f"board.{what} takes {hardware}, and {self._called} has none")

    def adc(self, pin):
        """Refuse: nothing here makes an analog signal."""
        self._takes("adc", "a signal generator at the pin")

    def uart(self, number):
        """Refuse: nothing here is wired to a UART."""
        self._takes("uart", "a serial adapter at its pins")

    def pwm(self, pin):
        """Refuse: nothing here measures it."""
        self._takes("pwm", "a logic analyser at the pin")


class _Pin(PinStimulus):
    """A pin of the board, as PinHandle."""

    def __init__(self, board, number):
        self._board = board
        self._number = number
        self._noted: list[tuple[int, int]] = []
        board._pins[number] = self  # edges may come before the answer does
        try:
            self._watched = board._ask(f"w{number}")
        except BoardError:
            del board._pins[number]
            raise

    def value(self):
        """Return the level."""
        return int(self._board._ask(f"v{self._number}"))

    @property
    def history(self):
        """Every change since the first board.pin() as (microseconds, level)."""
        name = f"{self._board._called}: no history of pin {self._number}"
        if self._watched == "taken":
            self._board._refuse(f"{name}, as the firmware has its interrupt")
        elif self._watched == "unknown":
            self._board._refuse(f"{name}: that takes an RP2040, an RP2350 or a logic analyser")
        self._board._clock()  # what has been noted until now has come then
        return list(self._noted)

    def _plan(self, changes):
        board, number = self._board, self._number
        if len(changes) > _CHANGES_MAX:
            raise BoardError(
                f"pin {number}: {len(changes)} changes at once; the helper on {board._called} "
                f"holds {_CHANGES_MAX}"
            )
        if board._ask(f"p{number}") == "none":
            board._refuse(
                f"nothing on {board._called} can drive pin {number}: wire it to a free pin, and "
                f"say so: --ringlane-wires={number}:FREE"
            )
        before = 0
        for after_us, level in sorted(changes, key=lambda each: each[0]):
            delta = round(after_us) - before
            before += delta
            while delta > _DELTA_MAX:
                board._ask(f"+{_DELTA_MAX}n")
                delta -= _DELTA_MAX
            board._ask(f"+{delta}{_LETTERS[level]}")
        board._ask("g")


@functools.cache
def _target(port):
    # Asked once in a run, as it takes a second; that the board is still there shows at its start.
    if ("/" in port or "\\" in port) and "://" not in port and not Path(port).exists():
        raise BoardError(f"no port {port}: `mpremote connect list` lists those of this machine")
    return Target(port, f"board at {port}")


def _facts(target):
    for name in boards.names():
        board = boards.load(name)
        if target.machine == f"{board.name} with {board.mcu}":
            return board
    return boards.load("rpi_pico" if target.platform == "linux" else "unix")


def _fill(folder, target, file):
    target.stage(folder, file)
    library = folder / "lib"
    library.mkdir()
    for path, source in along(file).items():
        to = (folder / path).parent
        to.mkdir(parents=True, exist_ok=True)
        target.stage(to, source)
    target.stage(library, _HELPER)
    shutil.copytree(_ringlane(target), library / "ringlane", dirs_exist_ok=True)


_made: dict[str | None, tempfile.TemporaryDirectory[str]] = {}  # by processor


def _ringlane(target):
    if target.architecture not in _made:
        kept = tempfile.TemporaryDirectory(prefix="ringlane-")
        target.stage(kept.name, ringlane_folder())
        _made[target.architecture] = kept
    return Path(_made[target.architecture].name) / "lib" / ringlane_folder().name


__all__ = ["PortBoard"]
