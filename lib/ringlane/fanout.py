"""Fan-out: the engine of the channels with several receivers, multicast.py and anycast.py.

A place for each receiver that there may be, with a lane for each sender. What is to be received of
a message is written into the lane itself, so receivers share nothing with each other.

A receiver opens and closes its place while senders send: it tells them by one word of the lane,
_ROOM, how many messages it takes and which epoch, and a sender reads that word once a message. A
message that was on its way when its receiver closed thus carries that one's epoch, and the next
receiver of the place drops it unseen. What a sender counts is never reset; a receiver remembers
what the counts were when it opened.
"""

import micropython
from micropython import const

from .lanes import (
    Lanes,
    Receiver,
    Sender,
    Sending,
    _error,
    _forget_buffers,
    _load,
    _plus,
    _queued,
    _store,
    _total,
    check_name,
    whole,
)

# As in lanes.py, where they are explained; const folds within a file only.
_LANES = const(0)
_LANES_END = const(1)
_STAMP = const(5)
_PITCH = const(2)
_EPOCH = const(9)
_PEEKED = const(10)
_STRAYS = const(12)
_RX_BYTES = const(52)
_CLOCK = const(0)
_LIMIT = const(1)
_OWN_LANES = const(2)
_PLACE_STEP = const(3)
_OWN_PITCH = const(4)
_REGISTER = const(5)
_AT_SET = const(6)
_AT = const(7)
_TX_KNOWN = const(8)
_CLASSES = const(9)
_PLACES = const(10)
_POLICY = const(11)
_TURN = const(12)
_HEAD = const(0)
_TAIL = const(1)
_ROOM = const(2)
_CAPACITY = const(3)
_FIRST = const(4)
_REST = const(5)
_DROPPED = const(7)
_REJECTED = const(8)
_HIGH_WATER = const(9)
_RECEIVED = const(10)
_LANE_BYTES = const(44)
_STALE = const(1)
_META = const(0)
_TIME = const(1)

_IN_TURN = const(1)  # the policy that needs no choosing: the first with room from _TURN on


