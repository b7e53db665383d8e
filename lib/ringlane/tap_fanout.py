"""The tapped verbs of multicast and anycast; imported by tap.py for the first of them."""

import micropython
from micropython import const

from .port import fence

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_EPOCH = const(9)  # messages of another one were for an earlier receiver of the row
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_TX_STRIDE = const(10)  # bytes of a slot
_REGISTER = const(11)  # as RX_CLOCK
_ROWS = const(16)  # fan-out: how many receivers there may be
_ROW_STEP = const(17)  # fan-out: bytes from a row's lane to the next row's
_POLICY = const(18)  # fan-out: 0: all receivers, else one, chosen by the policy
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
_WRITE = const(5)  # bytes from here to the slot to write next. Owner: producer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
_LANE_BYTES = const(56)
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
_SLOT_BYTES = const(8)
_RING_BEGUN = const(0)  # events begun since the start. Owner: the end; the reader reads it
_RING_DONE = const(1)  # events whole since the start. Owner: the end; the reader reads it
_RING_NEXT = const(4)  # bytes from here to the event to write next. Owner: the end
_RING_FIRST = const(5)  # bytes from here to the first event
_RING_END = const(6)  # bytes from here past the last event
_RING_STRIDE = const(7)  # bytes of an event
_RING_PART_LOW = const(8)  # address of the end's words, its low 32 bits
_RING_PART_HIGH = const(9)  # and its high ones
_RING_SENDER = const(10)  # the sender's number << 24
_RING_FENCED = const(12)  # as FENCED
_RING_MISSES = const(13)  # multicast receiver: bytes from here to DROPPED of its lanes, as known
_RING_KNOWN = const(14)  # words, by lane: its DROPPED or TAIL at the last event. Owner: the end
_EVENT_TIME = const(0)  # the clock: of a queued message its stamp, else now
_EVENT_NUMBER = const(1)  # the message's number in its lane
_EVENT_WHAT = const(2)  # size | class << 16 | outcome << 20 | sender << 24
_EVENT_FIGURE = const(3)  # queued: messages queued; received: latency; taken, missed: how many
_EVENT_BYTES = const(16)
_LAST = const(2)  # in REST
# stamped.

_DROPPED_EVENT = const(1 << 20)  # as in tap.py
_REJECTED_EVENT = const(2 << 20)

# What stands at RING_KNOWN of a fan-out's sender.
_QUEUED_KNOWN = const(0)  # messages that it has queued
_DROPPED_KNOWN = const(1)  # DROPPED of its lanes, together, at the last event
_REJECTED_KNOWN = const(2)  # REJECTED at the last event
_HEADS_KNOWN = const(3)  # by receiver: HEAD of its lane at the last event


