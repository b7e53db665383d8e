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

Cost of a send of 16 bytes: 1,960 cycles for the first receiver, 540 for each further one, whatever
the capacity (emulated RP2040, MicroPython 1.28).
"""

import micropython
from micropython import const

from .fanout import Fanout, FanoutReceiver
from .lanes import _plus, _room, whole

# As in lanes.py, where they are explained; const folds within a file only.
_LANES = const(0)
_LANES_END = const(1)
_PITCH = const(2)
_EPOCH = const(9)
_HEAD = const(0)
_TAIL = const(1)
_CAPACITY = const(3)
_FIRST = const(4)
_REST = const(5)
_DROPPED = const(7)
_LANE_BYTES = const(44)
_STALE = const(1)
_META = const(0)


def make_skip_to_latest(block, slow, skip):
    """Return the skip_to_latest of the receiver whose words begin `block`."""

    @micropython.viper
    def skip_to_latest() -> int:
        """Drop what is queued but for the newest; return how many. They count as received.

        Context: the receiving context | alloc: none | time: O(lag) | blocks: never
        """
        count = 0
        if not int(slow._next_lane()):  # drops what an earlier receiver was sent
            return count
        part = ptr32(block)
        lane = int(part) + part[_LANES]
        end = int(part) + part[_LANES_END]
        queued = 0
        while lane < end:
            header = ptr32(lane)
            index = header[_TAIL]
            used = header[_HEAD] - index
            if used < 0:
                used += header[_CAPACITY] + header[_CAPACITY]
            if used and header[_REST] & _STALE:
                # What was on its way to that one may have come since: one message a sender.
                if index >= header[_CAPACITY]:
                    index -= header[_CAPACITY]
                slot = ptr32(lane + header[_FIRST] + index * part[_PITCH])
                if (slot[_META] >> 24 & 0xFF) != part[_EPOCH]:
                    used -= 1
            queued += used
            lane += _LANE_BYTES
        while count < queued - 1:
            skip()
            count += 1
        return count

    return skip_to_latest


class MulticastReceiver(FanoutReceiver):
    """What MulticastChannel.add_receiver() returns; see FanoutReceiver.

    Its further verb is `skip_to_latest` (viper).
    """

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
        return _plus(self._sum(_DROPPED), -self._dropped_before)

    def _attach(self, block, clock):
        FanoutReceiver._attach(self, block, clock)
        self.skip_to_latest = make_skip_to_latest(block, self, self.skip)


class MulticastChannel(Fanout):
    """MulticastChannel(capacity, max_lag=None, slot_size=32, max_receivers=4, senders=1,
    name=None, clock=None, stats=False)

    `capacity`: messages per receiver and sender, 1..65535. `max_lag`: how many of them a receiver
    may leave unread, 1..capacity; None: capacity. `max_receivers`: how many may be open at once,
    1..255. The rest as for PriorityChannel; `stats` is each receiver's.
    """

    _receiver = MulticastReceiver

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
    ):
        self._capacities(capacity, max_receivers)
        self.max_lag = capacity if max_lag is None else whole("max_lag", max_lag, 1, capacity)
        Fanout.__init__(self, capacity, 0, slot_size, max_receivers, senders, name, clock, stats)

    def _free(self, number, priority):
        # What no open receiver would miss; the class is a label.
        if priority is not None:
            self._lane(number, priority)  # raises if there is no such class
        free = 0 if self.closed else self.capacity
        for place in range(self.max_receivers):
            if self._taken[place]:
                free = min(free, _room(self._block, self._header(number, place)))
        return free

    def add_receiver(self, name=None, max_lag=None):
        """Return a receiver of every message sent from now on.

        `max_lag`: its own, 1..capacity; None: the channel's. Raises ValueError when
        `max_receivers` are open or the channel is closed.

        Context: a task | alloc: the receiver | time: O(senders) | blocks: never
        """
        limit = self.max_lag if max_lag is None else whole("max_lag", max_lag, 1, self.capacity)
        return self._open(name, limit, 0)