def make_sender(block, slow):
    """Return (send, send_word, send_at, send_word_at) of the sender whose words begin `block`.

    `slow` as in lanes.make_sender; its _choose() gives the place to look at first.
    """
    size_of = len

    @micropython.viper
    def send(data, priority: int) -> int:
        """Queue `data`, 0..slot_size bytes, for receivers; return how many will get it.

        Multicast: all that are open and lag by less than their max_lag. Anycast: one, by the
        policy, so 1; 0 and counted (dropped) if none has room. 0 and counted (rejected) if the
        message is larger than a slot or the channel closed. Errors as Channel.send; the class is
        a label.

        Context: any handler or task, one per sender | alloc: none | time: O(receivers, bytes) |
        blocks: never
        """
        part = ptr32(block)
        # The clock comes first: until head is loaded, whatever runs in between does no harm.
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(slow._ticks())
        known = data if 1 else 0  # as in lanes.py
        if (known - part[_TX_KNOWN]) & 0x3FFFFFFF:
            if slow._check_message(data):
                slow._kept[0] = data
                part[_TX_KNOWN] = known
        size = int(size_of(data))
        source = int(ptr8(data))
        if priority < 0 or priority >= part[_CLASSES]:
            slow._bad_class(priority)
        own = int(part) + part[_OWN_LANES]
        if size >= part[_LIMIT]:
            ptr32(own)[_REJECTED] += 1
            return 0
        places = part[_PLACES]
        policy = part[_POLICY]
        wanted = places
        at = 0
        if policy:
            wanted = 1
            at = part[_TURN]
            if policy != _IN_TURN:
                at = int(slow._choose())
        left = places
        took = 0
        while left:
            lane = ptr32(own + at * part[_PLACE_STEP])
            at += 1
            if at == places:
                at = 0
            room = lane[_ROOM]  # once: it may change to the next receiver's meanwhile
            head = lane[_HEAD]
            capacity = lane[_CAPACITY]
            used = head - lane[_TAIL]  # Bound: tail may move, so used can only be too large.
            if used < 0:
                used += capacity + capacity
            if used < (room & 0xFFFF):
                index = head
                if index >= capacity:
                    index -= capacity
                slot = ptr32(int(lane) + lane[_FIRST] + index * part[_OWN_PITCH])
                slot[_META] = size | priority << 16 | (room >> 16 & 0xFF) << 24
                slot[_TIME] = now
                begin = source
                end = source + size
                target = int(slot) + 8
                if not source & 3:  # an unaligned word access is a HardFault on the M0+
                    last = end - 16
                    while begin <= last:
                        words = ptr32(begin)
                        to = ptr32(target)
                        to[0] = words[0]
                        to[1] = words[1]
                        to[2] = words[2]
                        to[3] = words[3]
                        begin += 16
                        target += 16
                    last = end - 4
                    while begin <= last:
                        ptr32(target)[0] = ptr32(begin)[0]
                        begin += 4
                        target += 4
                while begin < end:
                    ptr8(target)[0] = ptr8(begin)[0]
                    begin += 1
                    target += 1
                head += 1
                if head == capacity + capacity:
                    head = 0
                used += 1
                if used > lane[_HIGH_WATER]:
                    lane[_HIGH_WATER] = used  # Order: before head, as in lanes.py.
                lane[_HEAD] = head  # Order: slot before head, as in lanes.py.
                took += 1
                if took == wanted:
                    break
            elif room & 0xFFFF and not policy:
                lane[_DROPPED] += 1
            left -= 1
        if policy:
            if took:
                part[_TURN] = at
            else:
                ptr32(own)[_DROPPED] += 1
        return took

    @micropython.viper
    def send_word(value: int, priority: int) -> int:
        """Queue the low 32 bits of `value` as a message of 4 bytes, little-endian on every board.

        Outcomes, errors and context as send.

        Context: any handler or task, one per sender | alloc: none | time: O(receivers) |
        blocks: never
        """
        part = ptr32(block)
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(slow._ticks())
        if priority < 0 or priority >= part[_CLASSES]:
            slow._bad_class(priority)
        own = int(part) + part[_OWN_LANES]
        if 4 >= part[_LIMIT]:
            ptr32(own)[_REJECTED] += 1
            return 0
        places = part[_PLACES]
        policy = part[_POLICY]
        wanted = places
        at = 0
        if policy:
            wanted = 1
            at = part[_TURN]
            if policy != _IN_TURN:
                at = int(slow._choose())
        left = places
        took = 0
        while left:
            lane = ptr32(own + at * part[_PLACE_STEP])
            at += 1
            if at == places:
                at = 0
            room = lane[_ROOM]  # once: it may change to the next receiver's meanwhile
            head = lane[_HEAD]
            capacity = lane[_CAPACITY]
            used = head - lane[_TAIL]  # Bound: tail may move, so used can only be too large.
            if used < 0:
                used += capacity + capacity
            if used < (room & 0xFFFF):
                index = head
                if index >= capacity:
                    index -= capacity
                slot = ptr32(int(lane) + lane[_FIRST] + index * part[_OWN_PITCH])
                slot[_META] = 4 | priority << 16 | (room >> 16 & 0xFF) << 24
                slot[_TIME] = now
                slot[2] = value
                head += 1
                if head == capacity + capacity:
                    head = 0
                used += 1
                if used > lane[_HIGH_WATER]:
                    lane[_HIGH_WATER] = used  # Order: before head, as in lanes.py.
                lane[_HEAD] = head  # Order: slot before head, as in lanes.py.
                took += 1
                if took == wanted:
                    break
            elif room & 0xFFFF and not policy:
                lane[_DROPPED] += 1
            left -= 1
        if policy:
            if took:
                part[_TURN] = at
            else:
                ptr32(own)[_DROPPED] += 1
        return took

    @micropython.viper
    def send_at(data, priority, ticks: int):
        """As send, stamped `ticks` of the channel's clock: when the event was, not this call.

        Context: any handler or task, one per sender | alloc: none | time: O(receivers, bytes) |
        blocks: never
        """
        int(priority)  # raises if it is none, before the stamp is set, and stays the object it is
        part = ptr32(block)
        part[_AT] = ticks
        part[_AT_SET] = 1
        part[_CLOCK] = 0
        return send(data, priority)

    @micropython.viper
    def send_word_at(value, priority, ticks: int):
        """As send_word, stamped `ticks` of the channel's clock.

        Context: any handler or task, one per sender | alloc: none | time: O(receivers) |
        blocks: never
        """
        int(value)  # as in send_at
        int(priority)
        part = ptr32(block)
        part[_AT] = ticks
        part[_AT_SET] = 1
        part[_CLOCK] = 0
        return send_word(value, priority)

    return send, send_word, send_at, send_word_at


