"""Targets: one way to reach a virtual, an emulated or a real board, all by mpremote.

    with connect("rp2040", uf2="RPI_PICO.uf2") as board:
        print(board.name)
        status, text = board.run("import hello", "lib/ringlane", "hello.py")

A program reaches the board in one of two ways, both from the same list of sources:

    run      mpremote mounts them: nothing is left on the board, and it reads what it needs only
    install  mpremote copies them to the board's flash, where they stay

Modules go as .mpy, compiled here for the board's processor, where mpy-cross emits the .mpy version
that the board loads; else as they are. The emulated RP2040 is some 25 times slower than the chip,
and slower still where the computer has more to do: each question for a mounted file then takes a
tenth of a second, and `from ringlane import *` asks 700 times. So its flash may hold the sources
from the start.
"""

import difflib
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from .. import package
from . import ARCHES
from .compiler import compile_to, emitted_mpy
from .virtual import BoardError, VirtualBoard

TARGETS = "virtual, rp2040 (emulated; needs a .uf2), or a serial port such as /dev/ttyACM0"

STARTED = ("virtual", "rp2040")  # those that begin and end with the command

_UF2_HELP = (
    "take MicroPython's RPI_PICO firmware from micropython.org/download/RPI_PICO or build its rp2 "
    "port, and name it: --uf2 RPI_PICO.uf2, or UF2=RPI_PICO.uf2 for make"
)
_IDENTIFY = """
import sys
kind = sys.implementation
version = ".".join(str(part) for part in kind.version[:3])
version += "".join("-" + part for part in kind.version[3:] if part)
try:
    exec("import micropython\\n@micropython.viper\\ndef f(): pass")
    viper = 1
except SyntaxError:
    viper = 0
print(getattr(kind, "_mpy", 0), version, sys.platform, viper, getattr(kind, "_machine", ""))
"""
# Other names of ports than files: of Windows, URLs of pyserial, and what mpremote looks up.
_PORT = re.compile(r"COM\d+$|\w+://|id:|port:|auto$", re.IGNORECASE)
_EMULATOR = f"{__package__}.emulated"
_IDENTIFY_S = 60.0
# Before the board's own lib, where an older version may be.
FIRST_MOUNTED = "import sys\nsys.path.insert(0, '/remote/lib')\n"
_MOUNTED = "Local directory "  # how mpremote opens the line it prints when it mounts
_BOOT_S = 120.0


