"""Fan-out: the engine of the channels with several receivers, multicast.py and anycast.py.

A row of lanes for each receiver that there may be, with a lane for each sender. What is to be
received of a message is written into the lane itself, so receivers share nothing with each other.

A receiver opens and closes its row while senders send: it tells them by one word of the lane,
_ROOM, how many messages it takes and which epoch, and a sender reads that word once a message. A
message that was on its way when its receiver closed thus carries that one's epoch, and the next
receiver of the row drops it unseen. What a sender counts is never reset; a receiver remembers
what the counts were when it opened.
"""

import micropython
from micropython import const

from .checks import check_int, check_name, error
from .ends import Receiver, SendingEnd
from .lanes import Lanes, store
from .port import address, later
from .words import load, plus

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
_RX_KNOWN = const(5)  # the receive buffer last checked, as a word. Owner: receiver
_RX_META = const(6)  # the META that stands in the result. Owner: receiver
_WORDS_KNOWN = const(7)  # the array last checked by recv_words, as a word. Owner: receiver
_EPOCH = const(8)  # messages of another one were for an earlier receiver of the row
_PEEKED = const(9)  # bytes from here to the lane that peek chose, 0: none. Owner: receiver
_STALE_DROPPED = const(11)  # messages of another epoch, dropped unseen. Owner: receiver
_RECEIVER_BYTES = const(52)
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_CLOCK = const(8)  # as RX_CLOCK, but 0 while AT_SET. Owner: sender
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_STRIDE = const(10)  # bytes of a slot
_REGISTER = const(11)  # as RX_CLOCK
_AT_SET = const(12)  # 1: the next message is stamped AT. Owner: sender
_AT = const(13)
_TX_KNOWN = const(14)  # the message object last checked, as a word. Owner: sender
_ROWS = const(15)  # fan-out: how many receivers there may be
_ROW_STEP = const(16)  # fan-out: bytes from a row's lane to the next row's
_POLICY = const(17)  # fan-out: 0: all receivers, else one, chosen by the policy
_TURN = const(18)  # anycast: the row to look at first. Owner: sender
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
# with so many queued send looks closer; 0 while claimed. Owner: producer. Fan-out: max_lag or 0 |
# epoch << 16 | core << 24. Owner: the receiver:
_ROOM = const(3)
_WRITE = const(5)  # bytes from here to the slot to write next. Owner: producer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_HIGH_WATER = const(10)  # the most messages queued at once. Owner: producer
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
_LANE_BYTES = const(56)
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
_STALE = const(1)  # in REST
_NOTHING = const(2)  # as a word, no object
_QUEUED = const(-1)  # to tally(): messages queued
# stamped.

_IN_TURN = const(1)  # the policy that needs no choosing: the first with room from _TURN on


