"""Queue: what PriorityChannel and Channel have in common, one receiver for all lanes."""

from .ends import Receiver, Sender, SendingEnd
from .lanes import Lanes, register
from .port import later

# What zero_copy=True hangs on a channel.
_VIEWS = ("claim", "commit", "abort", "peek", "release", "view")


class Sending(SendingEnd, Lanes):
    """What the channels have that messages are sent to: all but RequestReplyChannel.

    A channel is its first sender itself.
    """

    _sender_kind = Sender
    _send_guard = None
    _views = None

    def _begin(self):
        # When a Sender can be made.
        self._channel = self
        self._senders = [self]
        self._attach_sender(self, 0)

    def add_sender(self):
        """Return the Sender of a further context: its own lanes, so it may send at any instant.

        Raises ValueError when the `senders` of the constructor are all taken.

        Context: set-up | alloc: the Sender | time: O(1) | blocks: never
        """
        taken = len(self._senders)
        if taken == self.senders:
            raise ValueError("%s has room for senders=%d, all taken" % (self._title(), taken))
        sender = self._sender_kind(self, taken)
        self._senders.append(sender)
        return sender


class Queue(Sending, Receiver):
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
    ):
        Lanes.__init__(self, self._check_capacity(capacity), slot_size, senders, name, clock)
        self.capacity = capacity
        self._kept = [b"", None, None]
        self._ticks = self.clock.ticks
        if send_guard is not None or recv_guard is not None:
            later("ringlane.guard").check_guards(send_guard, recv_guard, zero_copy)
            self._send_guard = send_guard
        # The options, in the order in which they wrap the verbs: views, then the histogram of what
        # recv and release take, then the guard around all of it.
        if zero_copy:
            self._views = later("ringlane.zero_copy").make_views(self)
        self._attach_receiver(self._base, senders > 1)
        self._begin()
        if zero_copy:
            later("ringlane.zero_copy").add_peeks(self, self._views)
        if stats:
            later("ringlane.latency").measure(self)
        if recv_guard is not None:
            self._recv_guard = recv_guard
            later("ringlane.guard").share_receiver(self)
        register(self)  # last: what is half made is in no report

    @classmethod
    def memory(cls, capacity, slot_size=32, senders=1):
        """Return the bytes that such a channel takes; raise as the constructor would.

        Without options. A further sender takes some 330 B more on a 32-bit board, twice as much
        where words are of 64.
        """
        return cls._whole(cls._bytes(cls._check_capacity(capacity), slot_size, senders, 1))

    def add_receiver(self):
        """Return the receiver of a further context: recv_guard lets it share the lanes.

        It has the channel's receiving verbs, and results of its own. Raises ValueError for a
        channel without recv_guard.

        Context: set-up | alloc: the receiver | time: O(1) | blocks: never
        """
        if self._recv_guard is None:
            raise ValueError("%s has no recv_guard, so one receiver" % self._title())
        return later("ringlane.guard").GuardedReceiver(self)

    def __getattr__(self, name):
        # Only what an instance lacks comes here.
        if name == "_seen":
            name = "view"
        if name in _VIEWS:
            raise AttributeError(
                "%s was made without zero_copy=True: no %s" % (self._title(), name)
            )
        raise AttributeError("%s has no attribute %r" % (self._title(), name))

    @property
    def view(self):
        """The message that peek returned, a memoryview of its slot; None before the first."""
        return self._seen[0]

    def counters(self, priority=None):
        """Return (queued, sent, received, dropped, rejected, high_water) of a class; None: of all.

        A named tuple. Sums over the senders, high_water their greatest. Raises ValueError for a
        class that is not 0..4, and on a channel whose classes share one lane.

        Context: a task | alloc: a tuple | time: O(lanes) | blocks: never
        """
        return later("ringlane.cold").counters_of_class(self, priority)
