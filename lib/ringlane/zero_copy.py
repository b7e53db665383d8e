"""Zero-copy: write a message where it will be read, and read it where it was written.

For a channel made with zero_copy=True, whose slots have a memoryview each, made once.

    from ringlane import BULK, Channel

    ch = Channel(4, slot_size=512, zero_copy=True)

    def on_block(dma):  # a handler; the DMA writes into `view` while nothing else runs
        global view
        if view is not None:
            ch.commit(BULK, 512)
        view = ch.claim(BULK)  # None: no slot is free, and counted

    while True:
        if m := ch.peek():
            size, priority, latency = m
            handle(ch.view, size)
            ch.release()

A claim may stay open for as long as it takes, over any number of handler calls; one at a time on a
lane, and until commit or abort a send on that lane is rejected. Who may call what: claim, commit
and abort belong to the sender's context, peek and release to the receiver's.

Cost of claim, commit, peek, reading `view` and release: 8,500 cycles, as much as to send and recv
some 900 bytes (emulated RP2040, MicroPython 1.28). It is for what writes into the slot itself.
"""

import micropython
from micropython import const

from .checks import error

#: words(cog.inFile) :#
_STRIDE = const(1)  # bytes of a slot
_RX_CLOCK = const(2)  # address of the clock's register, 0: call the clock's ticks()
_MASK = const(3)  # the clock's period - 1
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
_FENCED = const(8)  # 1: cores reorder, so a verb fences; see `Fences` in lanes.py
_PEEKED = const(10)  # bytes from here to the lane that peek chose, 0: none. Owner: receiver
_PEEK_TAIL = const(11)  # that lane's tail then
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_CLOCK = const(8)  # as RX_CLOCK, but 0 while AT_SET. Owner: sender
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_STRIDE = const(10)  # bytes of a slot
_REGISTER = const(11)  # as RX_CLOCK
_AT_SET = const(12)  # 1: the next message is stamped AT. Owner: sender
_AT = const(13)
_TX_FENCED = const(15)  # as FENCED
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
# with so many queued send looks closer; 0 while claimed. Owner: producer. Fan-out: max_lag or 0 |
# epoch << 16 | core << 24. Owner: the receiver:
_ROOM = const(3)
_CAPACITY = const(4)  # slots; 0: the class is not used
_WRITE = const(5)  # bytes from here to the slot to write next. Owner: producer
_READ = const(6)  # bytes from here to the slot to read next. Owner: consumer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_NUMBER = const(9)  # the number of the first slot in the block
_HIGH_WATER = const(10)  # the most messages queued at once. Owner: producer
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
_CLAIMED = const(13)  # 1: a claim is open. Owner: producer
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
_SLOT_BYTES = const(8)
# stamped.

_NO_CLAIM = "%s: no claim is open on class %s"


def make_views(channel):
    """Return a memoryview of each slot's payload, by the slot's number in the block."""
    block = memoryview(channel._block)
    stride = _SLOT_BYTES + (channel.slot_size + 3 & ~3)
    start = channel._slots_at() + _SLOT_BYTES
    count = channel._tally(_CAPACITY)
    starts = range(start, start + count * stride, stride)
    return [block[at : at + channel.slot_size] for at in starts]


def add_claims(end, views):
    """Hang claim, commit and abort on `end`, a SendingEnd."""
    end.claim, end.commit, end.abort = _make_claims(end._sender, end, views)


