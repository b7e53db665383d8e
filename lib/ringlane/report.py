"""report(): every named channel as a table."""

from .figures import lines
from .registry import channels

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
