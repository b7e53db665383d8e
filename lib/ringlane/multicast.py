"""MulticastChannel: from one or several senders to every receiver that is open.

A lane for each receiver and sender. A receiver that lags by max_lag messages misses the next ones,
counted as dropped for it alone, and never holds up the sender or another receiver.

    from ringlane import NORMAL, MulticastChannel

    ch = MulticastChannel(8, slot_size=4, max_receivers=2)
    display = ch.add_receiver("display")
    logger = ch.add_receiver("logger")

    def on_sample(timer):  # a handler, hard or soft
        ch.send_word(adc.read_u16(), NORMAL)  # how many will get it

    while True:
        while m := logger.recv_word():
            value, priority, latency = m

Who may call what: a sender's verbs belong to one context, as in priority.py; each receiver's verbs
belong to one context, which may be another for each. Receivers open and close while senders send.

Cost of a send of 16 bytes: 1,690 cycles for the first receiver, 440 for each further one, whatever
the capacity (emulated RP2040, MicroPython 1.28).
"""

import micropython
from micropython import const

from .checks import check_int
from .fanout import Fanout, FanoutReceiver
from .lanes import flatten

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_FENCED = const(8)  # 1: cores reorder, so a verb fences; see `Fences` in lanes.py
_EPOCH = const(9)  # messages of another one were for an earlier receiver of the row
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
_READ = const(6)  # bytes from here to the slot to read next. Owner: consumer
_LANE_BYTES = const(56)
_META = const(0)  # size | class << 16 | epoch << 24
_STALE = const(1)  # in REST
_LAST = const(2)  # in REST
# stamped.


@micropython.viper
def _skip_to_latest(cold) -> int:
    count = 0
    if not int(cold._next_lane()):  # drops what an earlier receiver was sent
        return count
    part = ptr32(int(cold._receiver))
    lane = ptr32(int(part) + part[_LANES])
    queued = 0
    while lane[_REST] != _LAST:
        used = (lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF
        if used and lane[_REST] & _STALE:
            if part[_FENCED]:
                cold._fence()  # head before slot, as in recv
            # What was on its way to that one may have come since: one message a sender.
            slot = ptr32(int(lane) + lane[_READ])
            if (slot[_META] >> 24 & 0xFF) != part[_EPOCH]:
                used -= 1
        queued += used
        lane = ptr32(int(lane) + _LANE_BYTES)
    while count < queued - 1:
        cold._drop(False)
        count += 1
    return count


class MulticastReceiver(FanoutReceiver):
    """What MulticastChannel.add_receiver() returns; see FanoutReceiver."""

    @property
    def lag(self):
        """Messages sent and not yet received: exact or too small for itself, else a guess."""
        return len(self)

    @property
    def dropped(self):
        """Messages that this receiver missed because it lagged.

        Where another core sends, one that an earlier receiver with this id missed may be among
        them.
        """
        if self._counted is not None:
            return self._counted[0]
        return self._missed()

    def skip_to_latest(self):
        """Drop what is queued but for the newest; return how many. They count as received.

        Context: the receiving context | alloc: none | time: O(lag) | blocks: never
        """
        return _skip_to_latest(self)


class MulticastChannel(Fanout):
    """MulticastChannel(capacity, max_lag=None, slot_size=32, max_receivers=4, senders=1,
    name=None, clock=None, stats=False, tap=None)

    `capacity`: messages per receiver and sender, 1..65535. `max_lag`: how many of them a receiver
    may leave unread, 1..capacity; None: capacity. `max_receivers`: how many may be open at once,
    1..255. The rest as for PriorityChannel; `stats` is each receiver's. `tap` has a ring for each
    sender, and one more for each `id` when a receiver first has it.
    """

    _receiver_kind = MulticastReceiver

    def __init__(
        self,
        capacity,
        max_lag=None,
        slot_size=32,
        max_receivers=4,
        senders=1,
        name=None,
        clock=None,
        stats=False,
        tap=None,
    ):
        self._check_capacity(capacity, max_receivers)
        self.max_lag = capacity if max_lag is None else check_int("max_lag", max_lag, 1, capacity)
        Fanout.__init__(
            self, capacity, 0, slot_size, max_receivers, senders, name, clock, stats, tap
        )
        self._register()

    def _free(self, end, priority):
        # What no open receiver would miss; the class is a label.
        if priority is not None:
            self._lane(0, priority)  # raises if there is no such class
        free = 0 if self.closed else self.capacity
        for row in range(self.max_receivers):
            if self._taken[row]:
                free = min(free, self._room_of(end._number, row))
        return free

    def add_receiver(self, name=None, max_lag=None):
        """Return a receiver of every message sent from now on.

        `max_lag`: its own, 1..capacity; None: the channel's. Raises ValueError when
        `max_receivers` are open or the channel is closed.

        Context: a task | alloc: the receiver | time: O(senders) | blocks: never
        """
        limit = (
            self.max_lag if max_lag is None else check_int("max_lag", max_lag, 1, self.capacity)
        )
        return self._open(name, limit, 0)


flatten(MulticastReceiver)
flatten(MulticastChannel)
