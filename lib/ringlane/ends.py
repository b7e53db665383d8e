"""The ends of a channel: what one sending or one receiving context holds, and its cold side.

The cold side is what the hot verbs of verbs.py call off the hot path:

    _kept             a list [message, buffer, words]: what was checked last, kept so that its word
                      cannot come to mean another object. A list, since to store an attribute where
                      a class has properties costs a search of its bases, thousands of cycles
    _ticks()          the clock, where it has no register
    _check_message(data), _check_buffer(buf), _check_words(words)
                      raise TypeError, or return whether to keep it
    _admit(priority, size)
                      send's closer look, of verbs.make_sender
    _next_lane()      the lane to read next where it is not the first with a message, of
                      verbs.make_receiver
    _no_lane(priority), _small_buffer(size, room), _not_a_word(size)
                      raise the error

Every attribute is set by the constructor: one that is added later lets the dictionary grow, while
a handler or another core looks these up in it.
"""

from micropython import const

from .checks import check_buffer, check_message, error
from .lanes import (
    load,
    make_next_lane,
    send_stamped,
    skip_one,
    take_all,
)
from .port import later
from .probe import engine

#: words(cog.inFile) :#
_MASK = const(3)  # the clock's period - 1
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
# stamped.


_verbs = later("ringlane.verbs_direct" if engine == "direct" else "ringlane.verbs")
make_receiver = _verbs.make_receiver
make_sender = _verbs.make_sender


class SendingEnd:
    """What a Sender and a channel have: one sending context's verbs, the channel's first one's.

    Attributes: `send`, `send_word` (viper, positional arguments only).
    """

    _make = staticmethod(make_sender)

    def _attach_sender(self, channel, number):
        self._number = number
        self._attempt = None
        self._triggers = None
        self._sender = at = channel._base + channel._sender_at(number)
        self.send, self.send_word, self._admit = self._make(at, self)
        if channel._send_guard is not None:
            later("ringlane.guard").share_sender(self, channel._send_guard)
        if channel._views is not None:
            later("ringlane.zero_copy").add_claims(self, channel._views)

    def send_at(self, data, priority, ticks):
        """As send, stamped `ticks` of the channel's clock: when the event was, not this call.

        Context: any handler or task, one per sender | alloc: none | time: O(bytes) | blocks: never
        """
        return send_stamped(self._sender, self.send, data, priority, ticks, False)

    def send_word_at(self, value, priority, ticks):
        """As send_word, stamped `ticks` of the channel's clock.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        return send_stamped(self._sender, self.send_word, value, priority, ticks, True)

    def trigger(self, priority, source=None):
        """Return a handler that sends a word of class `priority` whenever it is called.

        `source`: the address of a 32-bit register, whose content at that instant is sent; None:
        how often it was called, 1 first; the channel's clock: the time, as the stamp. Outcomes are
        counted as those of send_word. It takes one argument, what the interrupt passes, and is the
        handler itself: Pin(2).irq(ch.trigger(HIGH), hard=True).

        Raises ValueError for a multicast or anycast channel and under send_guard.

        Context: set-up; what it returns belongs to this sender's context | alloc: the handler
        """
        return later("ringlane.trigger").make_trigger(self, priority, source)

    def check(self, data, priority):
        """Raise the error that send(data, priority) would raise or count, in a whole sentence.

        For set-up, where send itself must stay silent in a handler. A full lane is no error.
        """
        later("ringlane.cold").check(self._channel, self._number, data, priority)

    def free(self, priority=None):
        """Return how many messages of class `priority` this sender can queue now.

        None: of any class in use, so 0 if one of them is full. 0 once the channel is closed. Exact
        or too small for the sender itself, as the receiver may take one meanwhile; a guess for
        any other context.

        Context: any handler or task | alloc: none | time: O(1) | blocks: never
        """
        return self._channel._free(self._number, priority)

    def is_full(self, priority=None):
        """Return whether this sender has no room for class `priority`; None: for some class."""
        return not self._channel._free(self._number, priority)

    def asend(self, data, priority, timeout_ms=None):
        """Wait for room and send `data`: to be awaited, by a task of this sender's context.

        Returns what send does. When `timeout_ms` have passed it sends once more, so that a message
        for which there is still no room is counted as dropped. A message larger than a slot, or
        for a closed channel, is rejected at once; a multicast that has no receiver takes it at
        once and returns 0. Errors as send, at once. Cancelled, it has queued and counted nothing.

        Context: a task | alloc: a coroutine, a waiter | blocks: its task only
        """
        return later("ringlane.waiting").asend(self, data, priority, timeout_ms)

    def _vet(self, data, priority):
        check_message(data)
        self._channel._lane(self._number, priority)

    def _try(self, data, priority):
        # As send, after _vet; but None, and nothing counted, if the lane is full now.
        if self._attempt is None:
            self._attempt = later("ringlane.waiting").make_attempt(self)
        return self._attempt(data, priority)

    def _check_message(self, data):
        # Not kept: what is rejected, and what is empty, as an array may grow and tell its items.
        channel = self._channel
        check_message(data)
        return 0 < len(data) <= channel.slot_size and not channel.closed

    def _no_lane(self, priority):
        self._channel._refuse_class(priority)


class Sender(SendingEnd):
    """One sending context's end of a channel: what add_sender() returns.

    Its counters are its own; the channel's are the sums over its senders. Attributes: `send`,
    `send_word` and, with zero_copy=True, `claim`, `commit`, `abort` (viper, positional arguments
    only).
    """

    def __init__(self, channel, number):
        self._channel = channel
        self._kept = [b"", None, None]
        self._ticks = channel.clock.ticks
        self._attach_sender(channel, number)

    @property
    def dropped(self):
        """Messages that found their lane full."""
        return self._channel._sum_dropped(self._number)

    @property
    def rejected(self):
        """Messages larger than a slot, sent after close(), or while a slot was claimed."""
        return self._channel._sum_rejected(self._number)

    @property
    def high_water(self):
        """The most messages any one of this sender's lanes has held at once."""
        return self._channel._most(self._number)

    def __repr__(self):
        return "sender %d of %s" % (self._number, self._channel)