def make_sender(at, cold):
    """Return (send, send_word) of the sender whose words are at the address `at`.

    `cold` as in verbs.make_sender; its _choose() gives the row to look at first.
    """
    size_of = len
    here = at >> 2

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
        #: step("part") :#
        part = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # stamped.
        #: step("stamp") :#
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(cold._ticks())
        # stamped.
        #: step("known message", known="part[_TX_KNOWN]", kept="0") :#
        known = data if 1 else 0  # the object as a word: see `Objects as words` in verbs.py
        if (known - part[_TX_KNOWN]) & 0x3FFFFFFF:
            if cold._check_message(data):
                cold._kept[0] = data
                part[_TX_KNOWN] = known
        # stamped.
        #: step("span") :#
        size = int(size_of(data))
        source = int(ptr8(data))
        # stamped.
        if priority < 0 or priority > 4:
            cold._no_lane(priority)
        own = int(part) + part[_CARDS]
        if size >= part[_LIMIT]:
            ptr32(own)[_REJECTED] = ptr32(own)[_REJECTED] + 1
            return 0
        rows = part[_ROWS]
        policy = part[_POLICY]
        wanted = rows
        row = 0
        if policy:
            wanted = 1
            row = part[_TURN]
            if policy != _IN_TURN:
                row = int(cold._choose())
        left = rows
        took = 0
        while left:
            lane = ptr32(own + row * part[_ROW_STEP])
            row += 1
            if row == rows:
                row = 0
            room = lane[_ROOM]  # once: it may change to the next receiver's meanwhile
            head = lane[_HEAD]
            # Bound: tail may move meanwhile, so what is queued can only be fewer.
            used = (head - lane[_TAIL]) & 0x3FFFFFFF
            if used < (room & 0xFFFF):
                if used >= lane[_HIGH_WATER]:
                    # Order: before head, so nobody sees more queued than this.
                    lane[_HIGH_WATER] = used + 1
                #: step("slot", meta="size | priority << 16 | (room >> 16 & 0xFF) << 24") :#
                slot = ptr32(int(lane) + lane[_WRITE])
                slot[_META] = size | priority << 16 | (room >> 16 & 0xFF) << 24
                slot[_TIME] = now
                # stamped.
                #: step("copy in", source="source", size="size") :#
                to = ptr32(int(slot) + 8)
                words = ptr32(source)
                count = size
                # stamped.
                #: step("copy", outer="words") :#
                if int(words) & 3:  # an unaligned word access is a HardFault on the M0+
                    while count:
                        count -= 1
                        ptr8(to)[count] = ptr8(words)[count]
                if count & 15:  # from the end, so that the blocks need no pointers behind them
                    rest = count & 15
                    count -= rest
                    while rest & 3:
                        rest -= 1
                        ptr8(to)[count + rest] = ptr8(words)[count + rest]
                    while rest:
                        rest -= 4
                        ptr32(int(to) + count)[rest >> 2] = ptr32(int(words) + count)[rest >> 2]
                if count >> 5:
                    blocks = count >> 6
                    while blocks:
                        to[0] = words[0]
                        to[1] = words[1]
                        to[2] = words[2]
                        to[3] = words[3]
                        to[4] = words[4]
                        to[5] = words[5]
                        to[6] = words[6]
                        to[7] = words[7]
                        to[8] = words[8]
                        to[9] = words[9]
                        to[10] = words[10]
                        to[11] = words[11]
                        to[12] = words[12]
                        to[13] = words[13]
                        to[14] = words[14]
                        to[15] = words[15]
                        to = ptr32(int(to) + 64)
                        words = ptr32(int(words) + 64)
                        blocks -= 1
                    if count & 32:
                        to[0] = words[0]
                        to[1] = words[1]
                        to[2] = words[2]
                        to[3] = words[3]
                        to[4] = words[4]
                        to[5] = words[5]
                        to[6] = words[6]
                        to[7] = words[7]
                        to = ptr32(int(to) + 32)
                        words = ptr32(int(words) + 32)
                if count & 16:
                    to[0] = words[0]
                    to[1] = words[1]
                    to[2] = words[2]
                    to[3] = words[3]
                # stamped.
                #: step("publish") :#
                write = lane[_WRITE] + part[_TX_STRIDE]
                if not write - lane[_END]:
                    write = lane[_FIRST]
                lane[_WRITE] = write
                # Order: slot before head, so the consumer sees no half-written message.
                lane[_HEAD] = head + 1
                # stamped.
                took += 1
                if took == wanted:
                    break
            elif room & 0xFFFF and not policy:
                lane[_DROPPED] = lane[_DROPPED] + 1
            left -= 1
        if policy:
            if took:
                part[_TURN] = row
            else:
                ptr32(own)[_DROPPED] = ptr32(own)[_DROPPED] + 1
        return took

    @micropython.viper
    def send_word(value: int, priority: int) -> int:
        """Queue the low 32 bits of `value` as a message of 4 bytes, little-endian on every board.

        Outcomes, errors and context as send.

        Context: any handler or task, one per sender | alloc: none | time: O(receivers) |
        blocks: never
        """
        #: step("part") :#
        part = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # stamped.
        #: step("stamp") :#
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(cold._ticks())
        # stamped.
        if priority < 0 or priority > 4:
            cold._no_lane(priority)
        own = int(part) + part[_CARDS]
        if 4 >= part[_LIMIT]:
            ptr32(own)[_REJECTED] = ptr32(own)[_REJECTED] + 1
            return 0
        rows = part[_ROWS]
        policy = part[_POLICY]
        wanted = rows
        row = 0
        if policy:
            wanted = 1
            row = part[_TURN]
            if policy != _IN_TURN:
                row = int(cold._choose())
        left = rows
        took = 0
        while left:
            lane = ptr32(own + row * part[_ROW_STEP])
            row += 1
            if row == rows:
                row = 0
            room = lane[_ROOM]  # once: it may change to the next receiver's meanwhile
            head = lane[_HEAD]
            # Bound: tail may move meanwhile, so what is queued can only be fewer.
            used = (head - lane[_TAIL]) & 0x3FFFFFFF
            if used < (room & 0xFFFF):
                if used >= lane[_HIGH_WATER]:
                    # Order: before head, so nobody sees more queued than this.
                    lane[_HIGH_WATER] = used + 1
                #: step("slot", meta="4 | priority << 16 | (room >> 16 & 0xFF) << 24") :#
                slot = ptr32(int(lane) + lane[_WRITE])
                slot[_META] = 4 | priority << 16 | (room >> 16 & 0xFF) << 24
                slot[_TIME] = now
                # stamped.
                slot[2] = value
                #: step("publish") :#
                write = lane[_WRITE] + part[_TX_STRIDE]
                if not write - lane[_END]:
                    write = lane[_FIRST]
                lane[_WRITE] = write
                # Order: slot before head, so the consumer sees no half-written message.
                lane[_HEAD] = head + 1
                # stamped.
                took += 1
                if took == wanted:
                    break
            elif room & 0xFFFF and not policy:
                lane[_DROPPED] = lane[_DROPPED] + 1
            left -= 1
        if policy:
            if took:
                part[_TURN] = row
            else:
                ptr32(own)[_DROPPED] = ptr32(own)[_DROPPED] + 1
        return took

    return send, send_word


