"""Sender: the end of a further sending context. Imported by the first add_sender()."""

from micropython import const

from .ends import SendingEnd
from .lanes import flatten
from .port import later
from .words import plus

#: words(cog.inFile) :#
_HIGH_WATER = const(10)  # the most messages queued at once. Owner: producer
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
# stamped.


def add_sender(channel):
    """Return the Sender of a further context: its own lanes, so it may send at any instant.

    Raises ValueError when the `senders` of the constructor are all taken.

    Context: set-up | alloc: the Sender | time: O(1) | blocks: never
    """
    taken = len(channel._senders)
    if taken == channel.senders:
        raise ValueError("%s has room for senders=%d, all taken" % (channel._title(), taken))
    sender = Sender(channel, taken)
    channel._senders.append(sender)
    return sender


class Sender(SendingEnd):
    """One sending context's end of a channel: what add_sender() returns.

    Its counters are its own; the channel's are the sums over its senders. Attributes: `send`,
    `send_word` and, with zero_copy=True, `claim`, `commit`, `abort` (viper, positional arguments
    only).
    """

    def __init__(self, channel, number):
        self._kept = [b"", None, None]
        self._ticks = channel._ticks
        self._attach_sender(channel, number)

    @property
    def dropped(self):
        """Messages that found their lane full."""
        return self._sum(_DROPPED)

    @property
    def rejected(self):
        """Messages larger than a slot, sent after close(), or while a slot was claimed."""
        return self._sum(_REJECTED)

    @property
    def high_water(self):
        """The most messages any one of this sender's lanes has held at once."""
        most = 0
        for row in range(self._channel._rows):
            most = max(most, self._channel._of_lane(self._number, row, _HIGH_WATER))
        return most

    def _sum(self, what):
        found = 0
        for row in range(self._channel._rows):
            found = plus(found, self._channel._of_lane(self._number, row, what))
        return found

    def __repr__(self):
        return "sender %d of %s" % (self._number, self._channel)

    def check(self, data, priority):
        """As the channel's check."""
        later("ringlane.cold").check(self, data, priority)

    def trigger(self, priority, source=None):
        """As the channel's trigger, of this sender's context."""
        return later("ringlane.trigger").make_trigger(self, priority, source)


flatten(Sender)