class ReceivingEnd:
    """What a Receiver and a RequestReplyChannel have: to wait, and to measure.

    Attributes: `recv` (viper, positional arguments only).
    """

    _stats = None
    _check_buffer = staticmethod(check_buffer)

    def _begin_waiting(self):
        self._waiter = None
        self._served = 0  # when select() last chose it

    def ready(self, timeout_ms=None):
        """Wait until a message is queued: to be awaited.

        True: a message. None: `timeout_ms` have passed. False: closed and drained; a receiver
        that has closed itself is. Takes no message, so that a wait that is cancelled or too late
        loses none. Any number of tasks may wait at once.

        Context: a task | alloc: a coroutine | blocks: its task only
        """
        return later("ringlane.waiting").ready(self, timeout_ms)

    def arecv(self, buf, timeout_ms=None):
        """Wait for a message and receive it: to be awaited. Result and errors as recv.

        None: `timeout_ms` have passed. False: closed and drained. Cancelled, it has taken nothing.

        Context: a task of the receiving context | alloc: a coroutine | blocks: its task only
        """
        return later("ringlane.waiting").arecv(self, buf, timeout_ms)

    def recv_wait(self, buf, timeout_ms=None):
        """Receive as recv does, and wait for a message without asyncio.

        None: `timeout_ms` have passed. False: closed and drained.

        Context: a thread or a program without asyncio | alloc: at the first | blocks: its caller
        """
        return later("ringlane.waiting").recv_wait(self, buf, timeout_ms)

    def stats(self):
        """Return (count, avg_latency, p50_latency, p99_latency, max_latency), in clock ticks.

        A named tuple; of what recv and recv_word took, as latency.py says. Raises ValueError for a
        channel without stats=True. stats_into(words) and reset_stats() are beside it.
        """
        return self._histogram().stats()

    def stats_into(self, words):
        """Write the five figures of stats() into `words`, an array of 'i' or 'I'.

        Context: the receiving context | alloc: none | time: O(buckets) | blocks: never
        """
        self._histogram().stats_into(words)

    def reset_stats(self):
        """Forget the latencies so far. Context: the receiving context."""
        self._histogram().reset()

    def _histogram(self):
        if self._stats is None:
            raise ValueError("%s was made without stats=True" % self._title())
        return self._stats

    def _small_buffer(self, size, room):
        raise error(ValueError, "message of %d bytes, receive buffer of %d", size, room)


class Receiver(ReceivingEnd):
    """One receiving context's end of a channel; a Channel or PriorityChannel is one itself.

    Attributes: `recv`, `recv_word` (viper, positional arguments only).
    """

    def _attach_receiver(self, at, several):
        # Its words are at that address; `several` senders may compete, or receivers have been.
        self._receiver = at
        self._begin_waiting()
        later("ringlane.drain")  # here, as recv_words may be a handler's
        self.recv, self.recv_word, self._point_at = make_receiver(at, self)
        if several:
            self._next_lane = later("ringlane.oldest").make_next_lane(at, self)
        else:
            self._next_lane = make_next_lane(at)

    def recv_words(self, words):
        """Take messages of 4 bytes into `words`, an array of 'i' or 'I', until it is full.

        Return how many were taken, in the order recv would have: words[:n]. Stops early when no
        message is queued or the next is not a word; raises ValueError if already the first is not,
        TypeError if `words` is not a writable array of 4-byte items; then nothing is taken.
        timestamp() is that of the last.

        Context: one receiving context | alloc: none | time: O(n), and senders | blocks: never
        """
        return later("ringlane.drain").take_words(self._receiver, self, words)

    def skip(self):
        """Drop the next message, the one recv would return; it counts as received.

        True: dropped; False: no message is queued.

        Context: one receiving context | alloc: none | time: O(1), and senders | blocks: never
        """
        return skip_one(self._receiver, self)

    def clear(self):
        """Drop every message queued so far; return how many. They count as received.

        Context: one receiving context | alloc: none | time: O(lanes) | blocks: never
        """
        return take_all(self._receiver, self)

    def timestamp(self):
        """Return the clock at the send of the message last received, in ticks modulo the period.

        Context: one receiving context | alloc: none | time: O(1) | blocks: never
        """
        mask = load(self._receiver, _MASK)
        if not mask:
            self._next_lane()  # no clock has that: the receiver has closed, and this raises
        return load(self._receiver, _STAMP) & mask

    def arecv_word(self, timeout_ms=None):
        """As arecv, of a message of 4 bytes: result and errors as recv_word."""
        return later("ringlane.waiting").arecv_word(self, timeout_ms)

    def _check_words(self, words):
        return later("ringlane.drain").check_words(words)

    def _not_a_word(self, size):
        raise error(ValueError, "message of %d bytes is not a word of 4", size)