# The words of every receiver that has closed: a message seems to wait in a lane of several
# senders, so that each verb asks _next_lane() for it, and that raises.
_block_of_nobody = bytearray(_RECEIVER_BYTES + _LANE_BYTES)
_nobody = address(_block_of_nobody)
store(_nobody, _LANES, _RECEIVER_BYTES)
store(_nobody, (_RECEIVER_BYTES >> 2) + _HEAD, 1)
store(_nobody, (_RECEIVER_BYTES >> 2) + _REST, _STALE)


@micropython.viper
def _claim(flags) -> int:
    # Set the first byte that is 0 and return its number; the number of bytes if there is none.
    size = int(len(flags))
    byte = ptr8(flags)
    row = 0
    while row < size and byte[row]:
        row += 1
    if row < size:
        byte[row] = 1
    return row


@micropython.viper
def _empty(cold) -> int:
    # Empty the lanes of a receiver: what is there, it will not read. Return how
    # many messages that were. One that comes meanwhile stays, and is dropped unseen later.
    count = int(cold._drop(True))
    part = ptr32(int(cold._receiver))
    part[_STALE_DROPPED] = part[_STALE_DROPPED] + count
    return count


def _forget_buffers(base, word):
    # Let the receiver whose words begin there check the next buffer and write its result.
    store(base, word + _RX_META, -1)
    store(base, word + _RX_KNOWN, _NOTHING)
    store(base, word + _WORDS_KNOWN, _NOTHING)


