"""What the boards have in common that run real MicroPython and are seen from outside."""

import shutil
from pathlib import Path
from typing import Any

from .. import boards
from .faults import BoardError
from .firmware import find

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's


class OutsideBoard:
    """OutsideBoard(name, called, refuse, folders): it refuses what it cannot show.

    `called`: its name in a sentence. `refuse(reason)` raises. A board has `us`, microseconds since
    run() returned, and `log`.
    """

    def __init__(self, name, called, refuse, folders):
        self.name = name
        self._called = called
        self._refuse = refuse
        self._folders = [Path(folder).resolve() for folder in folders or (".",)]
        self._facts: Any = boards.load("rpi_pico")  # for the pins' names

    def __getattr__(self, name):
        if name[0] == "_":
            raise AttributeError(name)
        self._refuse(f"{self._called} shows from outside no board.{name}")

    def _find(self, path):
        return find(self._folders, path)

    def _number(self, pin):
        number = self._facts.pins.get(pin, pin)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise BoardError(f"no pin {pin!r}")
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


def beside(file):
    """Return the files beside a firmware that go onto the board with it: no tests."""
    return [
        each
        for each in sorted(file.parent.iterdir())
        if each.is_file()
        and each not in (file, file.parent / "main.py")
        and not each.name.startswith(("test_", "conftest", "."))
    ]


def copy_library(file, to):
    """Copy the folder lib beside a firmware, if there is one, to the folder `to`."""
    if (file.parent / "lib").is_dir():
        shutil.copytree(file.parent / "lib", to, dirs_exist_ok=True)


__all__ = ["OutsideBoard", "beside", "copy_library"]
