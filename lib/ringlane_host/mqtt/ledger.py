"""Ledger: what became of every message that was sent to a board's tapped channels.

    sent + earlier = delivered + dropped, in so many ways + waiting

`sent` is counted by the numbers that the board gives its events, the rest where it happens. So the
two sides are equal only if no message got away without a count.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..link.session import Events

# Where a message may be dropped, in the order of its way.
BOARD_FULL = "lane full"
BOARD_REJECTED = "rejected"
OVERWRITTEN = "overwritten"
LINK = "link"
CUT = "cut"
BUFFER = "buffer"
BROKER = "refused"
UNCONFIRMED = "unconfirmed"
UNSENT = "unsent"
WHERE = {
    BOARD_FULL: "its lane was full, on the board",
    BOARD_REJECTED: "it was too long or its channel closed, on the board",
    OVERWRITTEN: "the board's recorder wrote over it before it was told",
    LINK: "lost between the board and this computer, or while nobody listened here",
    CUT: "longer than the part that the recorder keeps",
    BUFFER: "made room for newer ones in the buffer",
    BROKER: "the broker refused it",
    UNCONFIRMED: "written, but the connection broke before the broker said that it has it",
    UNSENT: "still in the buffer at the end",
}


@dataclass
class Account:
    """Of a channel. `earlier`: what an earlier bridge left in the buffer."""

    sent: int = 0
    earlier: int = 0
    delivered: int = 0
    waiting: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def balance(self) -> int:
        """0, or the ledger is wrong."""
        return (
            self.sent + self.earlier - self.delivered - self.waiting - sum(self.dropped.values())
        )

    def as_json(self) -> dict[str, Any]:
        """Return it by name."""
        dropped = {where: self.dropped[where] for where in WHERE if self.dropped[where]}
        return vars(self) | {"dropped": dropped}

    def __str__(self) -> str:
        sent = f"{self.sent:,} sent" + (f" + {self.earlier:,} earlier" if self.earlier else "")
        ways = [f"{self.dropped[where]:,} {where}" for where in WHERE if self.dropped[where]]
        dropped = f"{sum(self.dropped.values()):,} dropped"
        if ways:
            dropped += f" ({', '.join(ways)})"
        waiting = f" + {self.waiting:,} waiting" if self.waiting else ""
        equal = "=" if not self.balance else "!="
        return f"{sent} {equal} {self.delivered:,} delivered + {dropped}{waiting}"


class Ledger:
    """The accounts of a board's channels, by name.

    `downlink`, of messages for the board: received = sent + answered, of calls, + full: without
    room in the channel, + refused + unknown: the board was lost at that moment.
    """

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.downlink: Counter[str] = Counter()  # messages for the board: received, sent, ...
        self.resets = 0  # after each, what the board had not told yet is in no account
        self._boot: int | None = None

    def of(self, channel: str) -> Account:
        """Return a channel's account."""
        return self.accounts.setdefault(channel, Account())

    def begin(self, boot: int) -> None:
        """The board says hello, from its start of that number."""
        self.resets += self._boot not in (None, boot)
        self._boot = boot

    def told(self, batch: Events) -> None:
        """Count events of a sender, and what is missing before them."""
        account = self.of(batch.channel.name)
        account.sent += batch.overwritten + batch.lost + len(batch.events)
        account.dropped[OVERWRITTEN] += batch.overwritten
        account.dropped[LINK] += batch.lost

    def as_json(self) -> dict[str, Any]:
        """Return all of it by name."""
        return {
            "resets": self.resets,
            "downlink": dict(self.downlink),
            "channels": {name: each.as_json() for name, each in self.accounts.items()},
        }

    def lines(self) -> list[str]:
        """Return it as text: a line for each channel, and what its words mean."""
        lines = [f"{name}: {each}" for name, each in self.accounts.items()]
        used = {where for each in self.accounts.values() for where in +each.dropped}
        lines += [f"  {where}: {text}" for where, text in WHERE.items() if where in used]
        if self.downlink:
            ways = [f"{count:,} {what}" for what, count in self.downlink.items()]
            lines.append(f"for the board: {', '.join(ways)}")
        if self.resets:
            lines.append(
                f"resets of the board: {self.resets}; what it had not told is in no account"
            )
        return lines


__all__ = ["WHERE", "Account", "Ledger"]