def _make_claims(at, cold, views):
    @micropython.viper
    def claim(priority: int):
        """Return a memoryview of the next slot of class `priority`, slot_size bytes to write to.

        None, and counted: the lane is full (dropped), a claim is open there or the channel is
        closed (rejected). Raises ValueError if the class is not 0..4 or has no capacity.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(int(at))
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        if priority & -8 or not lane[_CAPACITY]:
            cold._no_lane(priority)
        if not part[_LIMIT] or lane[_CLAIMED]:
            lane[_REJECTED] = lane[_REJECTED] + 1
            return None
        # Bound: tail may move meanwhile, so what is queued can only be fewer.
        if ((lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF) >= lane[_CAPACITY]:
            lane[_DROPPED] = lane[_DROPPED] + 1
            return None
        lane[_CLAIMED] = 1
        lane[_ROOM] = 0
        return views[lane[_NUMBER] + (lane[_WRITE] - lane[_FIRST]) // part[_TX_STRIDE]]

    @micropython.viper
    def commit(priority: int, size: int) -> bool:
        """Queue the first `size` bytes of the claimed slot of class `priority`, stamped now.

        True: queued. False, counted as rejected: the channel was closed meanwhile; the claim has
        ended all the same. Raises ValueError if no claim is open on the class or `size` is not
        0..slot_size; the claim then stays open.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(int(at))
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
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        if priority & -8 or not lane[_CAPACITY]:
            cold._no_lane(priority)
        if not lane[_CLAIMED]:
            cold._no_lane(priority, _NO_CLAIM)
        limit = part[_LIMIT]  # once: the channel may be closed meanwhile
        if limit and (size < 0 or size >= limit):
            _bad_size(size, limit - 1)
        lane[_CLAIMED] = 0
        head = lane[_HEAD]
        used = (head + 1 - lane[_TAIL]) & 0x3FFFFFFF
        if limit and used > lane[_HIGH_WATER]:
            lane[_HIGH_WATER] = used  # Order: before head, so nobody sees more queued than this.
        lane[_ROOM] = lane[_HIGH_WATER]
        if not limit:
            lane[_REJECTED] = lane[_REJECTED] + 1
            return False
        #: step("slot", meta="size | priority << 16") :#
        slot = ptr32(int(lane) + lane[_WRITE])
        slot[_META] = size | priority << 16
        slot[_TIME] = now
        # stamped.
        #: step("publish") :#
        write = lane[_WRITE] + part[_TX_STRIDE]
        if not write - lane[_END]:
            write = lane[_FIRST]
        lane[_WRITE] = write
        if part[_TX_FENCED]:
            cold._fence()
        # Order: slot before head, so the consumer sees no half-written message.
        lane[_HEAD] = head + 1
        # stamped.
        return True

    @micropython.viper
    def abort(priority: int):
        """Give the claimed slot of class `priority` back; nothing is queued.

        Raises ValueError if no claim is open on the class.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(int(at))
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        if priority & -8 or not lane[_CAPACITY]:
            cold._no_lane(priority)
        if not lane[_CLAIMED]:
            cold._no_lane(priority, _NO_CLAIM)
        lane[_CLAIMED] = 0
        lane[_ROOM] = lane[_HIGH_WATER]

    return claim, commit, abort


def add_peeks(channel, views):
    """Hang peek and release on `channel`, a Receiver, and what its `view` reads."""
    channel._seen = [None]
    channel.peek, channel.release = _make_peeks(channel._receiver, channel, views)


def _make_peeks(at, cold, views):
    result = [0, 0, 0]

    @micropython.viper
    def peek():
        """Return [size, priority, latency] of the next message, which lies in `view`, or None.

        The message stays where it is, and so does `view`, until release() or until it is taken
        otherwise. A second peek before that gives the same message. The list is peek's own,
        reused by the next peek.

        Context: one receiving context | alloc: none | time: O(1), and senders | blocks: never
        """
        part = ptr32(int(at))
        first = part[_PEEKED]
        if first:
            if ptr32(int(part) + first)[_TAIL] != part[_PEEK_TAIL]:
                first = 0  # it has been taken since
        if not first:
            first = int(cold._next_lane())
            part[_PEEKED] = first
            if not first:
                return None
        lane = ptr32(int(part) + first)
        part[_PEEK_TAIL] = lane[_TAIL]
        if part[_FENCED]:
            cold._fence()  # head before slot, as in recv
        slot = ptr32(int(lane) + lane[_READ])
        #: step("age") :#
        stamp = slot[_TIME]
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(cold._ticks())
        # stamped.
        part[_STAMP] = stamp
        result[0] = slot[_META] & 0xFFFF
        result[1] = slot[_META] >> 16 & 0xFF
        result[2] = (now - stamp) & part[_MASK]
        number = lane[_NUMBER] + (lane[_READ] - lane[_FIRST]) // part[_STRIDE]
        cold._seen[0] = views[number]
        return result

    @micropython.viper
    def release() -> bool:
        """Drop the message that peek returned, whatever was queued since; it counts as received.

        False: there is none, or it has been taken otherwise.

        Context: one receiving context | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(int(at))
        first = part[_PEEKED]
        if not first:
            return False
        part[_PEEKED] = 0
        lane = ptr32(int(part) + first)
        if lane[_TAIL] != part[_PEEK_TAIL]:
            return False
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
        return True

    return peek, release


def _bad_size(size, slot_size):
    raise error(ValueError, "size must be 0 to %d, not %d", slot_size, size)
