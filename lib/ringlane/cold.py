"""What no handler calls: imported when it is first used."""

import time
from collections import namedtuple

import micropython
from micropython import const

from .checks import check_int, check_message
from .port import later
from .words import plus

#: words(cog.inFile) :#
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_HIGH_WATER = const(10)  # the most messages queued at once. Owner: producer
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
# stamped.

Counters = namedtuple(
    "Counters", ("queued", "sent", "received", "dropped", "rejected", "high_water")
)

_VIEWS = ("claim", "commit", "abort", "peek", "release", "view")
_STATS = ("stats", "stats_into", "reset_stats")


def fetch(channel, name):
    """Return what an end lacks: a channel its default clock, or a method imported when used.

    Raises AttributeError, with a sentence, if there is none of that name.
    """
    kind = type(channel)
    if name == "clock" and hasattr(kind, "_rows"):
        return later("ringlane.clock").default()
    method = None
    if hasattr(kind, "_make"):  # it sends
        if name == "check":
            method = check
        elif name == "trigger":
            method = later("ringlane.trigger").make_trigger
        elif name == "add_sender":
            method = later("ringlane.sender").add_sender
    if hasattr(kind, "_recv_guard"):  # it has one receiver
        if name == "counters":
            method = counters_of_class
        elif name == "add_receiver":
            method = later("ringlane.guard").add_receiver
    if name in _STATS and hasattr(kind, "_stats"):  # it receives
        method = _no_stats
    if method is not None:
        return lambda *args, **options: method(channel, *args, **options)
    name = "view" if name == "_seen" else name
    if name in _VIEWS:
        raise AttributeError(
            "%s was made without zero_copy=True: no %s" % (channel._title(), name)
        )
    raise AttributeError("%s has no attribute %r" % (channel._title(), name))


def _no_stats(end, *_):
    raise ValueError("%s was made without stats=True" % end._title())


def check(end, data, priority):
    """Raise the error that send(data, priority) would raise or count, in a whole sentence.

    For set-up, where send itself must stay silent in a handler. A full lane is no error.
    """
    check_of(end._channel, end._number, data, priority)


def check_of(channel, number, data, priority):
    """As check, of the channel's sender of that number."""
    check_message(data)
    if isinstance(priority, int) or isinstance(priority, bool):
        priority = _as_class(priority)
    channel._lane(number, priority)
    if channel.closed:
        raise ValueError("%s is closed" % channel._title())
    if len(data) > channel.slot_size:
        raise ValueError(
            "message of %d bytes is larger than a slot of %d" % (len(data), channel.slot_size)
        )


def counters_of_class(channel, priority=None):
    """Return (queued, sent, received, dropped, rejected, high_water) of a class; None: of all.

    A named tuple. Sums over the senders, high_water their greatest. Raises ValueError for a
    class that is not 0..4, and on a channel whose classes share one lane.

    Context: a task | alloc: a tuple | time: O(lanes) | blocks: never
    """
    if priority is not None:
        if not channel._by_class:
            raise ValueError("%s does not count by class" % channel._title())
        check_int("%s: class" % channel._title(), priority, 0, 4)
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
        received = channel._tally(_TAIL, row)
        sent = channel._tally(_HEAD, row)
        dropped, rejected = channel._tally(_DROPPED, row), channel._tally(_REJECTED, row)
    queued = plus(plus(sent, -received), -unread)
    return Counters(queued, sent, received, dropped, rejected, channel._tally(_HIGH_WATER, row))


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


def describe_requests(channel):
    """As RequestReplyChannel.__repr__."""
    return "%s: %d pending, %d answered, %d dropped, %d rejected, %d late%s" % (
        channel._title(),
        channel.pending,
        channel.answered,
        channel.dropped,
        channel.rejected,
        channel.late,
        ", closed" if channel.closed else "",
    )


_PERIOD_MAX = 1 << 30


def check_clock(name, hz, ticks, period, register):
    """Raise the error of Clock(name, hz, ticks, period, register), if any."""
    if not isinstance(name, str):
        raise TypeError("name must be a str, not %r" % (name,))
    if not isinstance(period, int) or not 2 <= period <= _PERIOD_MAX or period & (period - 1):
        raise ValueError("period must be a power of two up to 2**30, not %r" % (period,))
    if not isinstance(hz, int) or isinstance(hz, bool) or hz <= 0:
        raise ValueError("hz must be an int above 0, not %r" % (hz,))
    if (
        not isinstance(register, int)
        or isinstance(register, bool)
        or not 0 <= register <= 0xFFFFFFFF
        or register & 3
    ):
        raise ValueError(
            "register must be an address, a multiple of 4 below 2**32, not %r" % (register,)
        )
    if _kind(ticks) not in _KINDS:
        raise TypeError(
            "ticks must be a builtin or a viper function, of no arguments and no closure, "
            "not %r: Python code would run in the middle of a verb" % (ticks,)
        )
    now = ticks()
    if type(now) is not int:
        raise TypeError("ticks() must return an int, not %r" % (now,))


def _kind(function):
    # MicroPython has a type for each sort of function; CPython's simulation has an attribute.
    return getattr(function, "simulated_kind", type(function))


@micropython.viper
def _as_class(priority: int) -> int:
    # As the verbs take it: a bool too, and the low 32 bits on a 32-bit board.
    return priority


# The sorts that run no bytecode: builtins without arguments, and viper functions.
_KINDS = (_kind(time.ticks_us), _kind(_as_class))
