"""The figures of a channel, line by line: for report() and for a link."""

from micropython import const

from .cold import counters
from .names import CLASS_NAMES
from .words import plus

#: words(cog.inFile) :#
_CAPACITY = const(4)  # slots; 0: the class is not used
# stamped.


def lines(channel):
    """Return a list of (label, row of lanes, capacity, counters), one for each line of report().

    The row is None where the line is of more than one. None among the counters: not counted there.
    """
    capacities = [channel._of_lane(0, row, _CAPACITY) for row in range(channel._rows)]
    if channel._by_class:
        return [
            (CLASS_NAMES[row], row, capacities[row], counters(channel, row))
            for row in range(5)
            if capacities[row]
        ]
    receivers = getattr(channel, "receivers", None)
    found = [("-", 0 if receivers is None else None, capacities[0], counters(channel))]
    # What only the channel counts, and a receiver does not, is in the first line.
    for end in receivers or ():
        queued = len(end)
        dropped = getattr(end, "dropped", None)
        figures = queued, plus(queued, end.received), end.received, dropped, None, None
        found.append((end.name or str(end.id), end.id, channel.capacity, figures))
    return found
