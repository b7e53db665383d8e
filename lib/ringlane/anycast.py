"""AnycastChannel: from one or several senders to a pool of receivers; one gets each message.

A lane for each receiver and sender, so receivers never contend. The sender chooses the receiver by
a policy; one that has no room is passed over by the same policy.

    ROUND_ROBIN     each in turn
    LEAST_LOADED    the one with the fewest messages queued, by all senders; of equal ones in turn
    RANDOM          any, each as likely
    AFFINITY_FIRST  in turn among those of the sender's core, if none has room among the others

    from ringlane import LEAST_LOADED, NORMAL, AnycastChannel

    ch = AnycastChannel(4, LEAST_LOADED, slot_size=64, max_receivers=2)
    workers = [ch.add_receiver(), ch.add_receiver()]

    ch.send(job, NORMAL)  # 1: queued with one of them; 0: all are full, and counted

    def work(receiver):  # in each worker's context
        while m := receiver.recv(buf):
            size, priority, latency = m

Who may call what: a sender's verbs belong to one context, as in priority.py; each receiver's verbs
belong to one context. Each sender keeps its own turn; of another sender's load it has a guess.

Cost of a send of 16 bytes to a pool of 4: 1,980 cycles by ROUND_ROBIN, 3,700 to 4,000 by the other
policies, whatever the capacity (emulated RP2040, MicroPython 1.28).
"""

import sys

import micropython
from micropython import const

from .constants import AFFINITY_FIRST, ROUND_ROBIN
from .fanout import Fanout, FanoutReceiver, FanoutSender
from .lanes import _room, _store, whole

_LEAST_LOADED = const(2)  # as in constants.py
_RANDOM = const(3)

# As in lanes.py, where they are explained; const folds within a file only.
_OWN_LANES = const(2)
_PLACE_STEP = const(3)
_PLACES = const(10)
_POLICY = const(11)
_TURN = const(12)
_SEED = const(13)
_CORE = const(14)
_HEAD = const(0)
_TAIL = const(1)
_ROOM = const(2)
_CAPACITY = const(3)
_REST = const(5)
_LANE_BYTES = const(44)
_STALE = const(1)

_CORES_MAX = const(64)
_CPUID = 0xD0000000  # SIO CPUID of the datasheets, RP2040 2.3.1, RP2350 3.1: the core that reads


def make_choose(block):
    """Return the choose of the sender whose words begin `block`."""

    @micropython.viper
    def choose() -> int:
        # The place to look at first, by the sender's policy: one with room, if any has.
        part = ptr32(block)
        own = int(part) + part[_OWN_LANES]
        step = part[_PLACE_STEP]
        places = part[_PLACES]
        policy = part[_POLICY]
        core = part[_CORE]
        if core < 0 or core >= _CORES_MAX:
            core = ptr32(core)[0]
        at = part[_TURN]
        best = at
        least = 0x3FFFFFFF
        count = 0
        left = places
        while left:
            lane = ptr32(own + at * step)
            room = lane[_ROOM]
            used = lane[_HEAD] - lane[_TAIL]
            if used < 0:
                used += lane[_CAPACITY] + lane[_CAPACITY]
            if used < (room & 0xFFFF):
                load = 0
                if policy == _LEAST_LOADED:  # what all senders have queued there
                    other = int(lane) + (lane[_REST] & ~_STALE)
                    first = other - step + _LANE_BYTES
                    while first <= other:
                        its = ptr32(first)
                        used = its[_HEAD] - its[_TAIL]
                        if used < 0:
                            used += its[_CAPACITY] + its[_CAPACITY]
                        load += used
                        first += _LANE_BYTES
                elif policy == _RANDOM:  # of those with room so far, each as likely as the others
                    count += 1
                    seed = (part[_SEED] * 1664525 + 1013904223) & 0x3FFFFFFF
                    part[_SEED] = seed
                    load = 0 - count
                    if (seed >> 16) * count >> 14:
                        load = least
                elif room >> 24 != core:  # _AFFINITY_FIRST
                    load = 1
                if load < least:
                    least = load
                    best = at
            at += 1
            if at == places:
                at = 0
            left -= 1
        return best

    return choose


class AnycastSender(FanoutSender):
    """A sending context's end of an AnycastChannel; see Sender."""

    def __init__(self, channel, number):
        FanoutSender.__init__(self, channel, number)
        self._choose = make_choose(memoryview(channel._block)[channel._sender_at(number) :])


class AnycastReceiver(FanoutReceiver):
    """What AnycastChannel.add_receiver() returns; see FanoutReceiver."""

    @property
    def pending(self):
        """Messages queued for this receiver: exact or too small for itself, else a guess."""
        return len(self)

    @property
    def processed(self):
        """Messages that this receiver has taken."""
        return self.received

    @property
    def load_factor(self):
        """The share of its slots that is in use, 0.0 to 1.0. It allocates a float."""
        return len(self) / (self._channel.capacity * self._channel.senders)


class AnycastChannel(Fanout):
    """AnycastChannel(capacity, policy, slot_size=32, max_receivers=4, senders=1,
    name=None, clock=None, stats=False)

    `capacity`: messages per receiver and sender, 1..65535. `policy`: ROUND_ROBIN, LEAST_LOADED,
    RANDOM or AFFINITY_FIRST. `max_receivers`: how many may be open at once, 1..255. The rest as
    for PriorityChannel; `stats` is each receiver's.

    Attributes beside those of Fanout: `policy`.
    """

    _sender = AnycastSender
    _receiver = AnycastReceiver

    def __init__(
        self,
        capacity,
        policy,
        slot_size=32,
        max_receivers=4,
        senders=1,
        name=None,
        clock=None,
        stats=False,
    ):
        self.policy = whole("policy", policy, ROUND_ROBIN, AFFINITY_FIRST)
        Fanout.__init__(
            self, capacity, policy, slot_size, max_receivers, senders, name, clock, stats
        )
        for number in range(senders):
            word = self._sender_at(number) >> 2
            _store(self._block, word + _SEED, 0x2545F491 ^ number * 0x9E3779)
            _store(self._block, word + _CORE, _CPUID if sys.platform == "rp2" else 0)

    def _free(self, number, priority):
        # What the open receivers have room for together; the class is a label.
        if priority is not None:
            self._lane(number, priority)  # raises if there is no such class
        free = 0
        if not self.closed:
            for place in range(self.max_receivers):
                free += _room(self._block, self._header(number, place))
        return free

    def add_sender(self, core=None):
        """Return the Sender of a further context, as Sending.add_sender.

        `core`: where it runs, 0..63; None: where each send finds itself, on rp2, else 0.
        """
        if core is not None:
            whole("core", core, 0, _CORES_MAX - 1)
        sender = Fanout.add_sender(self)
        if core is not None:
            word = self._sender_at(sender._number) >> 2
            _store(self._block, word + _CORE, core)
        return sender

    def add_receiver(self, name=None, core=0):
        """Return a further receiver; it may be chosen from now on.

        `core`: where it runs, 0..63, for AFFINITY_FIRST. Raises ValueError when `max_receivers`
        are open or the channel is closed.

        Context: a task | alloc: the receiver | time: O(senders) | blocks: never
        """
        return self._open(name, self.capacity, whole("core", core, 0, _CORES_MAX - 1))
