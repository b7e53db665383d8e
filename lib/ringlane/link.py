"""link: lets a host look at the channels of a running program, over what the board has.

    import ringlane.link

    async def main():
        asyncio.create_task(ringlane.link.serve())  # over the console, beside what is printed
        ...

Then, on the host, `ringlane top PORT`. Over another stream: serve(UART(0, 115200)), or a socket
that does not block. serve() is a task like any other: it sends when the others wait, a few frames
a turn, and never delays a handler. Without a host it looks for one ten times a second.

What goes over the wire is in lib/ringlane_host/link/README.md. All buffers are allocated by
serve(), so whatever a host sends, a frame is at most 254 bytes here; what is damaged, too long or
unknown is counted and dropped. The board sends only as many frames as the host has given credit
for, so a slow host delays nobody: what is not sent in time is overwritten in the recorder, or
skipped, and counted.
"""

import asyncio
import gc
import os
import select
import sys
import time
from array import array
from binascii import crc32
from struct import pack_into, unpack_from

import micropython
from micropython import const

import ringlane

from .figures import lines
from .registry import channels

#: words(cog.inFile) :#
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_CAPACITY = const(4)  # slots; 0: the class is not used
_WRITE = const(5)  # bytes from here to the slot to write next. Owner: producer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_TIME = const(1)  # the clock when it was sent
_SLOT_BYTES = const(8)
# stamped.

VERSION = 3  # of the frames

# Types. From the host:
# Credit limit u16: frames with numbers below it may be sent; snapshot period in ms u16; flags u8.
_ATTACH = const(1)
# Credit limit u16, token u32, which _TELL_TIME gives back; bytes of the desk's stream u16.
_ASK = const(2)
_ASK_TABLE = const(3)
_BYE = const(4)
# From the board:
_HELLO = const(0x81)
_CHANNEL = const(0x82)
_SNAPSHOT = const(0x83)
_EVENTS = const(0x84)
_BOARD = const(0x85)
_TELL_TIME = const(0x86)
_GONE = const(0x87)

opened = []  # the desk of remote.py, once a channel is opened to a host: it has frames of its own

_WANTS_EVENTS = const(1)  # in the flags of _ATTACH
_GOES_ON = const(2)  # the host has followed the events before, perhaps of another start
_TAPPED = const(1)  # in the flags of _CHANNEL
_MEASURED = const(2)
_DEFAULT_CLOCK = const(4)
_ELSEWHERE = const(1)  # in the flags of _BOARD: the events that it wants go to another host

_HEADER = const(6)  # version u8, type u8, session u16, number u16
_PAYLOAD_MAX = const(254)  # header, body and CRC: COBS has one code byte before it
_BODY = const(2 + 6)  # where it begins in the buffer: behind 0x00, the code byte, the header
_EVENTS_HEADER = const(20)
_CHANNEL_HEADER = const(23)
_ROW_BYTES = const(42)
_ROWS_MAX = const(5)  # of a _SNAPSHOT
_CHANNELS_MAX = const(64)
_RECEIVER = const(255)  # in place of a sender's number
_NONE = const(0xFFFF)

_CONSOLE_MAX = const(64)  # bytes at once; also those of a packet of USB
_TURN_MS = const(10)
_IDLE_MS = const(100)
_LOOK_EVERY = const(5)
_FRAMES_A_TURN = const(8)
_PATIENCE_MS = const(3000)  # without a word from it the host is gone
_ESCAPE = const(0x1B)


@micropython.viper
def stuff(frame, size: int) -> int:
    """Encode in place: `size` bytes, up to 254, from frame[2] on; return the frame's length.

    0x00, then COBS (each zero replaced by how far the next one is), then 0x00.
    """
    at = ptr8(frame)
    code = size + 1
    i = size
    while i:
        if not at[1 + i]:
            at[1 + i] = code - i
            code = i
        i -= 1
    at[0] = 0
    at[1] = code
    at[size + 2] = 0
    return size + 3


@micropython.viper
def escape(frame, size: int, wire) -> int:
    """Copy a frame to `wire`, of twice its length, as it may pass a console; return its length.

    A control character, as Ctrl-C or the end of a line, becomes 0x1B and the byte ^ 0x40.
    """
    at = ptr8(frame)
    out = ptr8(wire)
    i = 0
    to = 0
    while i < size:
        byte = at[i]
        i += 1
        if byte < 32 and byte:
            out[to] = _ESCAPE
            to += 1
            byte ^= 0x40
        out[to] = byte
        to += 1
    return to


