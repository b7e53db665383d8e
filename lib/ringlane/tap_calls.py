"""The tapped verbs of a RequestReplyChannel; imported by the first one with a tap."""

import micropython
from micropython import const

from .port import fence

#: words(cog.inFile) :#
_RX_CLOCK = const(2)  # address of the clock's register, 0: call the clock's ticks()
_TABLE = const(13)  # request-reply: bytes from here to the table of requests
_RECEIVER_BYTES = const(56)
_SENDER_BYTES = const(88)
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
_RING_BEGUN = const(0)  # events begun since the start. Owner: the end; the reader reads it
_RING_DONE = const(1)  # events whole since the start. Owner: the end; the reader reads it
_RING_NEXT = const(4)  # bytes from here to the event to write next. Owner: the end
_RING_FIRST = const(5)  # bytes from here to the first event
_RING_END = const(6)  # bytes from here past the last event
_RING_STRIDE = const(7)  # bytes of an event
_RING_PART_LOW = const(8)  # address of the end's words, its low 32 bits
_RING_PART_HIGH = const(9)  # and its high ones
_RING_FENCED = const(12)  # as FENCED
_RING_KNOWN = const(14)  # words, by lane: its DROPPED or TAIL at the last event. Owner: the end
_EVENT_TIME = const(0)  # the clock: of a queued message its stamp, else now
_EVENT_NUMBER = const(1)  # the message's number in its lane
_EVENT_WHAT = const(2)  # size | class << 16 | outcome << 20 | sender << 24
_EVENT_FIGURE = const(3)  # queued: messages queued; received: latency; taken, missed: how many
_EVENT_BYTES = const(16)
# stamped.

_DROPPED_EVENT = const(1 << 20)  # as in tap.py
_REJECTED_EVENT = const(2 << 20)
_RECEIVED_EVENT = const(3 << 20)
_NO_CLASS = const(7)

# Of the table of requests, as in request_reply.py.
_COUNT = const(0)  # entries
_FREE = const(4)  # how many are there. Owner: client
_TOO_LARGE = const(10)  # replies rejected: larger than a slot. Owner: server


def _calls(own, put, take):
    # The tapped send_request and recv_request; `own` is the channel and the rings' addresses / 4.
    @micropython.viper
    def send_request(data):
        id = put(data)
        _note_sent(own[1], own[0], id, data, id, 0)
        return id

    @micropython.viper
    def recv_request(buf):
        m = take(buf)
        if m:
            _note_call(own[2], own[0], m[1], buf, m[0], _RECEIVED_EVENT, m[2])
        return m

    return send_request, recv_request


def _answers(own, put, put_status, take):
    # The tapped send_response, send_status and recv_response.
    @micropython.viper
    def send_response(id, data):
        sent = put(id, data)
        _note_sent(own[3], own[0], id, data, sent, 1)
        return sent

    @micropython.viper
    def send_status(id, data, status):
        sent = put_status(id, data, status)
        _note_sent(own[3], own[0], id, data, sent, 1)
        return sent

    @micropython.viper
    def recv_response(id, buf):
        m = take(id, buf)
        if m:
            _note_call(own[4], own[0], id, buf, m[0], _RECEIVED_EVENT | 1 << 24, m[2])
        return m

    return send_response, send_status, recv_response


@micropython.viper
def _note_sent(here, cold, id, data, sent, reply: int):
    # What became of a request or a reply.
    #: step("ring") :#
    ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
    # Twice by 16, as a register of 32 bits cannot be shifted by 32.
    part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
    # stamped.
    table = ptr32(int(part) + part[_TABLE])
    # Of what is rejected, of both, there is a count: of requests in the lane, else in the table.
    rejected = ptr32(int(part) + _RECEIVER_BYTES + _SENDER_BYTES)[_REJECTED]
    what = reply << 24
    if reply:
        rejected = table[_TOO_LARGE]
    if not sent:
        if rejected - ring[_RING_KNOWN]:
            ring[_RING_KNOWN] = rejected
            what |= _REJECTED_EVENT
        else:
            what |= _DROPPED_EVENT
    _note_call(here, cold, id, data, len(data), what, table[_COUNT] - table[_FREE])


@micropython.viper
def _note_call(here, cold, id: int, data, size: int, what: int, figure: int):
    #: step("ring") :#
    ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
    # Twice by 16, as a register of 32 bits cannot be shifted by 32.
    part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
    # stamped.
    if part[_RX_CLOCK]:
        now = ptr32(part[_RX_CLOCK])[0]
    else:
        now = int(cold._ticks())
    #: step("begin event") :#
    # Order: before the event, so that a reader knows which one is being overwritten.
    ring[_RING_BEGUN] = ring[_RING_DONE] + 1
    if ring[_RING_FENCED]:
        fence()
    event = ptr32(int(ring) + ring[_RING_NEXT])
    # stamped.
    event[_EVENT_TIME] = now
    event[_EVENT_NUMBER] = id
    event[_EVENT_FIGURE] = figure
    if size > 0xFFFF:
        size = 0xFFFF
    event[_EVENT_WHAT] = size | _NO_CLASS << 16 | what
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


def tap_calls(channel, recorder):
    """Let the verbs of `channel`, a RequestReplyChannel, write events."""
    own = [channel]
    for sender, receiver in ((0, None), (None, 0), (1, None), (None, 1)):
        own.append(recorder._ring(channel, sender, receiver).at >> 2)
    calls = _calls(own, channel.send_request, channel.recv_request)
    channel.send_request, channel.recv_request = calls
    channel.recv = channel.recv_request
    answers = _answers(own, channel.send_response, channel.send_status, channel.recv_response)
    channel.send_response, channel.send_status, channel.recv_response = answers
