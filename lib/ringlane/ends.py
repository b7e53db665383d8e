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
    _fence()          where there are fences: see lanes.py
    _no_lane(priority, text), _small_buffer(size, room), _not_a_word(size)
                      raise the error

Every attribute is set by the constructor: one that is added later lets the dictionary grow, while
a handler or another core looks these up in it.
"""

import micropython
from micropython import const

from .checks import check_buffer, check_message, check_words, error
from .lanes import make_next_lane, send_stamped
from .port import fence, later
from .probe import engine

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_STRIDE = const(1)  # bytes of a slot
_MASK = const(3)  # the clock's period - 1
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
_WORDS_KNOWN = const(7)  # the array last checked by recv_words, as a word. Owner: receiver
_FENCED = const(8)  # 1: cores reorder, so a verb fences; see `Fences` in lanes.py
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
# with so many queued send looks closer; 0 while claimed. Owner: producer. Fan-out: max_lag or 0 |
# epoch << 16 | core << 24. Owner: the receiver:
_ROOM = const(3)
_CAPACITY = const(4)  # slots; 0: the class is not used
_READ = const(6)  # bytes from here to the slot to read next. Owner: consumer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_HIGH_WATER = const(10)  # the most messages queued at once. Owner: producer
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
_CLAIMED = const(13)  # 1: a claim is open. Owner: producer
_LANE_BYTES = const(56)
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
_LAST = const(2)  # in REST
# stamped.


_verbs = later(
    "ringlane.verbs"
    if engine != "direct"
    else "ringlane.verbs_fenced"
    if fence
    else "ringlane.verbs_direct"
)
make_receiver = _verbs.make_receiver
make_sender = _verbs.make_sender


class SendingEnd:
    """What a Sender and a channel have: one sending context's verbs, the channel's first one's.

    Attributes: `send`, `send_word` (viper, positional arguments only).
    """

    _make = staticmethod(make_sender)  # of a channel: what makes its senders' verbs

    def _attach_sender(self, channel, number):
        self._channel = channel
        self._number = number
        self._attempt = None
        self._triggers = None
        self._sender = at = channel._base + channel._sender_at(number)
        if fence:
            self._fence = fence
        self.send, self.send_word = channel._make(at, self)
        if channel._tap is not None:
            later("ringlane.tap").tap_sender(self, channel._tap)
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

    def free(self, priority=None):
        """Return how many messages of class `priority` this sender can queue now.

        None: of any class in use, so 0 if one of them is full. 0 once the channel is closed. Exact
        or too small for the sender itself, as the receiver may take one meanwhile; a guess for
        any other context.

        Context: any handler or task | alloc: none | time: O(1) | blocks: never
        """
        return self._channel._free(self, priority)

    def is_full(self, priority=None):
        """Return whether this sender has no room for class `priority`; None: for some class."""
        return not self._channel._free(self, priority)

    def asend(self, data, priority, timeout_ms=None):
        """Wait for room and send `data`: to be awaited, by a task of this sender's context.

        Returns what send does. When `timeout_ms` have passed it sends once more, so that a message
        for which there is still no room is counted as dropped. A message larger than a slot, or
        for a closed channel, is rejected at once; a multicast that has no receiver takes it at
        once and returns 0. Errors as send, at once. Cancelled, it has queued and counted nothing.

        Context: a task | alloc: a coroutine, a waiter | blocks: its task only
        """
        return later("ringlane.waiting").asend(self, data, priority, timeout_ms)

    @micropython.viper
    def _admit(self, priority: int, size: int) -> bool:
        # The closer look of a send that found no room: raise, or count why, or make room.
        part = ptr32(int(self._sender))
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        if priority & -8 or not lane[_CAPACITY]:
            self._no_lane(priority)
        if size >= part[_LIMIT] or lane[_CLAIMED]:
            lane[_REJECTED] = lane[_REJECTED] + 1
            return False
        used = (lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF
        if used >= lane[_CAPACITY]:
            lane[_DROPPED] = lane[_DROPPED] + 1
            return False
        if used >= lane[_HIGH_WATER]:
            # Order: before head, so nobody sees more queued than this.
            lane[_HIGH_WATER] = used + 1
            lane[_ROOM] = used + 1
        return True

    def _check_message(self, data):
        # Not kept: what is rejected, and what is empty, as an array may grow and tell its items.
        channel = self._channel
        check_message(data)
        return 0 < len(data) <= channel.slot_size and not channel.closed

    def _no_lane(self, priority, text="%s: class %s has capacity 0"):
        # `text`: of a class that there is. Nothing here takes memory until error() does.
        if 0 <= priority < 5:
            priority = ("REALTIME", "HIGH", "NORMAL", "LOW", "BULK")[priority]
        else:
            text = "%s: class must be 0 to 4, not %s"
        channel = self._channel
        raise error(ValueError, text, channel.name or type(channel).__name__, priority)


class ReceivingEnd:
    """What a Receiver and a RequestReplyChannel have: to wait.

    Attributes: `recv` (viper, positional arguments only); `stats`, `stats_into` and `reset_stats`
    of LatencyHistogram, if it measures.
    """

    _stats = None
    _closing = b"\0"  # of a fan-out receiver: 1 once it has closed
    _check_buffer = staticmethod(check_buffer)

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

    def _small_buffer(self, size, room):
        raise error(ValueError, "message of %d bytes, receive buffer of %d", size, room)


class Receiver(ReceivingEnd):
    """One receiving context's end of a channel; a Channel or PriorityChannel is one itself.

    Attributes: `recv`, `recv_word` (viper, positional arguments only).
    """

    def _attach_receiver(self, at, several):
        # Its words are at that address; `several` senders may compete, or receivers have been.
        # Returns what lets its verbs read others.
        self._receiver = at
        if fence:
            self._fence = fence
        self._waiter = None
        self._served = 0  # when select() last chose it
        self.recv, self.recv_word, point_at = make_receiver(at, self)
        if several:
            self._next_lane = later("ringlane.oldest").make_next_lane(at, self)
        else:
            self._next_lane = make_next_lane(at)
        return point_at

    @micropython.viper
    def recv_words(self, words) -> int:
        """Take messages of 4 bytes into `words`, an array of 'i' or 'I', until it is full.

        Return how many were taken, in the order recv would have: words[:n]. Stops early when no
        message is queued or the next is not a word; raises ValueError if already the first is not,
        TypeError if `words` is not a writable array of 4-byte items; then nothing is taken.
        timestamp() is that of the last.

        Context: one receiving context | alloc: none | time: O(n), and senders | blocks: never
        """
        cold = self
        part = ptr32(int(cold._receiver))
        known = words if 1 else 0
        if (known - part[_WORDS_KNOWN]) & 0x3FFFFFFF:
            if self._check_words(words):
                self._kept[2] = words
                part[_WORDS_KNOWN] = known
        room = int(len(words))
        target = ptr32(words)
        taken = 0
        while taken < room:
            first = int(self._next_lane())
            if not first:
                break
            lane = ptr32(int(part) + first)
            if part[_FENCED]:
                self._fence()  # head before slot, as in recv
            slot = ptr32(int(lane) + lane[_READ])
            size = slot[_META] & 0xFFFF
            if size != 4:
                if not taken:
                    self._not_a_word(size)
                break
            target[0] = slot[2]
            target = ptr32(int(target) + 4)
            taken += 1
            part[_STAMP] = slot[_TIME]
            #: step("give back") :#
            read = lane[_READ] + part[_STRIDE]
            if not read - lane[_END]:
                read = lane[_FIRST]
            lane[_READ] = read
            if part[_FENCED]:
                cold._fence()
            # Order: slot read before tail, so the producer cannot reuse it early.
            lane[_TAIL] = lane[_TAIL] + 1
            # stamped.
        return taken

    def skip(self):
        """Drop the next message, the one recv would return; it counts as received.

        True: dropped; False: no message is queued.

        Context: one receiving context | alloc: none | time: O(1), and senders | blocks: never
        """
        return self._drop(False) != 0

    def clear(self):
        """Drop every message queued so far; return how many. They count as received.

        Context: one receiving context | alloc: none | time: O(lanes) | blocks: never
        """
        return self._drop(True)

    @micropython.viper
    def _drop(self, every: bool) -> int:
        first = int(self._next_lane())  # which drops first what was for an earlier receiver
        if not first:
            return 0
        part = ptr32(int(self._receiver))
        lane = ptr32(int(part) + first)
        used = 1
        count = 0
        if every:
            lane = ptr32(int(part) + part[_LANES])
        while lane[_REST] != _LAST:
            tail = lane[_TAIL]
            if every:
                used = (lane[_HEAD] - tail) & 0x3FFFFFFF
            read = lane[_READ] + used * part[_STRIDE]
            if read >= lane[_END]:
                read -= lane[_END] - lane[_FIRST]
            lane[_READ] = read
            if part[_FENCED]:
                self._fence()
            # Order: what peek showed before tail, so the producer cannot reuse it early.
            lane[_TAIL] = tail + used
            count += used
            if not every:
                break
            lane = ptr32(int(lane) + _LANE_BYTES)
        return count

    @micropython.viper
    def timestamp(self) -> int:
        """Return the clock at the send of the message last received, in ticks modulo the period.

        Context: one receiving context | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(int(self._receiver))
        mask = part[_MASK]
        if not mask:
            self._next_lane()  # no clock has that: the receiver has closed, and this raises
        return part[_STAMP] & mask

    def arecv_word(self, timeout_ms=None):
        """As arecv, of a message of 4 bytes: result and errors as recv_word."""
        return later("ringlane.waiting").arecv_word(self, timeout_ms)

    _check_words = staticmethod(check_words)

    def _not_a_word(self, size):
        raise error(ValueError, "message of %d bytes is not a word of 4", size)
