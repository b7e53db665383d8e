"""call and serve of a RequestReplyChannel: what tasks and threads use, and no handler.

Imported by the first of them.
"""

import errno
import sys
from array import array

import micropython
from micropython import const

from .checks import check_buffer, check_int, check_message
from .request_reply import FAILED
from .waiting import Waiter, pause

#: words(cog.inFile) :#
_TABLE = const(13)  # request-reply: bytes from here to the table of requests
_RECEIVER_BYTES = const(56)
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_KNOWN = const(14)  # the message object last checked, as a word. Owner: sender
_SENDER_BYTES = const(88)
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_CAPACITY = const(4)  # slots; 0: the class is not used
# stamped.

# Of the table of requests and of its entries, as in request_reply.py.
_ENTRIES = const(1)  # bytes from here to the first
_ENTRY_STRIDE = const(2)  # bytes of an entry
_FREE = const(4)  # how many are there. Owner: client
_ISSUED = const(0)
_REPLIED = const(1)

_POLL = const(3)  # as in waiting.py


@micropython.viper
def try_request(at: int, cold, data) -> int:
    # Send a request if it can be sent now, and else return 0 and count nothing.
    part = ptr32(at + _RECEIVER_BYTES)
    #: step("known message", known="part[_TX_KNOWN]", kept="0") :#
    known = data if 1 else 0  # the object as a word: see `Objects as words` in verbs.py
    if (known - part[_TX_KNOWN]) & 0x3FFFFFFF:
        if cold._check_message(data):
            cold._kept[0] = data
            part[_TX_KNOWN] = known
    # stamped.
    lane = ptr32(int(part) + _SENDER_BYTES)
    own = ptr32(at + ptr32(at)[_TABLE])
    if (
        not own[_FREE]
        or ((lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF) >= lane[_CAPACITY]
        or int(len(data)) >= part[_LIMIT]
    ):
        return 0
    return int(cold.send_request(data))


def make_look(at, wanted):
    """Return the look of a call's waiter, as in waiting.py: until there is a reply.

    `wanted` is the word of its request's id. It is over, too, when nobody waits for the reply any
    more, or the channel is closed.
    """

    @micropython.viper
    def look(request: int, flags: int) -> int:
        if request != _POLL:
            return -1
        own = ptr32(int(at) + ptr32(int(at))[_TABLE])
        id = ptr32(wanted)[0]
        entry = ptr32(int(own) + own[_ENTRIES] + (id & 0xFF) * own[_ENTRY_STRIDE])
        if (
            entry[_REPLIED] != id
            and entry[_ISSUED] == id
            and ptr32(int(at) + _RECEIVER_BYTES)[_LIMIT]
        ):
            return 0
        return flags

    return look


@micropython.viper
def _take_reply(recv_response, id, buf, to):
    # As recv_response, with the result in a list of the caller's own; a soft handler that takes a
    # reply never comes between.
    m = recv_response(id, buf)
    if m:
        to[0] = m[0]
        to[1] = m[1]
        to[2] = m[2]
    return m


async def call(channel, data, buf, timeout_ms=None):
    """As RequestReplyChannel.call."""
    reply = [0, 0, 0]
    exchange = _exchange(channel, data, buf, timeout_ms, reply)
    try:
        for waiter in exchange:
            await pause(waiter)
    finally:
        exchange.close()
    return tuple(reply)


def call_wait(channel, data, buf, timeout_ms=None):
    """As RequestReplyChannel.call_wait."""
    reply = [0, 0, 0]
    exchange = _exchange(channel, data, buf, timeout_ms, reply)
    try:
        for waiter in exchange:
            waiter.block(waiter.deadline)
    finally:
        exchange.close()
    return tuple(reply)


def _exchange(channel, data, buf, timeout_ms, reply):
    # The steps of a call: a generator of what to wait on, until the reply is in `buf`, and its
    # size, status and latency in `reply`.
    waiter = Waiter(None, timeout_ms)
    if channel.closed:
        raise _reset(channel)
    if buf is not channel._kept[3]:  # else recv_response has checked it
        check_buffer(buf)
    if len(buf) < channel.slot_size:
        raise ValueError(
            "receive buffer of %d bytes, slot_size=%d" % (len(buf), channel.slot_size)
        )
    id = 0
    try:
        while not id:
            late = waiter.is_late()
            id = try_request(channel._receiver, channel, data)
            if id:
                channel.notify()  # the server may wait on the other core
                break
            if channel.closed:
                raise _reset(channel)
            channel.check(data)
            if late:
                raise _late(channel, "no room for a request in", timeout_ms)
            waiter.ioctl = _make_look_for_room(channel)
            yield waiter
        wanted = array("I", [0])
        wanted[0] = id
        waiter.ioctl = make_look(channel._receiver, wanted)
        while True:
            yield waiter
            late = waiter.is_late()  # first: a reply that comes with the time is taken
            if _take_reply(channel.recv_response, id, buf, reply) is not None:
                id = 0
                return
            if channel.closed:
                raise _reset(channel)
            if late:
                raise _late(channel, "no reply in", timeout_ms)
    finally:
        if id:
            channel.cancel(id)


def _make_look_for_room(channel):
    def look(request, flags):
        if request != _POLL:
            return -1
        return flags if channel.closed or channel.free() else 0

    return look


def _late(channel, what, timeout_ms):
    return OSError(errno.ETIMEDOUT, "%s: %s %d ms" % (channel._title(), what, timeout_ms))


def _reset(channel):
    return OSError(errno.ECONNRESET, "%s is closed" % channel._title())


async def serve(channel, handler):
    """As RequestReplyChannel.serve."""
    buf = bytearray(channel.slot_size)
    view = memoryview(buf)
    while m := await channel.arecv(buf):
        size, id, _ = m
        try:
            reply = handler(view[:size])
            if hasattr(reply, "send"):
                reply = await reply
            _answer(channel, id, reply)
        except Exception as error:
            _fail(channel, id, error)


def serve_wait(channel, handler):
    """As RequestReplyChannel.serve_wait."""
    buf = bytearray(channel.slot_size)
    view = memoryview(buf)
    while m := channel.recv_wait(buf):
        size, id, _ = m
        try:
            _answer(channel, id, handler(view[:size]))
        except Exception as error:
            _fail(channel, id, error)


def _answer(channel, id, reply):
    status = 0
    if isinstance(reply, tuple):
        status, reply = reply
    elif isinstance(reply, int):
        status, reply = reply, b""
    elif reply is None:
        reply = b""
    if type(status) is not int or not 0 <= status <= 255:
        check_int("status", status, 0, 255)
    check_message(reply)
    if len(reply) > channel.slot_size:
        raise ValueError(
            "reply of %d bytes is larger than a slot of %d" % (len(reply), channel.slot_size)
        )
    channel.send_status(id, reply, status)  # False if the client has given up: counted as late
    channel.notify()  # the client may wait on the other core


def _fail(channel, id, error):
    sys.print_exception(error)
    channel.send_status(id, b"", FAILED)
    channel.notify()