@micropython.viper
def unstuff(frame, size: int) -> int:
    """Decode in place what stood between two zeros; return the payload's length, or -1."""
    at = ptr8(frame)
    i = 0
    to = 0
    left = 0  # bytes until the next code
    whole = 1  # the code before was 0xFF: no zero stands for it
    while i < size:
        byte = at[i]
        i += 1
        if byte == _ESCAPE:
            if i == size:
                return -1
            byte = at[i] ^ 0x40
            i += 1
        if left:
            at[to] = byte
            to += 1
            left -= 1
        elif byte:
            if not whole:
                at[to] = 0
                to += 1
            left = byte - 1
            whole = 1 if byte == 0xFF else 0
        else:
            return -1
    if left:
        return -1
    return to


@micropython.viper
def _sent_last(lane: int, stride: int) -> int:
    # Return the stamp of the message sent last; -1 if there is none.
    at = ptr32(lane)
    if not at[_HEAD]:
        return -1
    write = at[_WRITE]
    if not write - at[_FIRST]:
        write = at[_END]
    return ptr32(lane + write - stride)[_TIME] & 0x3FFFFFFF


@micropython.viper
def _last(lane: int, stride: int, to, offset: int) -> int:
    # Copy the first 8 bytes of the message sent last; return its size, _NONE if there is none.
    at = ptr32(lane)
    head = at[_HEAD]
    if not head:
        return _NONE
    write = at[_WRITE]
    if not write - at[_FIRST]:
        write = at[_END]
    slot = ptr8(lane + write - stride)
    size = ptr16(slot)[0]
    count = stride - _SLOT_BYTES
    if count > 8:
        count = 8
    out = ptr8(to)
    while count:
        count -= 1
        out[offset + count] = slot[_SLOT_BYTES + count]
    # Looked at after the copy: with so many sent since, the sender may be in this slot.
    if ((at[_HEAD] - head) & 0x3FFFFFFF) + 1 >= at[_CAPACITY]:
        return _NONE
    return size


def _now():
    return time.ticks_us() & 0x3FFFFFFF  # as the default clock


