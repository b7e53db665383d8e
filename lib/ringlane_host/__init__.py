"""ringlane on the host: simulated, virtual and emulated boards, and the command `ringlane`.

board/      the simulated board: firmware under pytest, in virtual time
plugin.py   pytest's fixture `board`, which runs a test on it or on the emulated Pico
simulate/   MicroPython's names and viper on CPython, on a simulated memory
boards/     what is known of each board, and how a virtual, emulated or real one is reached
command/    the command `ringlane`
package.py  what the package ringlane is made of
link/       a running board, from a computer: top, record, and remote(), for its channels
engine.py   the words and steps that `make stamp` writes into lib/ringlane
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .link.remote import remote as remote


def __getattr__(name: str) -> object:
    # What needs more than this package does is imported when it is asked for.
    if name == "remote":
        from .link.remote import remote

        return remote
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
