"""Topics: how a board and its channels are named at a broker."""

import string
from dataclasses import dataclass
from urllib.parse import quote, unquote

from ..link import LinkError

# "%" is what escapes; "/", "+" and "#" mean something in a topic.
_SAFE = "".join(set(string.punctuation) - set("%/+#"))
ONLINE, LEDGER = "online", "ledger"  # beside the channels, so no channel's level is one of them
SET = "set"


def level(name: str) -> str:
    """Return `name` as one level of a topic; urllib.parse.unquote gives the name back."""
    if name in (ONLINE, LEDGER):
        return f"%{ord(name[0]):02X}{name[1:]}"
    return quote(name, safe=_SAFE)


@dataclass(frozen=True)
class Topics:
    """The topics of a board: `prefix`/board/... Raise LinkError for a name that is none."""

    board: str
    prefix: str = "ringlane"

    def __post_init__(self) -> None:
        if not self.board:
            raise LinkError("a board's name must not be empty")
        if not self.prefix or self.prefix.startswith("$") or set(self.prefix) & set("+#\0"):
            raise LinkError(
                f"a prefix is one or several levels without + and #, not {self.prefix!r}"
            )

    def _below(self, *levels: str) -> str:
        return "/".join((self.prefix, level(self.board), *levels))

    @property
    def online(self) -> str:
        """Whether the board is there: `true` or `false`, retained."""
        return self._below(ONLINE)

    @property
    def ledger(self) -> str:
        """What became of every message, retained."""
        return self._below(LEDGER)

    def of(self, channel: str) -> str:
        """Return where a channel's messages go."""
        return self._below(level(channel))

    @property
    def sets(self) -> str:
        """Where messages for channels come from, a filter."""
        return self._below("+", SET)

    def channel_of(self, topic: str) -> str | None:
        """Return for which channel a message is that came by `sets`; None: it came by mistake."""
        rest, _, last = topic.rpartition("/")
        board, _, channel = rest.rpartition("/")
        return unquote(channel) if last == SET and board == self._below() else None


__all__ = ["SET", "Topics", "level"]
