"""remote: lets a host use channels of this program, over ringlane.link.

    import ringlane.link
    import ringlane.remote

    commands = Channel(8, slot_size=16, senders=2, name="commands")
    samples = Channel(64, slot_size=4, name="samples")
    ringlane.remote.accept(commands)  # a host may send into it
    ringlane.remote.forward(samples)  # its messages go to the host

    async def main():
        asyncio.create_task(ringlane.link.serve())

On the host `ringlane_host.remote(PORT)` uses them. What is not named here a host cannot touch.

    accept(channel)             a host sends into it, by a sender of the link's own
    accept(request_reply)       a host calls; the firmware serves
    forward(channel)            the link receives from it, in a task's place, and a host gets that
    forward(request_reply)      the firmware calls; a host serves

All of it happens in the link's task, a few messages a turn. A message from a host that finds its
lane full is refused, uncounted, and the host tries again. A message for a host stays in its
channel until the host has asked for it and there is room in the buffer of what goes to it; when
the channel is full, the firmware's own sends are dropped and counted, as always. Messages wait
for a host that is not there yet, calls until they time out.

Both ways run as a stream of bytes whose places are numbered, so what is lost on the wire is sent
again, and nothing is taken twice, also when the same host has lost the board for a while and is
back. For another host, what was sent to the one before and not confirmed goes out again, marked;
that one's calls are cancelled, and requests that it has not answered get the status FAILED.

All buffers are allocated here, by the sizes of the channels that are opened. No number that a host
sends is an address, and none is a length before it is compared with the buffer's.
"""

import time
from array import array
from struct import pack_into, unpack_from

from micropython import const

from .link import opened, retell
from .port import later
from .words import plus

ACCEPTS = 1  # of a channel
FORWARDS = 2

# Frames.
_OPEN = const(0x20)  # the host's stream u32, bytes of ours that it has u16
_RESUME = const(0x22)  # the same, of a stream that has been answered
_DATA = const(0x21)  # bytes of ours that it has u16; the stream's bytes from `number` on
# The stream u32, bytes taken u16, records done u16, place of the first byte u16, results u8; the
# results of the last records, a byte each; bytes of our stream.
_STREAM = const(0x88)
_STREAM_HEADER = const(11)

# Records of the host's stream: channel u8, kind | class << 3 | AGAIN u8, size u16; then the body.
_SEND = const(0)
_CALL = const(1)  # the host's number of the call u16; the request
_CANCEL = const(2)  # number u16
_REPLY = const(3)  # id u32, status u8; the reply
_GRANT = const(4)  # messages that may be forwarded, since the stream's start, u16
_ONCE_MORE = const(0x40)  # of those that were refused

# Records of the board's stream: channel u8, kind | class << 3 | AGAIN u8, size u16; then the body.
_OPENED = const(0)  # flags u8, classes that are in use u8, slot size u16; pattern;name
_ALL_OPENED = const(1)  # those were all
_MESSAGE = const(2)  # sent at, ticks u32; latency, ticks u32; the message
_REQUEST = const(3)  # id u32; latency, ticks u32; the request
_RESPONSE = const(4)  # number u16, status u8, latency, ticks u32; the reply
_CLOSED = const(5)
_AGAIN = const(0x80)  # it was sent to a host before

_RECORD_HEAD = const(4)  # bytes of a record's header
_EXTRA = const(8)  # the most bytes before the message in a body

# Results. Below: how many receivers will get it.
_MOST = const(239)
_FULL = const(250)
_NO_SLOT = const(251)
_CLOSED_THERE = const(252)
_NOT_OPEN = const(253)
_WRONG = const(254)  # no such class, or a record that makes no sense

_FAILED = const(255)  # as in request_reply.py
_RESULTS = const(32)  # that are kept, so a host has no more records on the way
_BODY = const(2 + 6)  # in the link's buffer, as in link.py
_BODY_MAX = const(244)
_OUT_LEAST = const(1024)
_WORTH = const(128)  # bytes are worth a frame beside others on the way
_AGAIN_MS = const(500)  # without a confirmation, the stream is sent again from there
_PAUSE_MS = const(10)  # between the link's turns, as in link.py
_SHORT_MS = const(2)  # the same, while something is on its way
_BUSY_MS = const(50)
_DOORS_MAX = const(64)
_SLOT_MAX = const(16384)  # so that a place of 16 bits tells all that is on the way apart