class _Console:
    # sys.stdin and sys.stdout as one stream that does not block.
    def __init__(self):
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._readable = select.poll()
        self._readable.register(sys.stdin, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(sys.stdout, select.POLLOUT)
        self._byte = bytearray(1)

    def readinto(self, buf):
        count = 0
        while count < len(buf) and any(True for _ in self._readable.ipoll(0)):
            if not self._in.readinto(self._byte):
                break
            buf[count] = self._byte[0]
            count += 1
        return count

    def write(self, data):
        if not any(True for _ in self._writable.ipoll(0)):
            return 0
        # In parts: a UART's console of a chip takes what it is given however long that lasts, and
        # soft handlers run between two calls only.
        return self._out.write(data[:_CONSOLE_MAX])


class Link:
    """Link(stream): the board's side of a link; serve() makes one.

    `stream` has readinto(buf) and write(data), which return how many bytes, or None or 0 at once
    if there are none or no room: as a UART with timeout=0, or a socket after setblocking(False).

    Attributes: `attached`, whether a host is there; `boot`, a number, another one after each
    start; `damaged`, frames from the host that were dropped; `skipped`, snapshots not sent.
    """

    def __init__(self, stream):
        self._stream = stream
        try:
            self.boot = unpack_from("<I", os.urandom(4))[0]
        except AttributeError:
            self.boot = _now()
        self._chunk = bytearray(64)
        self._in = bytearray(2 * _PAYLOAD_MAX)  # every byte may be escaped
        self._filled = -1  # bytes of a frame; -1: not in one
        self._out = bytearray(_PAYLOAD_MAX + 3)
        self._wire = memoryview(bytearray(2 * len(self._out)))
        self._sent = self._size = 0  # of the frame in _out
        self._figures = array("I", bytes(20))
        self.attached = False
        self.damaged = 0
        self.skipped = 0
        self._session = self._number = self._limit = 0
        self._heard = self._shown = 0
        self._period = 1000
        self._wants_events = False
        self._follows = False  # it gets them
        self._goes_on = False
        self._table = []
        # Of rings that are older than the host, by serial: the number of the first event that is
        # for it, and how many were overwritten by then.
        self._starts = {}
        self._edition = 0  # of the table, modulo 256
        self.pause = _TURN_MS  # until the next turn, while a host is there
        self._to_tell = []  # what is to be sent, as it can be: functions and their arguments
        self._turn_of = self._turns = 0

    def turn(self):
        """Receive what has come and send what is due: a few frames, what the stream takes."""
        self._receive()
        if not self.attached:
            return
        now = time.ticks_ms()
        if time.ticks_diff(now, self._heard) > _PATIENCE_MS:
            self.attached = False
            return
        if self._wants_events and not self._follows:
            self._follow()
        if time.ticks_diff(now, self._shown) >= self._period:
            self._shown = now
            self._round()
        for desk in opened:
            desk.turn(self)
        # A frame of a single event costs as much as one of several: they wait for others a while.
        self._turns = (self._turns + 1) % _LOOK_EVERY
        least = 8 if self._turns else 1
        for _ in range(_FRAMES_A_TURN):
            if not self._flush() or not 0 < (self._limit - self._number & 0xFFFF) < 0x8000:
                return
            if self._to_tell:
                tell, what = self._to_tell.pop(0)
                tell(what)
            elif opened and opened[0].tell(self):
                pass
            elif not self._follows or not self._tell_events(least):
                return

    def close(self):
        """Tell the host that the program is over."""
        if self.attached and self._flush():
            self._send(_GONE, 0)
        self.attached = False
        self._leave(True)

    # -- what comes

    def _receive(self):
        for _ in range(4):
            count = self._stream.readinto(self._chunk) or 0
            for i in range(count):
                byte = self._chunk[i]
                if byte:
                    if 0 <= self._filled < len(self._in):
                        self._in[self._filled] = byte
                        self._filled += 1
                    elif self._filled > 0:
                        self._filled = -1  # too long for a frame
                        self.damaged += 1
                elif self._filled > 0:
                    self._take(unstuff(self._in, self._filled))
                    self._filled = 0  # should that have been a frame's beginning
                else:
                    self._filled = 0
            if count < len(self._chunk):
                return

    def _take(self, size):
        body = size - _HEADER - 4
        frame = memoryview(self._in)
        if (
            not 0 <= body <= _PAYLOAD_MAX
            or crc32(frame[: size - 4]) != unpack_from("<I", frame, size - 4)[0]
        ):
            self.damaged += 1
            return
        version, kind, session, number = unpack_from("<BBHH", frame)
        if kind == _ATTACH and (version != VERSION or body >= 5):
            # Also to a host of another version, so that it can say so.
            self._attach(session, frame if version == VERSION else None)
        elif version == VERSION and self.attached and session == self._session:
            self._heard = time.ticks_ms()
            if kind == _ASK and body >= 6:
                self._limit, token = unpack_from("<HI", frame, _HEADER)
                if body >= 8:
                    for desk in opened:
                        desk.acked(self, unpack_from("<H", frame, _HEADER + 6)[0])
                if self._flush():
                    pack_into("<II", self._out, _BODY, token, _now())
                    self._send(_TELL_TIME, 8)
            elif kind == _ASK_TABLE:
                self._tell_table()
            elif kind == _BYE:
                self.attached = False
                self._leave(True)
            elif not opened or not opened[0].take(self, kind, number, frame[_HEADER : size - 4]):
                self.damaged += 1
        else:
            self.damaged += 1

    def _leave(self, for_good):
        for desk in opened:
            desk.left(self, for_good)

    def tell(self, function):
        """Let `function(link)` send a frame when there is credit; once, however often told."""
        if (function, self) not in self._to_tell:
            self._to_tell.append((function, self))

    def _attach(self, session, frame):
        self._leave(False)
        self._session = session
        self._number = 0
        if self._flush():
            kind = sys.implementation
            said = "%s;%s;%s" % (
                ringlane.__version__,
                ".".join([str(part) for part in kind.version[:3]]),
                getattr(kind, "_machine", sys.platform),
            )
            text = ("%s;%d" % (said[:160], _now())).encode()
            pack_into("<I", self._out, _BODY, self.boot)
            self._out[_BODY + 4 : _BODY + 4 + len(text)] = text
            self._send(_HELLO, 4 + len(text))
        if frame is None:
            return
        self._limit, self._period, flags = unpack_from("<HHB", frame, _HEADER)
        self._period = max(self._period, 50)
        self._wants_events = bool(flags & _WANTS_EVENTS)
        self._heard = time.ticks_ms()
        self._shown = time.ticks_add(self._heard, -self._period)  # at once
        self.attached = True
        self._follows = False
        self._goes_on = bool(flags & _GOES_ON)
        self._new_table()
        if self._wants_events:
            self._follow()

    def _follow(self):
        # Let the host have the events, unless another one has them: two would take each other's.
        for each in _links:
            if each is not self and each.attached and each._follows:
                return
        self._follows = True
        if self._goes_on:
            return
        self._starts = {}
        for _, ring in self._rings():
            lost = max(ring.waiting - ring.kept, 0)
            start = ring.taken + lost & 0x3FFFFFFF
            self._starts[ring.serial] = start, ring.overwritten + lost

    # -- what goes

    def _flush(self):
        # Whether the frame before is away.
        while self._sent < self._size:
            count = self._stream.write(self._wire[self._sent : self._size])
            if not count:
                return False
            self._sent += count
        return True

    def _send(self, kind, size):
        # A frame whose body stands in _out.
        pack_into("<BBHH", self._out, 2, VERSION, kind, self._session, self._number)
        end = _BODY + size
        pack_into("<I", self._out, end, crc32(memoryview(self._out)[2:end]))
        self._number = self._number + 1 & 0xFFFF
        self._size = escape(self._out, stuff(self._out, end + 2), self._wire)
        self._sent = 0
        self._flush()

    def _new_table(self):
        self._table = channels()[:_CHANNELS_MAX]
        self._edition = self._edition + 1 & 0xFF
        self._tell_table()

    def _change_table(self, _):
        # The last events of channels that have closed go first: then their rings are forgotten.
        left = [each for each in self._rings() if self._table[each[0]].closed and each[1].waiting]
        if left and self._follows:
            self._to_tell = [(self._tell_ring, each) for each in left]
            self._to_tell.append((self._change_table, None))
        else:
            self._new_table()

    def _tell_table(self):
        self._to_tell = [(self._tell_channel, each) for each in range(len(self._table))]
        if not self._table:
            self._to_tell = [(self._tell_no_channel, None)]
        self._to_tell += [(self._tell_ring, each) for each in self._rings()]

    def _rings(self):
        # (number in the table, ring) of each end that is tapped.
        found = []
        for index, channel in enumerate(self._table):
            if channel._tap is not None:
                found += [(index, ring) for ring in channel._tap.rings if ring.channel is channel]
        return found

    def _round(self):
        # A snapshot of everything is due.
        if any(tell == self._tell_status for tell, _ in self._to_tell):  # `is` is never true there
            self.skipped = self.skipped + 1 & 0x3FFFFFFF
            return  # the one before is not sent yet
        self._to_tell.append((self._tell_status, None))
        if channels()[:_CHANNELS_MAX] != self._table:
            self._to_tell.append((self._change_table, None))
            return
        self._to_tell += [(self._tell_snapshot, each) for each in range(len(self._table))]
        if self._follows:
            self._to_tell += [(self._tell_ring, each) for each in self._rings()]

    def _tell_status(self, _):
        pack_into(
            "<IIIIBH",
            self._out,
            _BODY,
            _now(),
            gc.mem_free(),
            self.skipped,
            self.damaged & 0x3FFFFFFF,
            _ELSEWHERE if self._wants_events and not self._follows else 0,
            max(len(channels()) - _CHANNELS_MAX, 0),
        )
        self._send(_BOARD, 19)

    def _tell_no_channel(self, _):
        pack_into("<BBB", self._out, _BODY, self._edition, 0, 0)
        self._send(_CHANNEL, 3)

    def _tell_channel(self, index):
        channel = self._table[index]
        clock = channel.clock
        flags = 0 if channel._tap is None else _TAPPED
        if getattr(channel, "_stats", None) is not None:
            flags |= _MEASURED
        if clock.ticks is time.ticks_us:
            flags |= _DEFAULT_CLOCK
        for desk in opened:
            flags |= desk.flags(channel) << 3
        pack_into(
            "<BBBBBHIIII",
            self._out,
            _BODY,
            self._edition,
            index,
            len(self._table),
            flags,
            channel.senders,
            channel.slot_size,
            clock.hz & 0xFFFFFFFF,
            clock.period - 1,
            _now(),
            clock.ticks() & clock.period - 1,
        )
        text = ("%s;%s" % (type(channel).__name__, channel.name)).encode()[:128]
        at = _BODY + _CHANNEL_HEADER
        self._out[at : at + len(text)] = text
        self._send(_CHANNEL, _CHANNEL_HEADER + len(text))

    def _tell_snapshot(self, what):
        # Of a channel, or from one of its rows on.
        index, skip = what if isinstance(what, tuple) else (what, 0)
        channel = self._table[index]
        rows = lines(channel)
        at = _BODY + 32
        for label, row, capacity, figures in rows[skip : skip + _ROWS_MAX]:
            figures = [0xFFFFFFFF if each is None else each for each in figures]
            queued, sent, received, dropped, rejected, high_water = figures
            size = _NONE
            if row is not None:
                size = self._last_of(channel, row, at + 34)
            pack_into(
                "<10sHHHIIIIH",
                self._out,
                at,
                label.encode()[:10],
                capacity,
                min(queued, _NONE),
                min(high_water, _NONE),
                sent,
                received,
                dropped,
                rejected,
                size,
            )
            at += _ROW_BYTES
        shown = (at - _BODY - 32) // _ROW_BYTES
        for i in range(5):
            self._figures[i] = 0
        if not skip and getattr(channel, "_stats", None) is not None:
            channel.stats_into(self._figures)
        pack_into(
            "<BBBBIIIIIII",
            self._out,
            _BODY,
            self._edition,
            index,
            skip,
            shown,
            _now(),
            channel.clock.ticks() & channel.clock.period - 1,
            self._figures[0],
            self._figures[1],
            self._figures[2],
            self._figures[3],
            self._figures[4],
        )
        self._send(_SNAPSHOT, at - _BODY)
        if skip + shown < len(rows):
            self._to_tell.insert(0, (self._tell_snapshot, (index, skip + shown)))

    def _last_of(self, channel, row, at):
        # As _last, of the sender that sent last.
        stride = 8 + (channel.slot_size + 3 & ~3)
        now = channel.clock.ticks()
        ages = []
        for sender in range(channel.senders):
            lane = channel._base + (channel._header(sender, row) << 2)
            sent = _sent_last(lane, stride)
            if sent >= 0:
                ages.append((now - sent & channel.clock.period - 1, lane))
        return _last(min(ages)[1], stride, self._out, at) if ages else _NONE

    def _tell_events(self, least):
        # Of the next ring that has so many, or half of what it keeps; return whether one has.
        rings = self._rings()
        for _ in range(len(rings)):
            self._turn_of = (self._turn_of + 1) % len(rings)
            ring = rings[self._turn_of][1]
            if ring.waiting >= min(least, ring.kept >> 1):
                self._tell_ring(rings[self._turn_of])
                return True
        return False

    def _tell_ring(self, what):
        # The events of a ring, also none: the host then knows that it has missed none.
        if not self._follows:
            return
        index, ring = what
        header = _EVENTS_HEADER
        clock = ring.channel.clock
        if clock.ticks is not time.ticks_us:
            header += 8
        room = memoryview(self._out)[: _PAYLOAD_MAX - 2]  # and the CRC behind it
        count = ring.take(room, _BODY + header)
        if header > _EVENTS_HEADER:  # read behind the events, so that they are older
            ticks = clock.ticks() & clock.period - 1
            pack_into("<II", self._out, _BODY + _EVENTS_HEADER, _now(), ticks)
        start, before = self._starts.get(ring.serial, (0, 0))
        pack_into(
            "<BBBBIIIBBH",
            self._out,
            _BODY,
            self._edition,
            index,
            _RECEIVER if ring.sender is None else ring.sender,
            ring.stride,
            start,
            ring.taken - count & 0x3FFFFFFF,
            ring.overwritten - before & 0x3FFFFFFF,
            count,
            ring.receiver or 0,
            ring.serial & 0xFFFF,
        )
        self._send(_EVENTS, header + count * ring.stride)


_links = []  # that are served


def retell():
    """Tell hosts the channels again, as one was opened to them."""
    for link in _links:
        if link.attached:
            link._new_table()


async def attached():
    """Wait until a host is attached to a link of this program, so that it misses nothing."""
    while not any(link.attached for link in _links):
        await asyncio.sleep_ms(_TURN_MS)


async def serve(stream=None):
    """Serve a host over `stream`, see Link; None: over the console. Never returns.

    A task for each stream. The program must not read the console itself meanwhile.
    """
    link = Link(_Console() if stream is None else stream)
    _links.append(link)
    try:
        while True:
            link.turn()
            await asyncio.sleep_ms(link.pause if link.attached else _IDLE_MS)
    finally:
        _links.remove(link)
        link.close()
