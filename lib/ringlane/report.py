"""report(): every named channel as a table."""

from .lanes import named
from .priority import CLASS_NAMES

_COLUMNS = ("queued", "sent", "received", "dropped", "refused", "high water")


def report():
    """Print a table of every channel that was given a name, one line per class in use.

    A name used again stands for the newer channel. Context: a task; it allocates.
    """
    rows = [("channel", "class", "capacity") + _COLUMNS]
    for name in sorted(named):
        rows.extend(_rows(name, named[name]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        left = "%-*s  %-*s" % (widths[0], row[0], widths[1], row[1])
        print(left + "".join("  %*s" % pair for pair in zip(widths[2:], row[2:])))


def _rows(name, channel):
    capacities = channel._places
    for place in range(len(capacities)):
        if capacities[place]:
            by_class = len(capacities) > 1
            counters = channel.counters(place if by_class else None)
            label = CLASS_NAMES[place] if by_class else "-"
            yield (name, label, str(capacities[place])) + tuple(str(each) for each in counters)
