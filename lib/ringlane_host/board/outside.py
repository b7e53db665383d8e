"""What the boards have in common that run real MicroPython and are seen from outside."""

from pathlib import Path
from typing import Any

from .. import boards
from .faults import BoardError
from .firmware import find

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_PINS_MAX = 256  # of a board whose file says nothing of them
_NOT_ALONG = ("test_", "tests", "conftest", ".")


class OutsideBoard:
    """OutsideBoard(name, called, refuse, folders, kind="rpi_pico"): it refuses what is not seen.

    `called`: its name in a sentence. `refuse(reason)` raises. `kind`: whose pins it has. A board
    has `us`, microseconds since run() returned, and `log`.
    """

    def __init__(self, name, called, refuse, folders, kind="rpi_pico"):
        self.name = name
        self._called = called
        self._refuse = refuse
        self._folders = [Path(folder).resolve() for folder in folders or (".",)]
        self._facts: Any = boards.load(kind)

    def __getattr__(self, name):
        if name[0] == "_":
            raise AttributeError(name)
        self._refuse(f"{self._called} shows from outside no board.{name}")

    def _find(self, path):
        return find(self._folders, path)

    def _number(self, pin):
        there = range(self._has.gpio if self._has else _PINS_MAX)
        return self._one_of("pin", self._facts.pins.get(pin, pin), there)

    @property
    def _has(self):
        return self._facts.peripherals

    def _one_of(self, what, number, there):
        if isinstance(number, bool) or number not in there:
            raise BoardError(f"{self.name} has no {what} {number!r}")
        return number

    @property
    def bootsel(self):
        """Refuse: the button is not within reach."""
        self._refuse(f"{self._called} has no board.bootsel")

    @bootsel.setter
    def bootsel(self, pressed):
        self._refuse(f"{self._called} has no board.bootsel")

    def allow(self, *kinds):
        """Nothing: no fault is found here."""

    @property
    def ms(self):
        """Milliseconds since run() returned."""
        return self.us / 1000

    def timeline(self, last=60):
        """Return what was printed last; there is nothing else."""
        return "\n".join(self.log.splitlines()[-last:])

    def __repr__(self):
        return f"<{self.name}, at {self.ms:.3f} ms>"


def along(file):
    """Return {path on the board: file} of what goes onto the board with a firmware.

    The files and packages beside it, and its folder lib; no tests.
    """
    found = {}
    for each in sorted(file.parent.iterdir()):
        if each in (file, file.parent / "main.py") or each.name.startswith(_NOT_ALONG):
            continue
        if each.is_file():
            found[each.name] = each
        elif each.name == "lib" or (each / "__init__.py").is_file():
            for path in sorted(each.rglob("*")):
                if path.is_file() and path.parent.name != "__pycache__":
                    found[path.relative_to(file.parent).as_posix()] = path
    return found


__all__ = ["OutsideBoard", "along"]
