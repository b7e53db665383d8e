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

from micropython import const

from .fanout import Fanout, FanoutReceiver
from .lanes import whole

_DROPPED = const(7)


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
        return self._sum(_DROPPED) - self._dropped_before

    def skip_to_latest(self):
        """Drop what is queued but for the newest; return how many. They count as received.

        Context: the receiving context | alloc: none | time: O(lag) | blocks: never
        """
        self._next_lane()  # drops what an earlier receiver was sent; once closed it raises
        count = 0
        for _ in range(self._own() - 1):
            count += self.skip()
        return count


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
        # What no open receiver would miss, of any class.
        if priority is not None:
            self._lane(number, priority)  # raises if there is no such class
        free = self.capacity
        for end in self._ends:
            if end is not None:
                free = min(free, self._room(self._header(number, end.id)))
        return free

    def add_receiver(self, name=None, max_lag=None):
        """Return a receiver of every message sent from now on.

        `max_lag`: its own, 1..capacity; None: the channel's. Raises ValueError when
        `max_receivers` are open or the channel is closed.

        Context: a task | alloc: the receiver | time: O(senders) | blocks: never
        """
        limit = self.max_lag if max_lag is None else whole("max_lag", max_lag, 1, self.capacity)
        return self._add(name, limit, 0)