# The words of every receiver that has closed: a message seems to wait in a lane of several
# senders, so that each verb asks _next_lane() for it, and that raises.
_nobody = bytearray(_RX_BYTES + _LANE_BYTES)
_store(_nobody, _LANES, _RX_BYTES)
_store(_nobody, _LANES_END, _RX_BYTES + _LANE_BYTES)
_store(_nobody, (_RX_BYTES >> 2) + _HEAD, 1)
_store(_nobody, (_RX_BYTES >> 2) + _REST, _LANE_BYTES)


@micropython.viper
def _claim(flags) -> int:
    # Set the first byte that is 0 and return its number; the number of bytes if there is none.
    size = int(len(flags))
    byte = ptr8(flags)
    at = 0
    while at < size and byte[at]:
        at += 1
    if at < size:
        byte[at] = 1
    return at


@micropython.viper
def _add_to(block, word: int, count: int):
    ptr32(block)[word] += count


@micropython.viper
def _empty(block, header: int) -> int:
    # Empty a lane; return how many it held. One that comes meanwhile stays, as a stray.
    lane = ptr32(int(ptr32(block)) + (header << 2))
    head = lane[_HEAD]
    count = head - lane[_TAIL]
    if count < 0:
        count += lane[_CAPACITY] + lane[_CAPACITY]
    lane[_TAIL] = head
    return count


class FanoutSender(Sender):
    """A sending context's end of a MulticastChannel or AnycastChannel; see Sender."""

    _make = staticmethod(make_sender)


class FanoutReceiver(Receiver):
    """What add_receiver() returns: a receiving context's end.

    The verbs of Receiver; attributes `id` (0 up to max_receivers less 1, free for the next once
    closed), `name`, `closed`. Every verb but close() raises ValueError once it is closed.
    """

    def __init__(self, channel, place, epoch, name, limit, core):
        self.id = place
        self.name = name
        self._closing = bytearray(1)  # 1 once it is
        self._channel = channel
        self._headers = [channel._header(number, place) for number in range(channel.senders)]
        # What the place's lanes had counted before; once it is closed what they counted for it.
        self._dropped_before = self._sum(_DROPPED)
        self._received_before = self._sum(_RECEIVED)
        self._counted = None
        block = channel._block
        start = place * _RX_BYTES
        _store(block, (start >> 2) + _EPOCH, epoch)
        _store(block, (start >> 2) + _STAMP, 0)  # as long as nothing is received
        _store(block, (start >> 2) + _PEEKED, 0)
        _forget_buffers(block, start >> 2)
        for header in self._headers:
            # It was for an earlier receiver.
            _add_to(block, (start >> 2) + _STRAYS, _empty(block, header))
            if epoch:
                _store(block, header + _REST, _load(block, header + _REST) | _STALE)
        self._attach(memoryview(block)[start:], channel.clock)
        if channel._with_stats:
            from .latency import measure

            measure(self)
        # Order: all else before room, which lets messages come.
        self._told = epoch << 16 | core << 24
        for header in self._headers:
            _store(block, header + _ROOM, limit | self._told)

    @property
    def closed(self):
        """Whether this receiver or its channel is closed."""
        return self._closing[0] == 1 or self._channel.closed

    @property
    def received(self):
        """Messages that this receiver has taken, also by skip and clear."""
        if self._counted is not None:
            return self._counted[1]
        return _plus(self._sum(_RECEIVED), -self._received_before)

    def close(self):
        """Take no more messages; return how many are left unread and so lost to this receiver.

        Closing twice is harmless and returns 0. Its `id` is free for another receiver.

        Context: a task of the receiving context | alloc: a few objects | blocks: never
        """
        if _claim(self._closing):
            return 0
        channel = self._channel
        block = channel._block
        unread = 0
        for header in self._headers:
            _store(block, header + _ROOM, self._told)  # room for none
        self._next_lane()  # what an earlier receiver was sent is not unread here
        for header in self._headers:
            unread += _empty(block, header)
        _add_to(block, (self.id * _RX_BYTES >> 2) + _STRAYS, unread)
        # The lanes go to the next receiver of the place, what they counted for this one stays.
        self._counted = (
            _plus(self._sum(_DROPPED), -self._dropped_before),
            _plus(self._sum(_RECEIVED), -self._received_before),
        )
        self._headers = ()
        self._was = self._title()
        self._next_lane = self._refuse
        self._point_at(_nobody)
        channel._ends[self.id] = None
        channel._taken[self.id] = 0
        return unread

    def __len__(self):
        """Messages queued for this receiver: exact or too small for itself, else a guess."""
        queued = 0
        for header in self._headers:
            queued += _queued(self._channel._block, header)
        return queued

    def __bool__(self):
        return True  # else __len__ would make an empty receiver false

    def __repr__(self):
        return "%s: %d queued, %d received%s" % (
            self._title(),
            len(self),
            self.received,
            ", closed" if self.closed else "",
        )

    def _title(self):
        name = "" if self.name is None else " %r" % self.name
        return "receiver %d%s of %s" % (self.id, name, self._channel._title())

    def _sum(self, field):
        channel = self._channel
        at = channel._header(0, self.id) + field
        return _total(channel._block, at, _LANE_BYTES >> 2, channel.senders)

    def _refuse(self):
        raise _error(ValueError, "%s is closed", self._was)