def accept(channel, sender=None):
    """Let a host send into `channel`, or call, if it is a RequestReplyChannel.

    `sender`: the end that the link's task sends by; None: one of its own, add_sender(). Give it
    `channel` itself where nobody but tasks sends. To call, the link's task is the client: a client
    in a hard handler needs another channel. Raises TypeError or ValueError if that cannot be.

    Context: set-up | alloc: a sender, buffers | blocks: never
    """
    door = _desk._door(channel, ACCEPTS)
    if _has_calls(channel):
        if sender is not None:
            raise TypeError("%s has no senders, but sender=%r" % (channel._title(), sender))
        door.attempt = later("ringlane.calls").try_request
        door.calls = array("I", [0] * channel.capacity)
        door.numbers = array("H", [0] * channel.capacity)
    else:
        if sender is None:
            sender = channel.add_sender()
        elif getattr(sender, "_channel", None) is not channel:
            raise ValueError("sender %r is not one of %r" % (sender, channel))
        door.number = sender._number
        door.attempt = later("ringlane.waiting").make_attempt(sender)
    _desk._add(door, ACCEPTS)


def forward(channel, receiver=None):
    """Send the messages of `channel` to a host, or let it serve, if it is a RequestReplyChannel.

    The link's task receives in the place of the firmware's receiver; of a MulticastChannel or
    AnycastChannel it is a receiver beside others: `receiver`, or one that this adds. Raises
    TypeError or ValueError if that cannot be.

    Context: set-up | alloc: a receiver, buffers | blocks: never
    """
    door = _desk._door(channel, FORWARDS)
    if receiver is None:
        receiver = channel
        if not hasattr(channel, "recv"):
            receiver = channel.add_receiver("host")
    elif not hasattr(receiver, "recv"):
        raise TypeError("receiver must have recv, not %r" % (receiver,))
    door.receiver = receiver
    if _has_calls(channel):
        door.asked = array("I", [0] * channel.capacity)
    _desk._add(door, FORWARDS)


def _has_calls(channel):
    return hasattr(channel, "_table")


class _Door:
    # What the desk knows of a channel.
    def __init__(self, channel):
        self.channel = channel
        self.flags = 0
        self.number = 0  # of the sender
        self.attempt = None  # sends, but counts nothing where it is full
        self.receiver = None
        self.calls = None  # of the host, by their ids; 0: none
        self.numbers = None  # the same, by the host's numbers
        self.asked = None  # ids of requests that the host has not answered; 0: none
        self.closed = False  # which the host was told
        self.reset()

    def reset(self):
        self.blocked = 0  # classes of which a message was refused
        self.granted = self.forwarded = 0


