"""report(): every named channel as a table."""

from .lanes import named

_COLUMNS = ("queued", "sent", "received", "dropped", "refused", "high water")


def report():
    """Print a table of every channel that was given a name.

    One line per class in use, or per open receiver; a request-reply channel's is of its requests.

    A name used again stands for the newer channel. Context: a task; it allocates.
    """
    rows = [("channel", "lane", "capacity") + _COLUMNS]
    for name in sorted(named):
        rows.extend(_rows(name, named[name]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        left = "%-*s  %-*s" % (widths[0], row[0], widths[1], row[1])
        print(left + "".join("  %*s" % pair for pair in zip(widths[2:], row[2:])))


def _rows(name, channel):
    for label, capacity, place in channel._rows():
        counters = channel._counters(place)
        yield (name, label, str(capacity)) + tuple(str(each) for each in counters)
