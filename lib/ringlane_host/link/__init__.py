"""A link to a running board: see README.md beside this."""

import importlib.util

from ..boards import BoardError


class LinkError(BoardError):
    """There is no link to the board, or no more; the text says why."""


class ProgramEnded(LinkError):
    """The program that was started has ended; `error`: its traceback, "" if it ended well."""

    def __init__(self, name: str, error: str) -> None:
        super().__init__(error or f"the program on {name} has ended")
        self.error = error


def need(*packages: str, extra: str = "link") -> None:
    """Raise LinkError unless these packages are installed, with how to get them."""
    missing = [name for name in packages if not _found(name)]
    if missing:
        raise LinkError(f"this needs {' and '.join(missing)}: pip install 'ringlane[{extra}]'")


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # sys.modules holds None for it
        return False
