"""A link to a running board: see README.md beside this."""

import importlib.util

from ..virtual_board import BoardError


class LinkError(BoardError):
    """There is no link to the board, or no more; the text says why."""


def need(*packages: str) -> None:
    """Raise LinkError unless these packages are installed, with how to get them."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise LinkError(f"this needs {' and '.join(missing)}: pip install 'ringlane[link]'")
