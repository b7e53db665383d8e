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

Cost of claim, commit, peek, reading `view` and release: 9,400 cycles, as much as to send and recv
some 500 bytes (emulated RP2040, MicroPython 1.28). It is for what writes into the slot itself.
"""

import micropython
from micropython import const

from .lanes import _error

# As in lanes.py, where they are explained; const folds within a file only.
_PITCH = const(2)
_RX_CLOCK = const(3)
_MASK = const(4)
_STAMP = const(5)
_PEEKED = const(10)
_PEEK_COUNT = const(11)
_CLOCK = const(0)
_LIMIT = const(1)
_OWN_LANES = const(2)
_PLACE_STEP = const(3)
_OWN_PITCH = const(4)
_CLASSES = const(9)
_HEAD = const(0)
_TAIL = const(1)
_ROOM = const(2)
_CAPACITY = const(3)
_FIRST = const(4)
_NUMBER = const(6)
_DROPPED = const(7)
_REJECTED = const(8)
_HIGH_WATER = const(9)
_RECEIVED = const(10)
_META = const(0)
_TIME = const(1)
_SLOT_BYTES = const(8)


def make_views(channel):
    """Return a memoryview of each slot's payload, by the slot's number in the block."""
    block = memoryview(channel._block)
    pitch = _SLOT_BYTES + (channel.slot_size + 3 & ~3)
    start = channel._header(0, len(channel._places)) * 4 + _SLOT_BYTES
    count = sum(channel._places) * channel.senders
    starts = range(start, start + count * pitch, pitch)
    return [block[at : at + channel.slot_size] for at in starts]


def make_claims(block, slow, views):
    """Return (claim, commit, abort) of the sender whose words begin `block`."""

    @micropython.viper
    def claim(priority: int):
        """Return a memoryview of the next slot of class `priority`, slot_size bytes to write to.

        None, and counted: the lane is full (dropped), a claim is open there or the channel is
        closed (rejected). Raises ValueError if the class is not 0..4 or has no capacity.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(block)
        if priority < 0 or priority >= part[_CLASSES]:
            slow._bad_class(priority)
        lane = ptr32(int(part) + part[_OWN_LANES] + priority * part[_PLACE_STEP])
        if not lane[_CAPACITY]:
            slow._unused_class(priority)
        if not part[_LIMIT] or not lane[_ROOM]:
            lane[_REJECTED] += 1
            return None
        index = lane[_HEAD]
        used = (
            index - lane[_TAIL]
        )  # Bound: tail may move meanwhile, so used can only be too large.
        if used < 0:
            used += lane[_CAPACITY] + lane[_CAPACITY]
        if used >= lane[_ROOM]:
            lane[_DROPPED] += 1
            return None
        if index >= lane[_CAPACITY]:
            index -= lane[_CAPACITY]
        lane[_ROOM] = 0
        return views[lane[_NUMBER] + index]

    @micropython.viper
    def commit(priority: int, size: int) -> bool:
        """Queue the first `size` bytes of the claimed slot of class `priority`, stamped now.

        True: queued. False, counted as rejected: the channel was closed meanwhile; the claim has
        ended all the same. Raises ValueError if no claim is open on the class or `size` is not
        0..slot_size; then the claim, if there is one, stays open.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(block)
        if priority < 0 or priority >= part[_CLASSES]:
            slow._bad_class(priority)
        lane = ptr32(int(part) + part[_OWN_LANES] + priority * part[_PLACE_STEP])
        capacity = lane[_CAPACITY]
        if lane[_ROOM] or not capacity:
            _no_claim(priority)
        limit = part[_LIMIT]  # once: the channel may be closed meanwhile
        if not limit:
            lane[_ROOM] = capacity
            lane[_REJECTED] += 1
            return False
        if size < 0 or size >= limit:
            _bad_size(size, limit - 1)
        head = lane[_HEAD]
        index = head
        if index >= capacity:
            index -= capacity
        slot = ptr32(int(lane) + lane[_FIRST] + index * part[_OWN_PITCH])
        slot[_META] = size | priority << 16
        if part[_CLOCK]:
            slot[_TIME] = ptr32(part[_CLOCK])[0]
        else:
            slot[_TIME] = int(slow._ticks())
        used = head + 1 - lane[_TAIL]
        if used < 0:
            used += capacity + capacity
        head += 1
        if head == capacity + capacity:
            head = 0
        if used > lane[_HIGH_WATER]:
            lane[_HIGH_WATER] = used  # Order: before head, as in send.
        lane[_HEAD] = head  # Order: slot before head, as in send.
        lane[_ROOM] = capacity
        return True

    @micropython.viper
    def abort(priority: int):
        """Give the claimed slot of class `priority` back; nothing is queued.

        Raises ValueError if no claim is open on the class.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(block)
        if priority < 0 or priority >= part[_CLASSES]:
            slow._bad_class(priority)
        lane = ptr32(int(part) + part[_OWN_LANES] + priority * part[_PLACE_STEP])
        if lane[_ROOM] or not lane[_CAPACITY]:
            _no_claim(priority)
        lane[_ROOM] = lane[_CAPACITY]

    return claim, commit, abort


def make_peeks(block, slow, views):
    """Return (peek, release) of the receiver whose words begin `block`."""
    result = [0, 0, 0]
    seen = slow._seen

    @micropython.viper
    def peek():
        """Return [size, priority, latency] of the next message, which lies in `view`, or None.

        The message stays where it is, and so does `view`, until release() or until it is taken
        otherwise. A second peek before that gives the same message. The list is peek's own,
        reused by the next peek.

        Context: one receiving context | alloc: none | time: O(1), and senders | blocks: never
        """
        part = ptr32(block)
        lane = part[_PEEKED]
        if lane:
            header = ptr32(int(part) + lane)
            if header[_RECEIVED] != part[_PEEK_COUNT]:
                lane = 0  # it has been taken since
        if not lane:
            lane = int(slow._next_lane())
            part[_PEEKED] = lane
            if not lane:
                return None
        header = ptr32(int(part) + lane)
        part[_PEEK_COUNT] = header[_RECEIVED]
        index = header[_TAIL]
        if index >= header[_CAPACITY]:
            index -= header[_CAPACITY]
        slot = ptr32(int(header) + header[_FIRST] + index * part[_PITCH])
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(slow._ticks())
        part[_STAMP] = slot[_TIME]
        result[0] = slot[_META] & 0xFFFF
        result[1] = slot[_META] >> 16 & 0xFF
        result[2] = (now - slot[_TIME]) & part[_MASK]
        seen[0] = views[header[_NUMBER] + index]
        return result

    @micropython.viper
    def release() -> bool:
        """Drop the message that peek returned, whatever was queued since; it counts as received.

        False: there is none, or it has been taken otherwise.

        Context: one receiving context | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(block)
        lane = part[_PEEKED]
        if not lane:
            return False
        part[_PEEKED] = 0
        header = ptr32(int(part) + lane)
        if header[_RECEIVED] != part[_PEEK_COUNT]:
            return False
        tail = header[_TAIL] + 1
        if tail == header[_CAPACITY] + header[_CAPACITY]:
            tail = 0
        header[_RECEIVED] += 1
        header[_TAIL] = tail  # Order: the view is read before tail, as in recv.
        return True

    return peek, release


def _no_claim(priority):
    raise _error(ValueError, "no claim is open on class %d", priority)


def _bad_size(size, slot_size):
    raise _error(ValueError, "size must be 0 to %d, not %d", slot_size, size)