class FanoutReceiver(Receiver):
    """What add_receiver() returns: a receiving context's end.

    The verbs of Receiver; attributes `id` (0 up to max_receivers less 1, free for the next once
    closed), `name`, `closed`. Every verb but close() raises ValueError once it is closed.
    """

    def __init__(self, channel, row, epoch, name, limit, core):
        self.id = row
        self.name = name
        self._closing = bytearray(1)  # 1 once it is
        self._channel = channel
        self._kept = [b"", None, None]
        self._ticks = channel._ticks
        self._headers = [channel._header(number, row) for number in range(channel.senders)]
        self._was = None  # its title, once it is closed
        self._counted = None  # once it is closed: what its lanes had counted for it
        base = channel._base
        at = row * _RECEIVER_BYTES
        word = at >> 2
        self._point_at = self._attach_receiver(base + at, True)
        store(base, word + _EPOCH, epoch)
        store(base, word + _STAMP, 0)  # as long as nothing is received
        store(base, word + _PEEKED, 0)
        _forget_buffers(base, word)
        _empty(self)  # it was for an earlier receiver
        if epoch:
            for header in self._headers:
                store(base, header + _REST, load(base, header + _REST) | _STALE)
        # What the row had counted before.
        self._dropped_before = channel._tally(_DROPPED, row)
        self._received_before = self._taken()
        if channel._tap is not None:
            later("ringlane.tap").tap_receiver(self, channel._tap, channel, row)
        if channel._with_stats:
            later("ringlane.measure").measure(self)
        # Order: all else before room, which lets messages come.
        self._told = epoch << 16 | core << 24
        for header in self._headers:
            store(base, header + _ROOM, limit | self._told)

    @property
    def closed(self):
        """Whether this receiver or its channel is closed."""
        return self._closing[0] == 1 or self._channel.closed

    @property
    def received(self):
        """Messages that this receiver has taken, also by skip and clear."""
        if self._counted is not None:
            return self._counted[1]
        return plus(self._taken(), -self._received_before)

    def close(self):
        """Take no more messages; return how many are left unread and so lost to this receiver.

        Closing twice is harmless and returns 0. Its `id` is free for another receiver.

        Context: a task of the receiving context | alloc: a few objects | blocks: never
        """
        if _claim(self._closing):
            return 0
        channel = self._channel
        for header in self._headers:
            store(channel._base, header + _ROOM, self._told)  # room for none
        unread = _empty(self)
        # The lanes go to the next receiver of the row, what they counted for this one stays.
        self._counted = self._missed(), self.received
        self._headers = ()
        self._was = self._title()
        self._next_lane = self._refuse
        self._receiver = _nobody
        self._point_at(_nobody)
        _forget_buffers(channel._base, self.id * _RECEIVER_BYTES >> 2)
        self._kept[1] = self._kept[2] = None
        channel._ends[self.id] = None
        channel._taken[self.id] = 0
        return unread

    def __len__(self):
        """Messages queued for this receiver: exact or too small for itself, else a guess."""
        return self._channel._tally(_QUEUED, self.id) if self._headers else 0

    def __bool__(self):
        return True  # else __len__ would make an empty receiver false

    def __repr__(self):
        return "%s: %d queued, %d received%s" % (
            self._title(),
            len(self),
            self.received,
            ", closed" if self.closed else "",
        )

    def __getattr__(self, name):
        return later("ringlane.cold").fetch(self, name)

    def _title(self):
        name = "" if self.name is None else " %r" % self.name
        return "receiver %d%s of %s" % (self.id, name, self._channel._title())

    def _taken(self):
        # What was taken from the row since the start, by any of its receivers. Without what was
        # dropped unseen; that first, so that what is dropped meanwhile makes it no smaller.
        channel = self._channel
        stale = load(channel._base, (self.id * _RECEIVER_BYTES >> 2) + _STALE_DROPPED)
        return plus(channel._tally(_TAIL, self.id), -stale)

    def _missed(self):
        # What was dropped for want of room, for this receiver.
        return plus(self._channel._tally(_DROPPED, self.id), -self._dropped_before)

    def _refuse(self):
        raise error(ValueError, "%s is closed", self._was)


