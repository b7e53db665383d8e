"""What no handler calls: imported when it is first used."""

from collections import namedtuple

from .checks import check_int, check_message
from .lanes import plus

Counters = namedtuple(
    "Counters", ("queued", "sent", "received", "dropped", "rejected", "high_water")
)


def check(channel, number, data, priority):
    """As SendingEnd.check, of the channel's sender of that number."""
    check_message(data)
    channel._lane(number, priority)
    if channel.closed:
        raise ValueError("%s is closed" % channel._title())
    if len(data) > channel.slot_size:
        raise ValueError(
            "message of %d bytes is larger than a slot of %d" % (len(data), channel.slot_size)
        )


def counters_of_class(channel, priority):
    """As Queue.counters."""
    if priority is not None:
        if not channel._by_class:
            raise ValueError("%s does not count by class" % channel._title())
        check_int("class", priority, 0, 4)
    return counters(channel, priority)


def counters(channel, row=None):
    """Return the Counters of a row of lanes; None: of the channel."""
    # Unread before received before sent: what is received meanwhile then makes none the smaller.
    unread = getattr(channel, "unread", 0)
    if row is None:
        received = channel.received
        sent = channel.sent
        dropped, rejected = channel.dropped, channel.rejected
    else:
        received = channel._sum_received(row)
        sent = channel._sum_sent(row)
        dropped, rejected = channel._sum_dropped(None, row), channel._sum_rejected(None, row)
    queued = plus(plus(sent, -received), -unread)
    return Counters(queued, sent, received, dropped, rejected, channel._most(None, row))


def describe(channel):
    """As Lanes.__repr__."""
    return "%s: %d queued, %d sent, %d received, %d dropped, %d rejected%s" % (
        channel._title(),
        len(channel),
        channel.sent,
        channel.received,
        channel.dropped,
        channel.rejected,
        ", closed" if channel.closed else "",
    )
