"""Queue: what PriorityChannel and Channel have in common, one receiver for all lanes."""

from .ends import Receiver, SendingEnd
from .lanes import Lanes
from .port import later


class Queue(SendingEnd, Receiver, Lanes):
    """What PriorityChannel and Channel have in common: one receiver for all lanes.

    Attributes beside those of Lanes: `capacity` as given; `send`, `send_word`, `recv`,
    `recv_word`; with zero_copy=True the first sender's `claim`, `commit`, `abort` and the
    receiver's `peek`, `release`, `view` (all viper but view, positional arguments only).
    """

    _recv_guard = None

    def __init__(
        self,
        capacity,
        slot_size=32,
        senders=1,
        name=None,
        clock=None,
        send_guard=None,
        recv_guard=None,
        zero_copy=False,
        stats=False,
        tap=None,
    ):
        # First, so that they are found at once: a dictionary that is nearly full searches on from
        # where a name would be, 44 cycles a step on an RP2040.
        self.send = self.send_word = self.recv = self.recv_word = None
        Lanes.__init__(self, self._check_capacity(capacity), slot_size, senders, name, clock)
        self.capacity = capacity
        self._kept = [b"", None, None]
        if send_guard is not None or recv_guard is not None:
            later("ringlane.guard").check_guards(send_guard, recv_guard, zero_copy)
            self._send_guard = send_guard
        if tap is not None:
            later("ringlane.tap").check_tap(tap, recv_guard, zero_copy)
            self._tap = tap
        # The options, in the order in which they wrap the verbs: the tap, views, the histogram of
        # what recv and release take, then the guard around all of it.
        if zero_copy:
            self._views = later("ringlane.zero_copy").make_views(self)
        self._attach_receiver(self._base, senders > 1)
        if tap is not None:
            later("ringlane.tap").tap_receiver(self, tap, self, 0)
        self._senders = [self]  # a channel is its first sender itself
        self._attach_sender(self, 0)
        if zero_copy:
            later("ringlane.zero_copy").add_peeks(self, self._views)
        if stats:
            later("ringlane.measure").measure(self)
        if recv_guard is not None:
            self._recv_guard = recv_guard
            later("ringlane.guard").share_receiver(self)
        self._register()  # last: what is half made is in no report

    @classmethod
    def memory(cls, capacity, slot_size=32, senders=1):
        """Return the bytes that such a channel takes; raise as the constructor would.

        Without options. A further sender takes some 290 B more on a 32-bit board, twice as much
        where words are of 64.
        """
        return cls._whole(cls._bytes(cls._check_capacity(capacity), slot_size, senders, 1))

    @property
    def view(self):
        """The message that peek returned, a memoryview of its slot; None before the first."""
        return self._seen[0]