class Fanout(SendingEnd, Lanes):
    """What MulticastChannel and AnycastChannel have in common.

    Attributes beside those of Lanes: `capacity`, `max_receivers`; `send`, `send_word`.
    """

    _objects = 168
    _make = staticmethod(make_sender)
    _receiver_kind = FanoutReceiver

    def __init__(
        self, capacity, policy, slot_size, max_receivers, senders, name, clock, stats, tap
    ):
        capacities = self._check_capacity(capacity, max_receivers)
        self._receivers = self._rows = max_receivers
        Lanes.__init__(self, capacities, slot_size, senders, name, clock)
        self.capacity = capacity
        self.max_receivers = max_receivers
        self._kept = [b"", None, None]
        self._with_stats = stats
        if tap is not None:
            later("ringlane.tap").check_tap(tap)
            self._tap = tap
        self._ends = [None] * max_receivers
        self._taken = bytearray(max_receivers)  # 1: by a receiver that is open
        self._used = bytearray(max_receivers)  # 1: by some receiver before
        self._epochs = bytearray(max_receivers)
        for number in range(senders):
            word = self._sender_at(number) >> 2
            store(self._base, word + _ROWS, max_receivers)
            store(self._base, word + _POLICY, policy)
        self._senders = [self]  # a channel is its first sender itself
        self._attach_sender(self, 0)

    @classmethod
    def memory(cls, capacity, slot_size=32, max_receivers=4, senders=1):
        """Return the bytes that such a channel takes; raise as the constructor would.

        Without options. A receiver, when it opens, takes some 610 B more on a 32-bit board, a
        further sender 290; twice as much where words are of 64.
        """
        capacities = cls._check_capacity(capacity, max_receivers)
        return cls._whole(cls._bytes(capacities, slot_size, senders, max_receivers))

    @staticmethod
    def _check_capacity(capacity, max_receivers):
        check_int("max_receivers", max_receivers, 1, 255)
        return (check_int("capacity", capacity, 1, 65535),) * max_receivers

    @property
    def received(self):
        """Messages that receivers have taken, also by skip and clear."""
        unread = self.unread  # first, so that what is dropped meanwhile makes it no smaller
        return plus(self._tally(_TAIL), -unread)

    @property
    def unread(self):
        """Messages that receivers left unread when they closed, or that came too late for them."""
        found = 0
        for row in range(self.max_receivers):
            word = (row * _RECEIVER_BYTES >> 2) + _STALE_DROPPED
            found = plus(found, load(self._base, word))
        return found

    @property
    def receivers(self):
        """The open receivers, a list in the order of their ids. It allocates."""
        return [end for end in self._ends if end is not None]

    def __repr__(self):
        unread = self.unread
        return Lanes.__repr__(self) + (", %d left unread" % unread if unread else "")

    def _room_of(self, number, row):
        # For how many messages more the row's receiver has room, to that sender; 0: none is open.
        limit = load(self._base, self._header(number, row) + _ROOM) & 0xFFFF
        return max(0, limit - self._of_lane(number, row, _QUEUED))

    def _open(self, name, limit, core):
        check_name(name)
        if self.closed:
            raise ValueError("%s is closed" % self._title())
        row = _claim(self._taken)  # at once, as a soft handler may add one, too
        if row == self.max_receivers:
            raise ValueError(
                "%s has room for max_receivers=%d, all open" % (self._title(), self.max_receivers)
            )
        try:
            if self._tap is not None:
                self._tap._ring(self, None, row)  # before all else, as it may have no room
            if self._used[row]:
                self._epochs[row] = self._epochs[row] % 255 + 1  # 0 is that of the first only
            self._used[row] = 1
            end = self._receiver_kind(self, row, self._epochs[row], name, limit, core)
        except Exception:  # no memory, also for a tuple of kinds; or a FlightRecorder without room
            self._taken[row] = 0
            raise
        self._ends[row] = end
        return end
