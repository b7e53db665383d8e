"""Recorder: what goes through a channel, message by message, in memory of a fixed size.

    from ringlane import NORMAL, Channel, Recorder

    recorder = Recorder(events=256, head=4)
    ch = Channel(16, slot_size=4, name="adc", tap=recorder)

    def on_sample(timer):  # a handler, hard or soft
        ch.send_word(adc.read_u16(), NORMAL)

    for event in recorder.events():  # a task, now and then
        print(event)

Each end of a tapped channel, every sender and receiver, has a ring of its own in the recorder,
which its own context alone writes: no event waits for another, and hard handlers write too. The
oldest event is overwritten by the newest; the reader counts what it did not see.

    outcome     of                                   number          figure
    QUEUED      send, send_word, asend, ..._at       the message's   messages queued then
    DROPPED     the same, where the lane was full    the next one's  messages queued then
    REJECTED    the same, too large or closed        the next one's  messages queued then
    RECEIVED    recv, recv_word and the waits        the message's   its latency, in ticks
    TAKEN       recv_words, skip, clear              of the last     how many messages
    MISSED      a multicast receiver, see below      the next one's  how many messages

A send to a channel with several receivers is one event of its sender, too: queued if one of them
got it, and of a multicast if none is open, its time then that of the event; dropped if none had
room. Its number is how many messages this sender has queued before, and its figure how many of
them are queued with the receiver that got it, of a multicast with the one that lags most. A
receiver's numbers count what came to its id, so they are not the sender's. A multicast receiver
that lacks messages, since its lane was full, notes how many with what it takes next. A receiver
that closes notes as taken what it leaves unread; the next one of its id goes on in its ring, which
is made when a receiver of that id opens for the first time.

Of a RequestReplyChannel sender 0 is the client's requests, which the server takes as receiver 0;
sender 1 is the server's replies, which the client takes as receiver 1. Number is the request's id,
0 of a request that got none. Figure, where sent, is how many requests are outstanding. Time is
when the event was written. A reply that comes too late is dropped. To cancel is no event.

A tapped verb calls the plain one and then writes one event: see firmware/bench for what it costs.
A channel without a tap runs the plain verbs and pays nothing.
"""

from collections import namedtuple
from struct import unpack_from

import micropython
from micropython import const

from .checks import check_int
from .lanes import store
from .port import address, later
from .words import load, plus

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_RX_CLOCK = const(2)  # address of the clock's register, 0: call the clock's ticks()
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
_RECEIVER_BYTES = const(52)
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_TX_STRIDE = const(10)  # bytes of a slot
_REGISTER = const(11)  # as RX_CLOCK
_POLICY = const(17)  # fan-out: 0: all receivers, else one, chosen by the policy
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
_WRITE = const(5)  # bytes from here to the slot to write next. Owner: producer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_DROPPED = const(11)  # messages that found no room. Owner: producer
_LANE_BYTES = const(56)
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
_SLOT_BYTES = const(8)
_RING_BEGUN = const(0)  # events begun since the start. Owner: the end; the reader reads it
_RING_DONE = const(1)  # events whole since the start. Owner: the end; the reader reads it
_RING_TAKEN = const(2)  # events read, or overwritten unread. Owner: reader
_RING_LOST = const(3)  # events overwritten unread. Owner: reader
_RING_NEXT = const(4)  # bytes from here to the event to write next. Owner: the end
_RING_FIRST = const(5)  # bytes from here to the first event
_RING_END = const(6)  # bytes from here past the last event
_RING_STRIDE = const(7)  # bytes of an event
_RING_PART_LOW = const(8)  # address of the end's words, its low 32 bits
_RING_PART_HIGH = const(9)  # and its high ones
_RING_SENDER = const(10)  # the sender's number << 24
_RING_CLASSES = const(11)  # 7: a lane for each class; 0: one lane
_RING_MISSES = const(12)  # multicast receiver: bytes from here to DROPPED of its lanes, as known
_RING_KNOWN = const(13)  # words, by lane: its DROPPED or TAIL at the last event. Owner: the end
_RING_BYTES = const(56)
_EVENT_TIME = const(0)  # the clock: of a queued message its stamp, else now
_EVENT_NUMBER = const(1)  # the message's number in its lane
_EVENT_WHAT = const(2)  # size | class << 16 | outcome << 20 | sender << 24
_EVENT_FIGURE = const(3)  # queued: messages queued; received: latency; taken, missed: how many
_EVENT_BYTES = const(16)
_LAST = const(2)  # in REST
# stamped.

