"""report(): every named channel as a table."""

from micropython import const

from .cold import counters
from .names import CLASS_NAMES
from .registry import channels
from .words import plus

#: words(cog.inFile) :#
_CAPACITY = const(4)  # slots; 0: the class is not used
# stamped.

_COLUMNS = ("queued", "sent", "received", "dropped", "rejected", "high water")


def report():
    """Print a table of every open channel that was given a name.

    One line per class in use; of a multicast or anycast channel its own and one per open receiver;
    a request-reply channel's is of its requests. Counts are modulo 2**30.

    A name used again stands for the newer channel. Context: a task; it allocates.
    """
    rows = [("channel", "lane", "capacity") + _COLUMNS]
    for channel in channels():
        rows.extend(_rows(channel.name, channel))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        left = "%-*s  %-*s" % (widths[0], row[0], widths[1], row[1])
        print(left + "".join("  %*s" % pair for pair in zip(widths[2:], row[2:])))


def _rows(name, channel):
    for label, _, capacity, figures in lines(channel):
        shown = ["-" if each is None else str(each) for each in figures]
        yield (name, label, str(capacity)) + tuple(shown)


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