class Target:
    """A board within mpremote's reach.

    port: what `mpremote connect` takes. name: what and where it is, with the MicroPython that it
    runs, for people. platform: its sys.platform. machine: what its firmware calls the board.
    version: of MicroPython, as "1.28.0" or "1.29.0-preview". viper: whether it compiles that.
    loads: the (version, sub-version) of .mpy that it loads, and processor: whose native code in
    them, as mpy-cross calls it, or None. architecture: the same, but None if mpy-cross here emits
    another version. holds: sources that its flash has already.
    """

    def __init__(self, port, kind):
        self.port = port
        self.holds: set[Path] = set()
        try:
            status, text = self.stream("exec", _IDENTIFY, out=None, timeout=_IDENTIFY_S)
        except BoardError:
            status, text = 1, ""  # it listens, and says nothing
        if status:
            said = (text.strip().splitlines() or ["mpremote says nothing"])[-1]
            raise BoardError(f"no MicroPython answers at {port}: {said}{_remedy(said)}")
        mpy, self.version, self.platform, viper, self.machine = text.strip().split(" ", 4)
        self.viper = viper == "1"
        self.name = f"{kind}, MicroPython {self.version} ({self.platform} port)"
        number = int(mpy)
        self.loads = (number & 0xFF, number >> 8 & 3)
        index = number >> 10 & 15
        self.processor = ARCHES[index] if 0 < index < len(ARCHES) else None
        self.architecture = self.processor if emitted_mpy() == self.loads else None

    def mpremote(self, *args, timeout=60, check=True):
        """Run `mpremote connect PORT args...`; return what it printed, as text.

        Raise BoardError with all that it printed if it takes longer than `timeout` seconds or,
        with `check`, if it fails.
        """
        status, text = self.stream(*args, out=None, timeout=timeout)
        if check and status:
            raise BoardError(f"{_what(args)}: exit status {status}\n{text}")
        return text

    def stream(self, *args, out=sys.stdout.write, timeout=None):
        """Run `mpremote connect PORT args...`, passing each line to `out` as it comes.

        Return (exit status, all the text). Raise BoardError with the text so far if it takes
        longer than `timeout` seconds.
        """
        lines = []
        late = threading.Event()
        with subprocess.Popen(
            [sys.executable, "-m", "mpremote", "connect", self.port, *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:

            def stop():
                late.set()
                process.kill()

            timer = threading.Timer(timeout, stop) if timeout else None
            if timer:
                timer.start()
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    lines.append(line)
                    if out:
                        out(line)
                        sys.stdout.flush()
                status = process.wait()
            finally:
                process.kill()
                if timer:
                    timer.cancel()
        text = "".join(lines)
        if late.is_set():
            raise BoardError(f"{_what(args)}: no end in {timeout} s\n{text}")
        return status, text

    def run(self, code, *sources, out=sys.stdout.write, timeout=None):
        """Run `code` on the board, with `sources` mounted as its working folder.

        `sources` are files, and folders that are packages. Return and raise as stream.
        """

        def show(line):
            if out and not line.startswith(_MOUNTED):
                out(line)

        with tempfile.TemporaryDirectory(prefix="ringlane-") as folder:
            mount = []
            if self.stage(folder, *sources):
                mount = ["mount", folder]
                code = FIRST_MOUNTED + code
            status, text = self.stream(*mount, "exec", code, out=show, timeout=timeout)
        if text.startswith(_MOUNTED):
            text = text.partition("\n")[2]
        return status, text

    def install(self, *sources, timeout=600):
        """Copy `sources` to the board's flash: packages below /lib, files to /.

        Raise as mpremote.
        """
        with tempfile.TemporaryDirectory(prefix="ringlane-") as folder:
            self.stage(folder, *sources)
            self.mpremote("cp", "-r", f"{folder}/.", ":/", timeout=timeout)

    def stage(self, folder, *sources):
        """Put the `sources` that the board does not hold into `folder`; return whether it has any.

        They are there as they are to be on the board, packages below lib. Modules become .mpy if
        the board loads them. Raise FileNotFoundError for a missing source and BoardError for one
        that does not compile.
        """
        missing = [source for source in map(Path, sources) if source not in self.holds]
        _stage(Path(folder), missing, self.architecture)
        return bool(missing)


def _stage(folder, sources, architecture):
    for source in sources:
        if source.is_dir():
            inside = folder / "lib" / source.name
            inside.mkdir(parents=True, exist_ok=True)
            for module in sorted(source.glob("*.py")):
                if module.stem not in package.NOT_FOR_BOARDS:
                    _stage_file(module, inside, f"{source.name}/{module.name}", architecture)
        else:
            _stage_file(source, folder, source.name, architecture)


def _stage_file(source, folder, title, architecture):
    if source.suffix != ".py" or not architecture:
        shutil.copy(source, folder)
        return
    compile_to(folder, architecture, source, title)


@contextmanager
def connect(target="virtual", uf2=None, wires=None, sources=()):
    """Give a Target, and at the end stop what was started for it. A context manager.

    `target`: "virtual"; "rp2040", the emulated chip, with the firmware file `uf2`; or the serial
    port of a board. `wires`: the Wires at a virtual board's pins. `sources`: as of Target.run,
    what will be run: an emulated chip has it in its flash. Raise BoardError, in one sentence, if
    there is no such board.
    """
    if target == "virtual":
        with VirtualBoard(wires=wires) as board:
            yield Target(board.port, "virtual board")
    elif target == "rp2040":
        with tempfile.TemporaryDirectory(prefix="ringlane-") as scratch:
            image = _image(uf2, Path(scratch), [*map(Path, sources)]) if sources else None
            with _emulated(uf2, image) as port:
                board = Target(port, "emulated RP2040")
                if image and board.architecture:
                    board.holds = {*map(Path, sources)}
                yield board
    else:
        _check_port(target)
        yield Target(target, f"board at {target}")


def no_board(port):
    """Return why no board can be at `port`, with the nearest name that may be; "" if one can."""
    if _PORT.match(port) or (port and Path(port).exists()):
        return ""
    near = difflib.get_close_matches(port, [*STARTED, *_ports()], 1)
    return (
        f"no board at {port!r}: a target is {TARGETS}; "
        + (f"is {near[0]!r} meant? " if near else "")
        + "`mpremote connect list` lists the ports of this machine"
    )


def _check_port(port):
    if why := no_board(port):
        raise BoardError(why)


def _ports():
    try:
        from serial.tools.list_ports import comports
    except ImportError:
        return []
    return [each.device for each in comports()]


def run_in_place(port, code, timeout=60):
    """Stop the program of the board at `port` and run `code` in what it leaves; return the text.

    No reset, so that its memory and modules are as they were. Raise BoardError if that fails.
    """
    _check_port(port)
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", port, "resume", "exec", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        said = done.stdout.strip()
        raise BoardError(f"{port}: {said}{_remedy(said)}")
    return done.stdout


def _image(uf2, scratch, sources):
    """Return the file of a file system that holds them; None where it cannot be made."""
    if not emitted_mpy() or not uf2 or not Path(uf2).is_file():
        return None
    folder = scratch / "files"
    folder.mkdir()
    _stage(folder, sources, "armv6m")
    try:
        from .emulated import make_image

        return make_image(uf2, folder, scratch / "image.img")
    except (ImportError, FileNotFoundError):  # no emulator, or no MicroPython here that makes it
        return None


@contextmanager
def _emulated(uf2, image=None):
    """Run the firmware `uf2` on rp2040py, in a process of its own; give its console's port.

    `image`: a file, what its file system is at first.
    """
    if not uf2:
        raise BoardError(f"the emulated RP2040 needs a firmware: {_UF2_HELP}")
    if not Path(uf2).is_file():
        raise BoardError(f"no firmware file {uf2}: {_UF2_HELP}")
    process = subprocess.Popen(
        [sys.executable, "-m", _EMULATOR, "micropython", "--image", str(uf2), "--pty"]
        + (["--littlefs", str(image)] if image else []),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = _port_of(process)
        # Whatever else it logs, it must never wait for somebody to read it.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        _wait_for_prompt(process, port, uf2)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port_of(process):
    said = []
    for line in process.stdout:
        said.append(line)
        port = re.search(r"listening on (/dev/\S+)", line)
        if port:
            return port[1]
    what = "".join(said).strip()
    if "No module named 'rp2040py'" in what:
        what = "it is not installed: pip install rp2040py"
    raise BoardError(f"the emulator rp2040py ended: {what}")


def _wait_for_prompt(process, port, uf2):
    import tty  # here, as Windows has none

    # What mpremote sends to a chip that is not up yet is lost, and mpremote waits for ever.
    fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(fd)
        seen = b""
        deadline = time.monotonic() + _BOOT_S
        while b">>> " not in seen:
            if process.poll() is not None:
                raise BoardError(f"the emulator rp2040py ended with status {process.poll()}")
            if time.monotonic() > deadline:
                raise BoardError(
                    f"{uf2} shows no MicroPython prompt on the emulated RP2040 in "
                    f"{_BOOT_S:.0f} s: {_UF2_HELP}"
                )
            if select.select([fd], [], [], 1)[0]:
                seen += os.read(fd, 1024)
    finally:
        os.close(fd)


def _remedy(said):
    # What to do about what mpremote said when it found no board.
    if "in use by another program" in said or "failed to access" in said:
        return (
            "; close what else has the port open, as a terminal or an editor, see that the cable "
            "carries data, and that you may use serial ports (on Linux: the group dialout)"
        )
    if "could not enter raw repl" in said or "says nothing" in said:
        return "; press the board's reset button and try again, or flash MicroPython first"
    return ""


def _what(args):
    words = " ".join(str(arg) for arg in args)
    return "mpremote " + (words if len(words) <= 70 else words[:67] + "...").replace("\n", "; ")


__all__ = [
    "FIRST_MOUNTED",
    "STARTED",
    "TARGETS",
    "BoardError",
    "Target",
    "connect",
    "no_board",
    "run_in_place",
]
