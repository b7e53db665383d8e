"""How MicroPython gets onto a board: the commands, from the facts in boards/."""

import shlex
import shutil
import subprocess
from pathlib import Path

from ..boards import BoardError

_DOWNLOAD = "https://micropython.org/download"


def commands(board, port, file=None):
    """Return the commands, lists of words, that flash `file` onto `board`, a Board, at `port`.

    Without a file its place is held by a name in capitals. Raise BoardError for a board that
    nothing is flashed to, and for a file of another kind.
    """
    firmware = board.firmware
    if firmware.tool == "none":
        raise BoardError(f"{board.name}: {board.flash}")
    kind = {"uf2": ".uf2", "esptool": ".bin"}[firmware.tool]
    if file and Path(file).suffix != kind:
        raise BoardError(f"{board.name} is flashed with a {kind} file, not with {file}")
    name = str(file) if file else "FIRMWARE" + kind
    if firmware.tool == "uf2":
        return [
            ["mpremote", "connect", port, "bootloader"],
            ["cp", name, f"/media/$USER/{firmware.target}/"],
        ]
    tool = ["esptool", "--chip", firmware.target, "--port", port]
    return [
        [*tool, "erase-flash"],
        [*tool, "--baud", "460800", "write-flash", hex(firmware.offset), name],
    ]


def where(board):
    """Return the page that offers the firmware of `board`, and which of its builds."""
    firmware = board.firmware
    build = f", variant {firmware.variant}" if firmware.variant else ""
    return f"{_DOWNLOAD}/{firmware.name}{build}"


def shown(board, port, file=None):
    """Return the commands as a text to read or to paste into a shell, and the way without them."""
    lines = [f"# firmware: {where(board)}", f"# {board.flash}"]
    for words in commands(board, port, file):
        lines.append(" ".join(word if "$" in word else shlex.quote(word) for word in words))
    variant = ["--variant", board.firmware.variant] if board.firmware.variant else []
    by_name = ["mpflash", "flash", "--serial", port, "--board", board.firmware.name, *variant]
    lines.append(f"# or, which downloads it too: {shlex.join(by_name)}")
    return "\n".join(lines)


def flash(board, port, file, say=print):
    """Flash `file` onto `board` at `port` by running the commands, saying each.

    Raise BoardError, with what to do, if there is no such file, a tool is missing or it fails; a
    board that was erased and not written says so.
    """
    todo = commands(board, port, file)
    if not Path(file).is_file():
        raise BoardError(f"no firmware file {file}; {where(board)} offers it")
    if board.firmware.tool == "uf2":
        raise BoardError(
            f"this drive's place differs from system to system, so do it by hand:\n"
            f"{shown(board, port, file)}"
        )
    if not shutil.which("esptool"):
        raise BoardError("no esptool: pip install esptool")
    for number, words in enumerate(todo):
        say(shlex.join(words))
        if subprocess.run(words, check=False).returncode:
            state = "it is erased and has no firmware now; " if number else ""
            raise BoardError(
                f"{words[0]} failed: {state}hold the board's BOOT button while it connects, or "
                "leave out --baud 460800, and run it again"
            )


__all__ = ["commands", "flash", "shown", "where"]