class Desk:
    """What is opened to a host, and the two streams; the module has one.

    Attributes, modulo 2**30: `taken`, messages of hosts that were sent, calls and replies too;
    `refused`, those that were not, as they come again, too; `forwarded`, messages and requests
    that went to hosts.
    """

    def __init__(self):
        self.taken = self.refused = self.forwarded = 0
        self._doors = []
        self._link = None
        self._stream = 0
        self._record = memoryview(bytearray(_RECORD_HEAD + _EXTRA))
        self._buffer = bytearray(0)
        self._out = memoryview(bytearray(_OUT_LEAST))
        self._base = self._used = self._next = self._acked = 0
        self._results = memoryview(bytearray(_RESULTS))
        self._turn_of = 0
        self._begin(0)

    def _begin(self, stream):
        self._stream = stream
        self._accepted = self._executed = self._known = 0
        self._filled = 0
        self._listed = 0  # how many channels the host was told
        self._ended = False  # and that these were all
        self._due = True
        self._since = self._heard = time.ticks_ms()  # when it last confirmed, or sent, something
        for door in self._doors:
            door.reset()

    def _door(self, channel, flag):
        for door in self._doors:
            if door.channel is channel:
                if door.flags & flag:
                    raise ValueError("%s is open for that already" % channel._title())
                return door
        if getattr(channel, "_title", None) is None or not hasattr(channel, "slot_size"):
            raise TypeError("a host can use channels, not %r" % (channel,))
        if channel.name is None:
            raise ValueError("%s needs a name, by which a host calls it" % channel._title())
        if channel.closed:
            raise ValueError("%s is closed" % channel._title())
        if channel.slot_size > _SLOT_MAX:
            text = "%s: slot_size is up to %d for a host, not %d"
            raise ValueError(text % (channel._title(), _SLOT_MAX, channel.slot_size))
        if len(self._doors) == _DOORS_MAX:
            raise ValueError("%d channels are open to a host, no more can be" % _DOORS_MAX)
        return _Door(channel)

    def _add(self, door, flag):
        size = door.channel.slot_size
        if len(self._record) < size + _RECORD_HEAD + _EXTRA:
            record = memoryview(bytearray(size + _RECORD_HEAD + _EXTRA))
            record[: self._filled] = self._record[: self._filled]
            self._record = record
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        if len(self._out) < 2 * (size + _RECORD_HEAD + _EXTRA):
            out = memoryview(bytearray(2 * (size + _RECORD_HEAD + _EXTRA)))
            out[: self._used] = self._out[: self._used]
            self._out = out
        door.flags |= flag
        if door in self._doors:
            self._listed = min(self._listed, self._doors.index(door))  # it is told again
        else:
            self._doors.append(door)
        retell()

    def flags(self, channel):
        """Return what of a channel is open: ACCEPTS | FORWARDS."""
        for door in self._doors:
            if door.channel is channel:
                return door.flags
        return 0

    # -- what the link calls

    def left(self, link, for_good):
        """The host of a link is another one, or, with `for_good`, has said goodbye."""
        if link is self._link:
            self._link = None
            if for_good:
                self._end()

    def take(self, link, kind, number, body):
        """Take a frame's body; return whether it makes sense."""
        if kind in (_OPEN, _RESUME) and len(body) >= 6:
            stream, acked = unpack_from("<IH", body)
            if stream and stream == self._stream:
                self._link = link
                self._ack(acked)
                self._next = self._acked  # what was on its way may be lost
                self._due = True
            elif stream and kind == _OPEN:
                self._end()
                self._link = link
                self._begin(stream)
            else:
                link.tell(self._tell_nothing)
        elif kind == _DATA and len(body) >= 2:
            if link is not self._link:
                link.tell(self._tell_nothing)
                return True
            self._ack(unpack_from("<H", body)[0])
            self._due = True
            self._heard = time.ticks_ms()
            if not self._feed(number, body[2:]):
                self._link = None
                self._end()
                return False
        else:
            return False
        return True

    def acked(self, link, acked):
        """The host of a link has so many bytes of ours."""
        if link is self._link:
            self._ack(acked)

    def turn(self, link):
        """Fetch what the channels have for the host of a link, as there is room."""
        if link is not self._link:
            link.pause = _PAUSE_MS
            return
        now = time.ticks_ms()
        busy = self._used or time.ticks_diff(now, self._heard) < _BUSY_MS
        link.pause = _SHORT_MS if busy else _PAUSE_MS
        if self._next and time.ticks_diff(now, self._since) > _AGAIN_MS:
            self._since = now
            self._next = self._acked
        while self._listed < len(self._doors):
            if not self._tell_door(self._listed):
                return
            self._listed += 1
        if not self._ended:
            self._ended = self._put(0, _ALL_OPENED, 0)
        doors = self._doors
        for _ in range(len(doors)):
            self._turn_of = (self._turn_of + 1) % len(doors)
            door = doors[self._turn_of]
            if door.calls is not None:
                self._fetch_responses(self._turn_of, door)
            if door.receiver is not None:
                self._fetch(self._turn_of, door)
            if door.channel.closed and not door.closed and not len(door.channel):
                door.closed = self._put(self._turn_of, _CLOSED, 0)

    def tell(self, link):
        """Send a frame, if there is something to tell the host of a link; return whether."""
        if link is not self._link:
            return False
        known = self._known
        count = self._used - self._next
        if count < _WORTH and self._next > self._acked:
            count = 0  # few bytes wait for others, until what is on its way is confirmed
        if not self._due and not count:
            return False
        count = min(count, _BODY_MAX - _STREAM_HEADER - known)
        at = self._head(link, known)
        out = memoryview(link._out)
        out[at : at + known] = self._results[_RESULTS - known :]
        at += known
        out[at : at + count] = self._out[self._next : self._next + count]
        if self._next == self._acked:
            self._since = time.ticks_ms()  # nothing was on its way
        self._next += count
        self._due = False
        link._send(_STREAM, at + count - _BODY)
        return True

    def _head(self, link, known):
        place = self._base + self._next & 0xFFFF
        pack_into(
            "<IHHHB",
            link._out,
            _BODY,
            self._stream,
            self._accepted,
            self._executed,
            place,
            known,
        )
        return _BODY + _STREAM_HEADER

    def _tell_nothing(self, link):
        # To a host whose stream is over: the stream that there is.
        link._send(_STREAM, self._head(link, 0) - _BODY)

    # -- the host's stream

    def _end(self):
        # The host will not come back: what it had begun is over.
        if not self._stream:
            return
        self._stream = 0
        for door in self._doors:
            if door.calls is not None:
                for i, id in enumerate(door.calls):
                    if id:
                        door.channel.cancel(id)
                        door.calls[i] = 0
            if door.asked is not None:
                for i, id in enumerate(door.asked):
                    if id:
                        door.asked[i] = 0
                        door.channel.send_status(id, b"", _FAILED)
                        door.channel.notify()
            door.closed = False
        # Whole messages that it has not confirmed are for the next host.
        kept = at = 0
        while at < self._used:
            size = self._length(at)
            if self._out[at + 1] & 7 == _MESSAGE:
                self._out[at + 1] |= _AGAIN
                self._out[kept : kept + size] = self._out[at : at + size]
                kept += size
            at += size
        self._used = kept
        self._base = self._next = self._acked = 0

    def _feed(self, number, data):
        # Whether the bytes from that place on make sense, as far as they are new.
        at = self._accepted - number & 0xFFFF
        if at >= len(data):
            return True  # all known, or some before it were lost
        self._accepted = number + len(data) & 0xFFFF
        record = self._record
        while at < len(data):
            whole = _RECORD_HEAD
            if self._filled >= _RECORD_HEAD:
                whole += unpack_from("<H", record, 2)[0]
                if whole > len(record):
                    return False
            count = min(whole - self._filled, len(data) - at)
            record[self._filled : self._filled + count] = data[at : at + count]
            self._filled += count
            at += count
            if self._filled == _RECORD_HEAD:
                whole += unpack_from("<H", record, 2)[0]
            if self._filled == whole:
                self._filled = 0
                result = self._execute(record[_RECORD_HEAD:whole])
                self._results[: _RESULTS - 1] = self._results[1:]
                self._results[_RESULTS - 1] = result
                self._known = min(self._known + 1, _RESULTS)
                self._executed = self._executed + 1 & 0xFFFF
        return True

    def _execute(self, body):
        index, what = self._record[0], self._record[1]
        kind = what & 7
        if index >= len(self._doors):
            return _NOT_OPEN
        door = self._doors[index]
        if kind == _GRANT and len(body) == 2 and door.receiver is not None:
            door.granted = unpack_from("<H", body)[0]
            return 1
        if kind == _CANCEL and len(body) == 2 and door.calls is not None:
            return self._cancel(door, unpack_from("<H", body)[0])
        if kind == _REPLY and len(body) >= 5 and door.asked is not None:
            return self._count(self._reply(door, body))
        if kind == _SEND and door.attempt is not None and door.calls is None:
            return self._count(self._send(door, what, body))
        if kind == _CALL and len(body) >= 2 and door.calls is not None:
            return self._count(self._call(door, what, body))
        return _NOT_OPEN if kind <= _GRANT else _WRONG

    def _count(self, result):
        if result > _MOST:
            self.refused = plus(self.refused, 1)
        else:
            self.taken = plus(self.taken, 1)
        return result

    def _send(self, door, what, body):
        channel = door.channel
        level = what >> 3 & 7
        bit = 1 << level if channel._by_class else 1
        refusal = self._why_not(door, what, bit, len(body))
        if refusal:
            return refusal
        try:
            channel._lane(door.number, level)
        except ValueError:
            return _WRONG
        sent = door.attempt(body, level)
        if sent is None:
            door.blocked |= bit
            return _FULL
        if sent is False:
            return _CLOSED_THERE  # since the look
        channel.notify()  # its receiver may wait on the other core
        return min(int(sent), _MOST)

    def _call(self, door, what, body):
        channel = door.channel
        request = body[2:]
        refusal = self._why_not(door, what, 1, len(request))
        if refusal:
            return refusal
        free = [i for i, id in enumerate(door.calls) if not id]
        id = free and door.attempt(channel._receiver, channel, request)
        if not id:
            door.blocked = 1
            return _FULL
        channel.notify()
        door.calls[free[0]] = id
        door.numbers[free[0]] = unpack_from("<H", body)[0]
        return 1

    def _why_not(self, door, what, bit, size):
        # 0, or the result of a message that need not be tried. One that comes behind another that
        # was refused is refused, too, so that they come again in their order.
        if door.channel.closed:
            return _CLOSED_THERE
        if size > door.channel.slot_size:
            return _NO_SLOT
        if what & _ONCE_MORE:
            door.blocked &= ~bit
        return _FULL if door.blocked & bit else 0

    def _cancel(self, door, number):
        for i, id in enumerate(door.calls):
            if id and door.numbers[i] == number:
                door.channel.cancel(id)
                door.calls[i] = 0
                return 1
        return 0

    def _reply(self, door, body):
        id, status = unpack_from("<IB", body)
        if len(body) - 5 > door.channel.slot_size:
            return _NO_SLOT
        for i, asked in enumerate(door.asked):
            if id and asked == id:
                door.asked[i] = 0
                sent = door.channel.send_status(id, body[5:], status)
                door.channel.notify()
                return 1 if sent else 0
        return 0

    # -- ours

    def _length(self, at):
        return _RECORD_HEAD + unpack_from("<H", self._out, at + 2)[0]

    def _ack(self, acked):
        count = acked - self._base & 0xFFFF
        if not self._acked < count <= self._used:
            return
        self._acked = count
        self._next = max(self._next, count)
        self._since = time.ticks_ms()
        at = 0
        while at < count and at + self._length(at) <= count:
            at += self._length(at)
        if at:
            self._out[: self._used - at] = self._out[at : self._used]
            self._base = self._base + at & 0xFFFF
            self._used -= at
            self._next -= at
            self._acked -= at

    def _put(self, index, what, size):
        # The header of a record whose body, behind it, is there already; whether there is room.
        if self._used + _RECORD_HEAD + size > len(self._out):
            return False
        pack_into("<BBH", self._out, self._used, index, what, size)
        self._used += _RECORD_HEAD + size
        return True

    def _room(self, size):
        # Where the body of the next record begins, or 0.
        at = self._used + _RECORD_HEAD
        return at if at + size <= len(self._out) else 0

    def _tell_door(self, index):
        door = self._doors[index]
        channel = door.channel
        text = ("%s;%s" % (type(channel).__name__, channel.name)).encode()[:128]
        at = self._room(4 + len(text))
        if not at:
            return False
        classes = 31
        if channel._by_class:
            for level in range(5):
                try:
                    channel._lane(0, level)
                except ValueError:
                    classes &= ~(1 << level)
        pack_into("<BBH", self._out, at, door.flags, classes, channel.slot_size)
        self._out[at + 4 : at + 4 + len(text)] = text
        return self._put(index, _OPENED, 4 + len(text))

    def _fetch(self, index, door):
        # What the channel has for the host, as many as it has asked for.
        most = door.channel.slot_size + 8
        while 0 < (door.granted - door.forwarded & 0xFFFF) < 0x8000:
            at = self._room(most)
            if not at:
                return
            if door.asked is None:
                if door.receiver is not door.channel and door.receiver.closed:
                    return
                m = door.receiver.recv(self._buffer)
                if not m:
                    return
                size, level, latency = m
                pack_into("<II", self._out, at, door.receiver.timestamp(), latency)
                what = _MESSAGE | level << 3
            else:
                free = [i for i, id in enumerate(door.asked) if not id]
                m = free and door.channel.recv_request(self._buffer)
                if not m:
                    return
                size, id, latency = m
                door.asked[free[0]] = id
                pack_into("<II", self._out, at, id, latency)
                what = _REQUEST
            self._out[at + 8 : at + 8 + size] = memoryview(self._buffer)[:size]
            self._put(index, what, 8 + size)
            door.forwarded = door.forwarded + 1 & 0xFFFF
            self.forwarded = plus(self.forwarded, 1)

    def _fetch_responses(self, index, door):
        for i, id in enumerate(door.calls):
            if not id:
                continue
            at = self._room(door.channel.slot_size + 7)
            if not at:
                return
            try:
                m = door.channel.recv_response(id, self._buffer)
            except ValueError:  # somebody else has cancelled it
                door.calls[i] = 0
                continue
            if not m:
                continue
            size, status, latency = m
            door.calls[i] = 0
            pack_into("<HBI", self._out, at, door.numbers[i], status, latency)
            self._out[at + 7 : at + 7 + size] = memoryview(self._buffer)[:size]
            self._put(index, _RESPONSE, 7 + size)


_desk = Desk()
opened.append(_desk)