class Fanout(Sending):
    """What MulticastChannel and AnycastChannel have in common.

    Attributes beside those of Sending: `capacity`, `max_receivers`.
    """

    _sender = FanoutSender
    _receiver = FanoutReceiver

    def __init__(self, capacity, policy, slot_size, max_receivers, senders, name, clock, stats):
        capacities = self._capacities(capacity, max_receivers)
        self._receivers = max_receivers
        Lanes.__init__(self, capacities, slot_size, senders, name, clock)
        self.capacity = capacity
        self.max_receivers = max_receivers
        self._with_stats = stats
        self._ends = [None] * max_receivers
        self._taken = bytearray(max_receivers)  # 1: by a receiver that is open
        self._used = bytearray(max_receivers)  # 1: by some receiver before
        self._epochs = bytearray(max_receivers)
        for number in range(senders):
            word = self._sender_at(number) >> 2
            _store(self._block, word + _PLACES, max_receivers)
            _store(self._block, word + _POLICY, policy)
        for place in range(max_receivers):
            for number in range(senders):
                _store(self._block, self._header(number, place) + _ROOM, 0)
        self._begin()

    @classmethod
    def memory(cls, capacity, slot_size=32, max_receivers=4, senders=1):
        """Return the bytes that such a channel's block takes; raise as the constructor would."""
        capacities = cls._capacities(capacity, max_receivers)
        return cls._bytes(capacities, slot_size, senders, max_receivers)

    @staticmethod
    def _capacities(capacity, max_receivers):
        whole("max_receivers", max_receivers, 1, 255)
        return (whole("capacity", capacity, 1, 65535),) * max_receivers

    @property
    def sent(self):
        """Messages queued since the start, once for each receiver that got them."""
        return _plus(self._sent(), self.unread)

    @property
    def unread(self):
        """Messages that receivers left unread when they closed, or that came too late for them."""
        return _total(self._block, _STRAYS, _RX_BYTES >> 2, self.max_receivers)

    @property
    def receivers(self):
        """The open receivers, a list in the order of their ids. It allocates."""
        return [end for end in self._ends if end is not None]

    def _rows(self):
        # What only the channel counts, and a receiver does not, is in the first row.
        rows = [("-", self.capacity, self._counters())]
        for end in self.receivers:
            queued = len(end)
            dropped = getattr(end, "dropped", None)
            counters = queued, _plus(queued, end.received), end.received, dropped, None, None
            rows.append((end.name or str(end.id), self.capacity, counters))
        return rows

    def __repr__(self):
        unread = self.unread
        return Sending.__repr__(self) + (", %d left unread" % unread if unread else "")

    def _open(self, name, limit, core):
        check_name(name)
        if self.closed:
            raise ValueError("%s is closed" % self._title())
        place = _claim(self._taken)  # at once, as a soft handler may add one, too
        if place == self.max_receivers:
            raise ValueError(
                "%s has room for max_receivers=%d, all open" % (self._title(), self.max_receivers)
            )
        if self._used[place]:
            self._epochs[place] = self._epochs[place] % 255 + 1  # 0 is that of the first only
        self._used[place] = 1
        end = self._receiver(self, place, self._epochs[place], name, limit, core)
        self._ends[place] = end
        return end