@micropython.viper
def _note_fanned(here, cold, level, size: int):
    # Write what became of a fan-out's send. Where no receiver got it, all but the message's head.
    #: step("ring") :#
    ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
    # Twice by 16, as a register of 32 bits cannot be shifted by 32.
    part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
    # stamped.
    known = ptr32(int(ring) + (_RING_KNOWN << 2))
    lane = ptr32(int(part) + part[_CARDS])
    rejected = lane[_REJECTED]
    dropped = 0
    most = 0
    own = 0  # the lane of one that got it
    row = 0
    while row < part[_ROWS]:
        head = lane[_HEAD]
        used = (head - lane[_TAIL]) & 0x3FFFFFFF
        if head - known[_HEADS_KNOWN]:
            known[_HEADS_KNOWN] = head
            own = int(lane)
        if used > most:
            most = used
        dropped += lane[_DROPPED]
        lane = ptr32(int(lane) + part[_ROW_STEP])
        known = ptr32(int(known) + 4)
        row += 1
    known = ptr32(int(ring) + (_RING_KNOWN << 2))
    number = known[_QUEUED_KNOWN]
    if own:
        known[_QUEUED_KNOWN] = number + 1
        known[_DROPPED_KNOWN] = dropped
        lane = ptr32(own)
        if part[_POLICY]:
            most = (lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF
        #: step("slot event", number="number", meta="slot[_META] & 0xFFFFFF", figure="most") :#
        write = lane[_WRITE]
        if not write - lane[_FIRST]:
            write = lane[_END]
        slot = ptr32(int(lane) + write - part[_TX_STRIDE])

        # Order: before the event, so that a reader knows which one is being overwritten.
        ring[_RING_BEGUN] = ring[_RING_DONE] + 1
        if ring[_RING_FENCED]:
            fence()
        event = ptr32(int(ring) + ring[_RING_NEXT])

        event[_EVENT_TIME] = slot[_TIME]
        event[_EVENT_NUMBER] = number
        event[_EVENT_WHAT] = slot[_META] & 0xFFFFFF | ring[_RING_SENDER]
        event[_EVENT_FIGURE] = most
        left = ring[_RING_STRIDE] - _EVENT_BYTES
        while left:
            left -= 4
            word = ptr32(int(slot) + left + _SLOT_BYTES)[0]
            ptr32(int(event) + left + _EVENT_BYTES)[0] = word

        following = ring[_RING_NEXT] + ring[_RING_STRIDE]
        if not following - ring[_RING_END]:
            following = ring[_RING_FIRST]
        ring[_RING_NEXT] = following
        if ring[_RING_FENCED]:
            fence()
        # Order: event before done, so that a reader sees no half-written one.
        ring[_RING_DONE] = ring[_RING_DONE] + 1
        # stamped.
        return
    what = 0  # queued, with nobody
    if rejected - known[_REJECTED_KNOWN]:
        known[_REJECTED_KNOWN] = rejected
        what = _REJECTED_EVENT
    elif (dropped - known[_DROPPED_KNOWN]) & 0x3FFFFFFF:
        known[_DROPPED_KNOWN] = dropped
        what = _DROPPED_EVENT
    else:
        known[_QUEUED_KNOWN] = number + 1
    if part[_REGISTER]:
        now = ptr32(part[_REGISTER])[0]
    else:
        now = int(cold._ticks())
    if size > 0xFFFF:
        size = 0xFFFF
    #: step("begin event") :#
    # Order: before the event, so that a reader knows which one is being overwritten.
    ring[_RING_BEGUN] = ring[_RING_DONE] + 1
    if ring[_RING_FENCED]:
        fence()
    event = ptr32(int(ring) + ring[_RING_NEXT])
    # stamped.
    event[_EVENT_TIME] = now
    event[_EVENT_NUMBER] = number
    event[_EVENT_WHAT] = size | int(level) << 16 | what | ring[_RING_SENDER]
    event[_EVENT_FIGURE] = most


def fans(at, put, put_word, cold):
    """As tap._sends, of a channel with several receivers."""
    here = at >> 2

    @micropython.viper
    def send(data, priority):
        sent = put(data, priority)
        size = 0
        if not sent:
            size = int(len(data))
        _note_fanned(here, cold, priority, size)
        if sent:
            return sent
        #: step("ring only") :#
        ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # stamped.
        event = ptr32(int(ring) + ring[_RING_NEXT])
        #: step("head of message", data="data") :#
        left = ring[_RING_STRIDE] - _EVENT_BYTES
        if left > size:
            left = size
        to = ptr8(int(event) + _EVENT_BYTES)
        source = ptr8(data)
        while left:
            left -= 1
            to[left] = source[left]
        # stamped.
        #: step("end event") :#
        following = ring[_RING_NEXT] + ring[_RING_STRIDE]
        if not following - ring[_RING_END]:
            following = ring[_RING_FIRST]
        ring[_RING_NEXT] = following
        if ring[_RING_FENCED]:
            fence()
        # Order: event before done, so that a reader sees no half-written one.
        ring[_RING_DONE] = ring[_RING_DONE] + 1
        # stamped.
        return sent

    @micropython.viper
    def send_word(value, priority):
        sent = put_word(value, priority)
        _note_fanned(here, cold, priority, 4)
        if sent:
            return sent
        #: step("ring only") :#
        ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # stamped.
        event = ptr32(int(ring) + ring[_RING_NEXT])
        if ring[_RING_STRIDE] - _EVENT_BYTES:
            ptr32(int(event) + _EVENT_BYTES)[0] = int(value)
        #: step("end event") :#
        following = ring[_RING_NEXT] + ring[_RING_STRIDE]
        if not following - ring[_RING_END]:
            following = ring[_RING_FIRST]
        ring[_RING_NEXT] = following
        if ring[_RING_FENCED]:
            fence()
        # Order: event before done, so that a reader sees no half-written one.
        ring[_RING_DONE] = ring[_RING_DONE] + 1
        # stamped.
        return sent

    return send, send_word


def searches(at, next_lane):
    """Return next_lane of a receiver: what it drops, as it was an earlier one's, is no event."""
    here = at >> 2

    @micropython.viper
    def _next_lane() -> int:
        #: step("ring") :#
        ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # Twice by 16, as a register of 32 bits cannot be shifted by 32.
        part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
        # stamped.
        if not part[_EPOCH]:
            return int(next_lane())
        lane = ptr32(int(part) + part[_LANES])
        known = ptr32(ring)
        while lane[_REST] != _LAST:
            known[_RING_KNOWN] = known[_RING_KNOWN] - lane[_TAIL]
            lane = ptr32(int(lane) + _LANE_BYTES)
            known = ptr32(int(known) + 4)
        first = int(next_lane())
        lane = ptr32(int(part) + part[_LANES])
        known = ptr32(ring)
        while lane[_REST] != _LAST:
            known[_RING_KNOWN] = known[_RING_KNOWN] + lane[_TAIL]
            lane = ptr32(int(lane) + _LANE_BYTES)
            known = ptr32(int(known) + 4)
        return first

    return _next_lane


@micropython.viper
def catch_up(at: int):
    """Let the receiver whose ring is there begin where others have left its lanes."""
    ring = ptr32(at)
    part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
    lane = ptr32(int(part) + part[_LANES])
    known = ptr32(ring)
    missed = ptr32(int(ring) + ring[_RING_MISSES])
    while lane[_REST] != _LAST:
        known[_RING_KNOWN] = lane[_TAIL]
        known = ptr32(int(known) + 4)
        if ring[_RING_MISSES]:
            missed[0] = lane[_DROPPED]
            missed = ptr32(int(missed) + 4)
        lane = ptr32(int(lane) + _LANE_BYTES)
