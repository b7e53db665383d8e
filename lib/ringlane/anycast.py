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

Cost of a send of 16 bytes to a pool of 4: 1,720 cycles by ROUND_ROBIN, 3,200 to 3,500 by the other
policies, whatever the capacity (emulated RP2040, MicroPython 1.28).
"""

import micropython
from micropython import const

from .checks import check_int
from .facts import CPU_ID
from .fanout import Fanout, FanoutReceiver
from .fanout import make_sender as make_fanout_sender
from .lanes import flatten, store
from .port import later

_ROUND_ROBIN = const(1)  # as in names.py
_LEAST_LOADED = const(2)
_RANDOM = const(3)
_AFFINITY_FIRST = const(4)

#: words(cog.inFile) :#
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_ROWS = const(16)  # fan-out: how many receivers there may be
_ROW_STEP = const(17)  # fan-out: bytes from a row's lane to the next row's
_POLICY = const(18)  # fan-out: 0: all receivers, else one, chosen by the policy
_TURN = const(19)  # anycast: the row to look at first. Owner: sender
_SEED = const(20)  # anycast: of the policy RANDOM. Owner: sender
_CORE = const(21)  # anycast: the sender's core, or the address of the register that tells it
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
# with so many queued send looks closer; 0 while claimed. Owner: producer. Fan-out: max_lag or 0 |
# epoch << 16 | core << 24. Owner: the receiver:
_ROOM = const(3)
_LANE_BYTES = const(56)
_MARK_BYTES = const(20)  # an end mark: the words up to CAPACITY
_STALE = const(1)  # in REST
_LAST = const(2)  # in REST
# stamped.

_CORES_MAX = const(64)


def make_choose(at):
    """Return the choose of the sender whose words are at the address `at`."""

    @micropython.viper
    def choose() -> int:
        # The row to look at first, by the sender's policy: one with room, if any has.
        part = ptr32(int(at))
        own = int(part) + part[_CARDS]
        step = part[_ROW_STEP]
        rows = part[_ROWS]
        policy = part[_POLICY]
        core = part[_CORE]
        if core < 0 or core >= _CORES_MAX:
            core = ptr32(core)[0]
        row = part[_TURN]
        best = row
        least = 0x3FFFFFFF
        count = 0
        left = rows
        while left:
            lane = ptr32(own + row * step)
            room = lane[_ROOM]
            if ((lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF) < (room & 0xFFFF):
                load = 0
                if policy == _LEAST_LOADED:  # what all senders have queued there
                    its = ptr32(
                        int(lane) + (lane[_REST] & ~_STALE) + _LANE_BYTES - (step - _MARK_BYTES)
                    )
                    while its[_REST] != _LAST:
                        load += (its[_HEAD] - its[_TAIL]) & 0x3FFFFFFF
                        its = ptr32(int(its) + _LANE_BYTES)
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
                    best = row
            row += 1
            if row == rows:
                row = 0
            left -= 1
        return best

    return choose


def make_sender(at, cold):
    """As fanout.make_sender, of a sender that chooses."""
    cold._choose = make_choose(at)
    return make_fanout_sender(at, cold)


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
    name=None, clock=None, stats=False, tap=None)

    `capacity`: messages per receiver and sender, 1..65535. `policy`: ROUND_ROBIN, LEAST_LOADED,
    RANDOM or AFFINITY_FIRST. `max_receivers`: how many may be open at once, 1..255. The rest as
    for PriorityChannel; `stats` is each receiver's, `tap` as for MulticastChannel.

    Attributes beside those of Fanout: `policy`.
    """

    _make = staticmethod(make_sender)
    _receiver_kind = AnycastReceiver

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
        tap=None,
    ):
        self.policy = check_int("policy", policy, _ROUND_ROBIN, _AFFINITY_FIRST)
        Fanout.__init__(
            self, capacity, policy, slot_size, max_receivers, senders, name, clock, stats, tap
        )
        for number in range(senders):
            word = self._sender_at(number) >> 2
            store(self._base, word + _SEED, 0x2545F491 ^ number * 0x9E3779)
            store(self._base, word + _CORE, CPU_ID)
        self._register()

    def _free(self, end, priority):
        # What the open receivers have room for together; the class is a label.
        if priority is not None:
            self._lane(0, priority)  # raises if there is no such class
        free = 0
        if not self.closed:
            for row in range(self.max_receivers):
                free += self._room_of(end._number, row)
        return free

    def add_sender(self, core=None):
        """Return the Sender of a further context, as sender.add_sender.

        `core`: where it runs, 0..63; None: where each send finds itself, on rp2, else 0.
        """
        if core is not None:
            check_int("core", core, 0, _CORES_MAX - 1)
        sender = later("ringlane.sender").add_sender(self)
        if core is not None:
            word = self._sender_at(sender._number) >> 2
            store(self._base, word + _CORE, core)
        return sender

    def add_receiver(self, name=None, core=0):
        """Return a further receiver; it may be chosen from now on.

        `core`: where it runs, 0..63, for AFFINITY_FIRST. Raises ValueError when `max_receivers`
        are open or the channel is closed.

        Context: a task | alloc: the receiver | time: O(senders) | blocks: never
        """
        return self._open(name, self.capacity, check_int("core", core, 0, _CORES_MAX - 1))


flatten(AnycastReceiver)
flatten(AnycastChannel)