QUEUED = 0
DROPPED = 1
REJECTED = 2
RECEIVED = 3
TAKEN = 4
MISSED = 5
OUTCOMES = ("queued", "dropped", "rejected", "received", "taken", "missed")

_DROPPED_EVENT = const(1 << 20)  # the outcomes, as they stand in EVENT_WHAT
_REJECTED_EVENT = const(2 << 20)
_RECEIVED_EVENT = const(3 << 20)
_TAKEN_EVENT = const(4 << 20)
_MISSED_EVENT = const(5 << 20)
_NO_CLASS = const(7)  # what was taken had labels that nobody has looked at
_EVENTS_MAX = const(16384)
_HEAD_MAX = const(128)
_HEADS_KNOWN = const(3)  # as in tap_fanout.py

_made = 0  # rings, of all recorders

# `sender`: its number; `head`: the first bytes of the message; `receiver`: the id of the one whose
# event it is, 0 where there is one only, None: a sender's. See above.
Event = namedtuple(
    "Event",
    (
        "channel",
        "outcome",
        "sender",
        "priority",
        "size",
        "number",
        "time",
        "figure",
        "head",
        "receiver",
    ),
)


@micropython.viper
def _note_refused(here, cold, level, size: int):
    # Write all of the event but the message's head: why the last send was refused.
    #: step("ring") :#
    ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
    # Twice by 16, as a register of 32 bits cannot be shifted by 32.
    part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
    # stamped.
    priority = int(level)
    #: step("lane of class") :#
    lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
    # stamped.
    # Since the event before, as a soft handler may have sent in the middle of this send.
    known = ptr32(int(ring) + ((priority & ring[_RING_CLASSES]) << 2))
    what = _REJECTED_EVENT
    if lane[_DROPPED] - known[_RING_KNOWN]:
        known[_RING_KNOWN] = lane[_DROPPED]
        what = _DROPPED_EVENT
    if part[_REGISTER]:
        now = ptr32(part[_REGISTER])[0]
    else:
        now = int(cold._ticks())
    if size > 0xFFFF:
        size = 0xFFFF
    #: step("begin event") :#
    # Order: before the event, so that a reader knows which one is being overwritten.
    ring[_RING_BEGUN] = ring[_RING_DONE] + 1
    event = ptr32(int(ring) + ring[_RING_NEXT])
    # stamped.
    event[_EVENT_TIME] = now
    event[_EVENT_NUMBER] = lane[_HEAD]
    event[_EVENT_WHAT] = size | priority << 16 | what | ring[_RING_SENDER]
    event[_EVENT_FIGURE] = (lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF


@micropython.viper
def _note_missed(here, now: int):
    # An event for each sender of which messages found the receiver's lane full.
    #: step("ring") :#
    ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
    # Twice by 16, as a register of 32 bits cannot be shifted by 32.
    part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
    # stamped.
    lane = ptr32(int(part) + part[_LANES])
    known = ptr32(int(ring) + ring[_RING_MISSES])
    sender = 0
    while lane[_REST] != _LAST:
        dropped = lane[_DROPPED]  # once: the sender counts on
        count = (dropped - known[0]) & 0x3FFFFFFF
        if count:
            known[0] = dropped
            #: step("begin event") :#
            # Order: before the event, so that a reader knows which one is being overwritten.
            ring[_RING_BEGUN] = ring[_RING_DONE] + 1
            event = ptr32(int(ring) + ring[_RING_NEXT])
            # stamped.
            event[_EVENT_TIME] = now
            event[_EVENT_NUMBER] = lane[_TAIL]
            event[_EVENT_WHAT] = _NO_CLASS << 16 | _MISSED_EVENT | sender << 24
            event[_EVENT_FIGURE] = count
            #: step("end event") :#
            following = ring[_RING_NEXT] + ring[_RING_STRIDE]
            if not following - ring[_RING_END]:
                following = ring[_RING_FIRST]
            ring[_RING_NEXT] = following
            # Order: event before done, so that a reader sees no half-written one.
            ring[_RING_DONE] = ring[_RING_DONE] + 1
            # stamped.
        sender += 1
        lane = ptr32(int(lane) + _LANE_BYTES)
        known = ptr32(int(known) + 4)


@micropython.viper
def _note_taken(here, cold):
    # An event for each lane of which messages were taken without being looked at.
    #: step("ring") :#
    ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
    # Twice by 16, as a register of 32 bits cannot be shifted by 32.
    part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
    # stamped.
    if part[_RX_CLOCK]:
        now = ptr32(part[_RX_CLOCK])[0]
    else:
        now = int(cold._ticks())
    while True:
        #: step("taken lane") :#
        lane = ptr32(int(part) + part[_LANES])
        known = ptr32(ring)
        sender = 0
        row = 0
        while not lane[_TAIL] - known[_RING_KNOWN] and lane[_REST] != _LAST:
            sender += 1
            if not lane[_REST]:
                sender = 0
                row += 1
            lane = ptr32(int(lane) + _LANE_BYTES)
            known = ptr32(int(known) + 4)
        # stamped.
        if lane[_REST] == _LAST:
            break
        count = (lane[_TAIL] - known[_RING_KNOWN]) & 0x3FFFFFFF
        known[_RING_KNOWN] = lane[_TAIL]
        #: step("begin event") :#
        # Order: before the event, so that a reader knows which one is being overwritten.
        ring[_RING_BEGUN] = ring[_RING_DONE] + 1
        event = ptr32(int(ring) + ring[_RING_NEXT])
        # stamped.
        event[_EVENT_TIME] = now
        event[_EVENT_NUMBER] = lane[_TAIL] - 1
        if not ring[_RING_CLASSES]:
            row = _NO_CLASS
        event[_EVENT_WHAT] = row << 16 | _TAKEN_EVENT | sender << 24
        event[_EVENT_FIGURE] = count
        #: step("end event") :#
        following = ring[_RING_NEXT] + ring[_RING_STRIDE]
        if not following - ring[_RING_END]:
            following = ring[_RING_FIRST]
        ring[_RING_NEXT] = following
        # Order: event before done, so that a reader sees no half-written one.
        ring[_RING_DONE] = ring[_RING_DONE] + 1
        # stamped.
    if ring[_RING_MISSES]:
        _note_missed(here, now)


def _sends(at, put, put_word, cold):
    # The tapped verbs of a sender, whose ring is at that address.
    here = at >> 2

    @micropython.viper
    def send(data, priority):
        sent = put(data, priority)
        #: step("ring") :#
        ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # Twice by 16, as a register of 32 bits cannot be shifted by 32.
        part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
        # stamped.
        if sent:
            lane = ptr32(int(part) + ptr32(int(part) + ((int(priority) & 7) << 2))[_CARDS])
            figure = (lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF
            #: step("slot event", number="lane[_HEAD] - 1", meta="slot[_META]", figure="figure") :#
            write = lane[_WRITE]
            if not write - lane[_FIRST]:
                write = lane[_END]
            slot = ptr32(int(lane) + write - part[_TX_STRIDE])

            # Order: before the event, so that a reader knows which one is being overwritten.
            ring[_RING_BEGUN] = ring[_RING_DONE] + 1
            event = ptr32(int(ring) + ring[_RING_NEXT])

            event[_EVENT_TIME] = slot[_TIME]
            event[_EVENT_NUMBER] = lane[_HEAD] - 1
            event[_EVENT_WHAT] = slot[_META] | ring[_RING_SENDER]
            event[_EVENT_FIGURE] = figure
            left = ring[_RING_STRIDE] - _EVENT_BYTES
            while left:
                left -= 4
                word = ptr32(int(slot) + left + _SLOT_BYTES)[0]
                ptr32(int(event) + left + _EVENT_BYTES)[0] = word

            following = ring[_RING_NEXT] + ring[_RING_STRIDE]
            if not following - ring[_RING_END]:
                following = ring[_RING_FIRST]
            ring[_RING_NEXT] = following
            # Order: event before done, so that a reader sees no half-written one.
            ring[_RING_DONE] = ring[_RING_DONE] + 1
            # stamped.
            return sent
        size = int(len(data))
        _note_refused(here, cold, priority, size)
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
        # Order: event before done, so that a reader sees no half-written one.
        ring[_RING_DONE] = ring[_RING_DONE] + 1
        # stamped.
        return sent

    @micropython.viper
    def send_word(value, priority):
        sent = put_word(value, priority)
        #: step("ring") :#
        ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # Twice by 16, as a register of 32 bits cannot be shifted by 32.
        part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
        # stamped.
        if sent:
            lane = ptr32(int(part) + ptr32(int(part) + ((int(priority) & 7) << 2))[_CARDS])
            figure = (lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF
            #: step("slot event", number="lane[_HEAD] - 1", meta="slot[_META]", figure="figure") :#
            write = lane[_WRITE]
            if not write - lane[_FIRST]:
                write = lane[_END]
            slot = ptr32(int(lane) + write - part[_TX_STRIDE])

            # Order: before the event, so that a reader knows which one is being overwritten.
            ring[_RING_BEGUN] = ring[_RING_DONE] + 1
            event = ptr32(int(ring) + ring[_RING_NEXT])

            event[_EVENT_TIME] = slot[_TIME]
            event[_EVENT_NUMBER] = lane[_HEAD] - 1
            event[_EVENT_WHAT] = slot[_META] | ring[_RING_SENDER]
            event[_EVENT_FIGURE] = figure
            left = ring[_RING_STRIDE] - _EVENT_BYTES
            while left:
                left -= 4
                word = ptr32(int(slot) + left + _SLOT_BYTES)[0]
                ptr32(int(event) + left + _EVENT_BYTES)[0] = word

            following = ring[_RING_NEXT] + ring[_RING_STRIDE]
            if not following - ring[_RING_END]:
                following = ring[_RING_FIRST]
            ring[_RING_NEXT] = following
            # Order: event before done, so that a reader sees no half-written one.
            ring[_RING_DONE] = ring[_RING_DONE] + 1
            # stamped.
            return sent
        _note_refused(here, cold, priority, 4)
        event = ptr32(int(ring) + ring[_RING_NEXT])
        if ring[_RING_STRIDE] - _EVENT_BYTES:
            ptr32(int(event) + _EVENT_BYTES)[0] = int(value)
        #: step("end event") :#
        following = ring[_RING_NEXT] + ring[_RING_STRIDE]
        if not following - ring[_RING_END]:
            following = ring[_RING_FIRST]
        ring[_RING_NEXT] = following
        # Order: event before done, so that a reader sees no half-written one.
        ring[_RING_DONE] = ring[_RING_DONE] + 1
        # stamped.
        return sent

    return send, send_word


def _receives(at, take, take_word):
    # The tapped verbs of the receiver, whose ring is at that address.
    here = at >> 2

    @micropython.viper
    def recv(buf):
        m = take(buf)
        if m:
            #: step("ring") :#
            ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
            # Twice by 16, as a register of 32 bits cannot be shifted by 32.
            part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
            # stamped.
            #: step("taken lane") :#
            lane = ptr32(int(part) + part[_LANES])
            known = ptr32(ring)
            sender = 0
            row = 0
            while not lane[_TAIL] - known[_RING_KNOWN] and lane[_REST] != _LAST:
                sender += 1
                if not lane[_REST]:
                    sender = 0
                    row += 1
                lane = ptr32(int(lane) + _LANE_BYTES)
                known = ptr32(int(known) + 4)
            # stamped.
            known[_RING_KNOWN] = lane[_TAIL]
            #: step("begin event") :#
            # Order: before the event, so that a reader knows which one is being overwritten.
            ring[_RING_BEGUN] = ring[_RING_DONE] + 1
            event = ptr32(int(ring) + ring[_RING_NEXT])
            # stamped.
            size = int(m[0])
            latency = int(m[2])
            event[_EVENT_TIME] = part[_STAMP] + latency
            event[_EVENT_NUMBER] = lane[_TAIL] - 1
            event[_EVENT_WHAT] = size | int(m[1]) << 16 | _RECEIVED_EVENT | sender << 24
            event[_EVENT_FIGURE] = latency
            #: step("head of message", data="buf") :#
            left = ring[_RING_STRIDE] - _EVENT_BYTES
            if left > size:
                left = size
            to = ptr8(int(event) + _EVENT_BYTES)
            source = ptr8(buf)
            while left:
                left -= 1
                to[left] = source[left]
            # stamped.
            #: step("end event") :#
            following = ring[_RING_NEXT] + ring[_RING_STRIDE]
            if not following - ring[_RING_END]:
                following = ring[_RING_FIRST]
            ring[_RING_NEXT] = following
            # Order: event before done, so that a reader sees no half-written one.
            ring[_RING_DONE] = ring[_RING_DONE] + 1
            # stamped.
            if ring[_RING_MISSES]:
                _note_missed(here, part[_STAMP] + latency)
        return m

    @micropython.viper
    def recv_word():
        m = take_word()
        if m:
            #: step("ring") :#
            ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
            # Twice by 16, as a register of 32 bits cannot be shifted by 32.
            part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
            # stamped.
            #: step("taken lane") :#
            lane = ptr32(int(part) + part[_LANES])
            known = ptr32(ring)
            sender = 0
            row = 0
            while not lane[_TAIL] - known[_RING_KNOWN] and lane[_REST] != _LAST:
                sender += 1
                if not lane[_REST]:
                    sender = 0
                    row += 1
                lane = ptr32(int(lane) + _LANE_BYTES)
                known = ptr32(int(known) + 4)
            # stamped.
            known[_RING_KNOWN] = lane[_TAIL]
            #: step("begin event") :#
            # Order: before the event, so that a reader knows which one is being overwritten.
            ring[_RING_BEGUN] = ring[_RING_DONE] + 1
            event = ptr32(int(ring) + ring[_RING_NEXT])
            # stamped.
            latency = int(m[2])
            event[_EVENT_TIME] = part[_STAMP] + latency
            event[_EVENT_NUMBER] = lane[_TAIL] - 1
            event[_EVENT_WHAT] = 4 | int(m[1]) << 16 | _RECEIVED_EVENT | sender << 24
            event[_EVENT_FIGURE] = latency
            if ring[_RING_STRIDE] - _EVENT_BYTES:
                ptr32(int(event) + _EVENT_BYTES)[0] = int(m[0])
            #: step("end event") :#
            following = ring[_RING_NEXT] + ring[_RING_STRIDE]
            if not following - ring[_RING_END]:
                following = ring[_RING_FIRST]
            ring[_RING_NEXT] = following
            # Order: event before done, so that a reader sees no half-written one.
            ring[_RING_DONE] = ring[_RING_DONE] + 1
            # stamped.
            if ring[_RING_MISSES]:
                _note_missed(here, part[_STAMP] + latency)
        return m

    return recv, recv_word


def _takes(at, cold, take_words, drop):
    # The tapped recv_words and _drop of `cold`, the receiver.
    here = at >> 2

    @micropython.viper
    def recv_words(words) -> int:
        count = int(take_words(words))
        if count:
            _note_taken(here, cold)
        return count

    @micropython.viper
    def _drop(every) -> int:
        count = int(drop(every))
        if count:
            _note_taken(here, cold)
        return count

    return recv_words, _drop


def _make_take(at):
    here = at >> 2

    @micropython.viper
    def take(buf, offset: int) -> int:
        """Copy the oldest events not yet taken into `buf`, from byte `offset` on, as many as fit.

        Return how many, one after the other without a gap: if some are overwritten before they are
        read, this ends before the gap and the next call goes on behind it. `buf` is a bytearray;
        see Ring for what an event is.

        Context: a task, one per recorder | alloc: none | time: O(bytes) | blocks: never
        """
        ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        stride = ring[_RING_STRIDE]
        kept = (ring[_RING_END] - ring[_RING_FIRST]) // stride
        room = (int(len(buf)) - offset) // stride
        to = int(ptr8(buf)) + offset
        count = 0
        while room > 0:
            taken = ring[_RING_TAKEN]
            lost = ((ring[_RING_DONE] - taken) & 0x3FFFFFFF) - kept
            if lost == 0 - kept:
                break
            if lost > 0 and count:
                break
            if lost <= 0:
                lost = 0
                event = int(ring) + ring[_RING_FIRST] + (taken & kept - 1) * stride
                left = stride
                while left:
                    left -= 1
                    ptr8(to)[left] = ptr8(event)[left]
                # Looked at after the copy: what has been begun since may have written into it.
                if ((ring[_RING_BEGUN] - taken) & 0x3FFFFFFF) > kept:
                    if count:
                        break
                    lost = 1
            if lost:
                ring[_RING_LOST] = ring[_RING_LOST] + lost
                ring[_RING_TAKEN] = taken + lost
            else:
                ring[_RING_TAKEN] = taken + 1
                to += stride
                room -= 1
                count += 1
        return count

    return take


@micropython.viper
def _store_address(ring: int, at: int):
    ptr32(ring)[_RING_PART_LOW] = at
    ptr32(ring)[_RING_PART_HIGH] = at >> 16 >> 16


class Ring:
    """The events of one end of a channel; a Recorder makes it.

    An event is 16 bytes, little-endian words: the time; the message's number; size | class << 16 |
    outcome << 20 | sender << 24; the figure. Then the message's first `head` bytes.

    Attributes: `channel`; `sender`, its number, None: a receiver's; `receiver`, its id, 0 where
    there is one only, None: a sender's; `serial`, how many were made before it; `kept`, how many
    events it keeps; `head`; `stride`, the bytes of an event; `take` (viper, positional arguments
    only).
    """

    def __init__(self, channel, sender, receiver, events, head, memory):
        # memory(ring, first): zeros for it, `first` bytes and its events
        global _made
        part = channel._base
        # By names that no class of a user's has.
        several = hasattr(channel, "_ends")
        misses = 0
        if hasattr(channel, "_table"):
            known = 1
        elif sender is not None:
            known = channel._rows + _HEADS_KNOWN * several
            part += channel._sender_at(sender)
        elif several:
            known = channel.senders
            if not load(channel._base, (channel._sender_at(0) >> 2) + _POLICY):
                misses = known  # a multicast
            part += receiver * _RECEIVER_BYTES
        else:
            known = channel._rows * channel.senders
        self.channel = channel
        self.sender = sender
        self.receiver = receiver
        self.kept = events
        self.head = head = min(head, channel.slot_size + 3 & ~3)
        self.stride = stride = _EVENT_BYTES + head
        first = _RING_BYTES + (known + misses - 1) * 4  # RING_KNOWN is the first of them
        self._words = memory(self, first)
        self.at = address(self._words)
        store(self.at, _RING_NEXT, first)
        store(self.at, _RING_FIRST, first)
        store(self.at, _RING_END, first + events * stride)
        store(self.at, _RING_STRIDE, stride)
        store(self.at, _RING_SENDER, (sender or 0) << 24)
        store(self.at, _RING_CLASSES, 7 if channel._by_class else 0)
        store(self.at, _RING_MISSES, (_RING_KNOWN + known) * 4 if misses else 0)
        _store_address(self.at, part)
        self.serial = _made
        _made += 1
        self.take = _make_take(self.at)

    @property
    def taken(self):
        """Events that were read, or overwritten before; modulo 2**30."""
        return load(self.at, _RING_TAKEN)

    @property
    def overwritten(self):
        """Events that were overwritten before they were read; modulo 2**30."""
        return load(self.at, _RING_LOST)

    @property
    def waiting(self):
        """Events written and not yet taken, also those overwritten since; modulo 2**30."""
        return load(self.at, _RING_DONE) - load(self.at, _RING_TAKEN) & 0x3FFFFFFF


class Recorder:
    """Recorder(events=256, head=0): the tap of one or several channels, `tap=recorder`.

    `events`: how many each end of them keeps, a power of two, 2..16384. `head`: how many bytes of
    each message, a multiple of 4, 0..128; no more than a slot has. An end takes 56 bytes, 4 for
    each lane, and 16 + head for each event, when it is made; of a channel with several receivers
    add_receiver() takes that for each id, once, and a multicast's has 4 more for each lane.

    Attributes: `rings`, a Ring for each end.
    """

    def __init__(self, events=256, head=0):
        check_int("events", events, 2, _EVENTS_MAX)
        if events & events - 1:
            raise ValueError("events must be a power of two, not %r" % (events,))
        check_int("head", head, 0, _HEAD_MAX)
        if head & 3:
            raise ValueError("head must be a multiple of 4, not %r" % (head,))
        self._events = events
        self._head = head
        self.rings = []

    @property
    def overwritten(self):
        """Events of all ends that were overwritten before they were read; modulo 2**30."""
        found = 0
        for ring in self.rings:
            found = plus(found, ring.overwritten)
        return found

    def events(self):
        """Return the events not yet taken, end by end, each end's in their order: a list of Event.

        `time` is in ticks of the channel's clock. `priority` is None where TAKEN and the class is
        a label, where MISSED, and of a RequestReplyChannel.

        Context: a task, one per recorder | alloc: the list | time: O(events) | blocks: never
        """
        found = []
        for ring in self.rings:
            period = ring.channel.clock.period
            raw = bytearray(ring.stride)
            while ring.take(raw, 0):
                found.append(event_of(raw, ring.channel.name, period, ring.receiver))
        return found

    def _ring(self, channel, sender, receiver=None):
        for ring in self.rings:
            if receiver is not None and ring.channel is channel and ring.receiver == receiver:
                return ring
        ring = Ring(channel, sender, receiver, self._events, self._head, self._memory)
        self.rings.append(ring)
        return ring

    def _memory(self, ring, first):
        return bytearray(first + ring.kept * ring.stride)


def event_of(raw, channel, period, receiver):
    """Return the Event of its bytes in a ring, of the channel of that name and clock.

    `receiver`: whose ring it is, None: a sender's.
    """
    time, number, what, figure = unpack_from("<4I", raw)
    size = what & 0xFFFF
    priority = what >> 16 & 7
    return Event(
        channel,
        what >> 20 & 7,
        what >> 24,
        None if priority == _NO_CLASS else priority,
        size,
        number,
        time & period - 1,
        figure,
        bytes(raw[_EVENT_BYTES : min(len(raw), _EVENT_BYTES + size)]),
        receiver,
    )


def check_tap(tap, recv_guard=None, zero_copy=False):
    """Raise TypeError for what is no Recorder, ValueError beside what would pass by it."""
    if not isinstance(tap, Recorder):
        raise TypeError("tap must be a Recorder, not %r" % (tap,))
    if zero_copy or recv_guard is not None:
        raise ValueError("tap: a Recorder sees send and recv only, not recv_guard or zero_copy")


def tap_sender(end, recorder):
    """Let the sending verbs of `end`, a SendingEnd, write events."""
    ring = recorder._ring(end._channel, end._number)
    make = _sends
    if hasattr(end._channel, "_ends"):
        make = later("ringlane.tap_fanout").fans
    end.send, end.send_word = make(ring.at, end.send, end.send_word, end)


def tap_receiver(end, recorder, channel, row):
    """Let the receiving verbs of `end`, the receiver of that row of `channel`, write events."""
    at = recorder._ring(channel, None, row).at
    if end is not channel:
        fanout = later("ringlane.tap_fanout")
        fanout.catch_up(at)
        end._next_lane = fanout.searches(at, end._next_lane)
    end.recv, end.recv_word = _receives(at, end.recv, end.recv_word)
    end.recv_words, end._drop = _takes(at, end, end.recv_words, end._drop)
