"""RequestReplyChannel: a client asks, a server answers, in any order.

    client                                  server
    id = send_request(data)  --- lane --->  recv_request(buf) -> [size, id, latency]
       an entry of the table is issued         requests that were cancelled are passed over
       to this request                      ...
    recv_response(id, buf)  <-- table ---   send_response(id, data)
       -> [size, status, latency]              into the entry, which the request reserved
       the entry is free again

Who may write what of an entry, which is all that the two share beside the lane of requests:
    issued      Owner: client. The request's id, marked once its reply is taken or it is cancelled.
    replied     Owner: server. The id of the request that it answered last. A request is pending
                while the two differ.
    the reply   Owner: server, from when the entry is issued until it is replied; then the client.

An id is the entry's number and a generation that grows with each use, so that a late, repeated or
unknown reply is rejected and counted, and never taken for a newer request's.

    rpc = RequestReplyChannel(4, slot_size=16)

    async def ask():  # a task of the client's context
        size, status, latency = await rpc.call(b"read 3", buf, 50)

    rpc.serve_wait(handler)  # on the other core: reply = handler(request)

Who may call what: the client's send_request and cancel belong to one context, as a sender's verbs
do: a hard handler, or all tasks and soft handlers of a core. So do recv_response, whose result is
reused, and call and call_wait, which have their own, but recv_response to the tasks of one event
loop or to one handler. The server's recv_request, send_response, send_status, serve and serve_wait
belong to one context, and the results of recv_request likewise.

Cost of a round trip of 16 bytes, without waiting: 13,100 cycles, of which a histogram of the round
trips takes a part (emulated RP2040, MicroPython 1.28).
"""

import errno
import sys

import micropython
from micropython import const

from .lanes import (
    Lanes,
    Receiver,
    Sender,
    _error,
    _load,
    _plus,
    _store,
    check_buffer,
    check_message,
    make_receiver,
    register,
    waiting,
    whole,
)
from .latency import LatencyHistogram

FAILED = 255  # the status of a reply when the server's handler raised

# As in lanes.py, where they are explained; const folds within a file only.
_NOTHING = const(2)
_RX_META = const(7)
_LIMIT = const(1)
_OWN_LANES = const(2)
_HEAD = const(0)
_TAIL = const(1)
_CAPACITY = const(3)
_DROPPED = const(7)
_REJECTED = const(8)

# The table: these words, the entries, and a byte each for the numbers of the free ones.
_COUNT = const(0)  # entries
_ENTRIES = const(1)  # bytes from here to the first
_ENTRY_PITCH = const(2)  # bytes of an entry
_STACK = const(3)  # bytes from here to the numbers of the free entries, a stack
_FREE = const(4)  # how many are there. Owner: client
_NO_ENTRY = const(5)  # requests that found none. Owner: client
_REQUEST_KNOWN = const(6)  # the client's message last checked, as a word. Owner: client
_BUFFER_KNOWN = const(7)  # the client's buffer last checked. Owner: client
_TAKEN = const(8)  # replies. Owner: client
_STATUS = const(9)  # of the next reply. Owner: server
_LATE = const(10)  # replies rejected: late, repeated or unknown. Owner: server
_TOO_LARGE = const(11)  # replies rejected: larger than a slot. Owner: server
_REPLY_KNOWN = const(12)  # the server's message last checked. Owner: server
_REPLY_LIMIT = const(13)  # slot_size + 1
_CLOCK_REGISTER = const(14)  # address of the clock's register, 0: call the clock's ticks()
_PERIOD = const(15)  # the clock's period - 1
_TABLE_BYTES = const(64)

# An entry: its words, then the reply's payload.
_ISSUED = const(0)
_REPLIED = const(1)
_ASKED = const(2)  # when its request was sent. Owner: client
_REPLY_META = const(3)  # size | status << 16. Owner: server
_ENTRY_BYTES = const(16)

_POLL = const(3)  # as in waiting.py

# An id: index | generation << 8, below 2**29. Of an entry that is free, _OVER is set in issued.
_OVER = const(0x20000000)
_GENERATIONS = const(0x1FFFFF)
_LAST_BUT_SOME = const(0x1FFF00)  # from here on generations start anew; leaves room for a leap
_LEAP = const(0x100)  # leaves the eight bits that a request carries as they are


def make_client(table, slow, put):
    """Return (send_request, recv_response, cancel) over `table`.

    `put` is the send of the lane of requests. A call of a closure allocates when cells and
    arguments together are more than five, so what is not on the hot path hangs on `slow`.
    """
    size_of = len

    @micropython.viper
    def send_request(data) -> int:
        """Queue a request of 0..slot_size bytes; return its id, above 0.

        0, and counted: `capacity` requests are outstanding or not yet read (dropped), or the
        message is larger than a slot or the channel closed (rejected). Raises TypeError if `data`
        is not bytes-like or its items are not bytes.

        Context: the client's | alloc: none | time: O(bytes) | blocks: never
        """
        own = ptr32(table)
        known = data if 1 else 0  # as in lanes.py
        if (known - own[_REQUEST_KNOWN]) & 0x3FFFFFFF:
            if slow._check_request(data):
                slow._kept[1] = data
                own[_REQUEST_KNOWN] = known
        # From here on no Python code runs, not in `put` either: no soft handler comes between.
        free = own[_FREE] - 1
        if free < 0:
            own[_NO_ENTRY] += 1
            return 0
        index = ptr8(int(own) + own[_STACK])[free]
        entry = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_PITCH])
        before = entry[_ISSUED]
        generation = (before >> 8 & _GENERATIONS) + 1
        if generation >= _LAST_BUT_SOME:
            generation = _LEAP | generation & 0xFF
        if entry[_REPLIED] == (generation << 8 | index):
            generation += _LEAP  # a reply of two million requests ago, and none since, is no reply
        id = generation << 8 | index
        register = own[_CLOCK_REGISTER]
        if register:
            entry[_ASKED] = ptr32(register)[0]
        else:
            entry[_ASKED] = int(slow._ticks())
        # Order: issued before the request, so the server does not take it for a cancelled one.
        entry[_ISSUED] = id
        if not put(data, index | (generation & 0xFF) << 8):
            entry[_ISSUED] = before
            return 0
        own[_FREE] = free
        return id

    @micropython.viper
    def recv_response(id: int, buf):
        """Take the reply to request `id`: copy it to the start of `buf`.

        Return the client's own list [size, status, latency], or None while the reply is pending.
        The next reply reuses the list. Latency is from send_request to here, in clock ticks.
        Raises ValueError if the request is not outstanding (never sent, answered and taken, or
        cancelled) or the reply larger than `buf`, which leaves it there, and TypeError if `buf`
        is not writable or its items are not bytes.

        Context: the client's | alloc: none | time: O(bytes) | blocks: never
        """
        own = ptr32(table)
        known = buf if 1 else 0
        if (known - own[_BUFFER_KNOWN]) & 0x3FFFFFFF:
            slow._check_buffer(buf)
            slow._kept[0] = buf
            own[_BUFFER_KNOWN] = known
        room = int(size_of(buf))
        target = int(ptr8(buf))
        index = id & 0xFF
        if id <= 0 or id >= _OVER or index >= own[_COUNT]:
            slow._unknown(id)
        entry = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_PITCH])
        if entry[_ISSUED] != id:
            slow._unknown(id)
        if entry[_REPLIED] != id:
            return None
        meta = entry[_REPLY_META]
        size = meta & 0xFFFF
        if size > room:
            slow._small_buffer(size, room)
        source = int(entry) + _ENTRY_BYTES
        end = source + size
        if not target & 3:
            last = end - 4
            while source <= last:
                ptr32(target)[0] = ptr32(source)[0]
                source += 4
                target += 4
        while source < end:
            ptr8(target)[0] = ptr8(source)[0]
            source += 1
            target += 1
        register = own[_CLOCK_REGISTER]
        if register:
            now = ptr32(register)[0]
        else:
            now = int(slow._ticks())
        latency = (now - entry[_ASKED]) & own[_PERIOD]
        result = slow._reply
        result[0] = size
        result[1] = meta >> 16 & 0xFF
        result[2] = latency
        entry[_ISSUED] = id | _OVER
        free = own[_FREE]
        ptr8(int(own) + own[_STACK])[free] = index
        own[_FREE] = free + 1
        own[_TAKEN] += 1
        slow._add(latency)
        return result

    @micropython.viper
    def cancel(id: int) -> bool:
        """Give up request `id`: a reply to it will be rejected, and its entry is free again.

        True: it was outstanding, perhaps with a reply that nobody has taken. False: it was not.

        Context: the client's | alloc: none | time: O(1) | blocks: never
        """
        own = ptr32(table)
        index = id & 0xFF
        if id <= 0 or id >= _OVER or index >= own[_COUNT]:
            return False
        entry = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_PITCH])
        if entry[_ISSUED] != id:
            return False
        entry[_ISSUED] = id | _OVER
        free = own[_FREE]
        ptr8(int(own) + own[_STACK])[free] = index
        own[_FREE] = free + 1
        return True

    return send_request, recv_response, cancel


def make_try_request(table, slow):
    """Return what sends a request if it can be sent now, and else returns 0 and counts nothing."""
    send_request = slow.send_request
    block = slow._senders[0]._block

    @micropython.viper
    def try_request(data) -> int:
        own = ptr32(table)
        known = data if 1 else 0  # as in send_request: no Python code runs after the look
        if (known - own[_REQUEST_KNOWN]) & 0x3FFFFFFF:
            if slow._check_request(data):
                slow._kept[1] = data
                own[_REQUEST_KNOWN] = known
        part = ptr32(block)
        header = ptr32(int(part) + part[_OWN_LANES])
        used = header[_HEAD] - header[_TAIL]
        if used < 0:
            used += header[_CAPACITY] + header[_CAPACITY]
        if not own[_FREE] or used >= header[_CAPACITY] or int(len(data)) >= part[_LIMIT]:
            return 0
        return int(send_request(data))

    return try_request


def make_look(table, block, wanted):
    """Return the look of a call's waiter, as in waiting.py: until there is a reply.

    `wanted` is the word of its request's id. It is over, too, when nobody waits for the reply any
    more, or the channel is closed: the first sender's words begin `block`.
    """

    @micropython.viper
    def look(request: int, flags: int) -> int:
        if request != _POLL:
            return -1
        own = ptr32(table)
        id = ptr32(wanted)[0]
        entry = ptr32(int(own) + own[_ENTRIES] + (id & 0xFF) * own[_ENTRY_PITCH])
        if entry[_REPLIED] != id and entry[_ISSUED] == id and ptr32(block)[_LIMIT]:
            return 0
        return flags

    return look


def make_recv_request(table, block, take):
    """Return the recv_request over `table`; `take` is the recv of the lane of requests."""
    result = [0, 0, 0]

    @micropython.viper
    def recv_request(buf):
        """Take the next request that was not cancelled: copy it to the start of `buf`.

        Return the server's own list [size, id, latency], reused by the next, or None if none is
        queued. Latency is from send_request to here. Errors as recv.

        Context: the server's | alloc: none | time: O(bytes), and cancelled ones | blocks: never
        """
        own = ptr32(table)
        while True:
            m = take(buf)
            if not m:
                return None
            meta = ptr32(block)[_RX_META]
            index = meta >> 16 & 0xFF
            issued = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_PITCH])[_ISSUED]
            # At most `capacity` requests, 255, are queued: eight bits tell generations apart.
            if not issued & _OVER and (issued >> 8 & 0xFF) == (meta >> 24 & 0xFF):
                result[0] = m[0]
                result[1] = issued
                result[2] = m[2]
                return result

    return recv_request


def make_send_response(table, slow):
    """Return (send_response, send_status) over `table`."""
    size_of = len

    @micropython.viper
    def send_response(id: int, data) -> bool:
        """Answer request `id` with `data`, 0..slot_size bytes, and the status 0.

        True: the client can take it. False, and counted: the request was cancelled, is answered
        already or never was (late), or the reply is larger than a slot (rejected; the request
        stays pending). Raises TypeError if `data` is not bytes-like or its items are not bytes.

        Context: the server's | alloc: none | time: O(bytes) | blocks: never
        """
        own = ptr32(table)
        status = own[_STATUS]
        own[_STATUS] = 0
        known = data if 1 else 0
        if (known - own[_REPLY_KNOWN]) & 0x3FFFFFFF:
            if slow._check_message(data):
                slow._kept_reply[0] = data
                own[_REPLY_KNOWN] = known
        size = int(size_of(data))
        source = int(ptr8(data))
        index = id & 0xFF
        if id <= 0 or id >= _OVER or index >= own[_COUNT]:
            own[_LATE] += 1
            return False
        entry = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_PITCH])
        if entry[_ISSUED] != id or entry[_REPLIED] == id:
            own[_LATE] += 1
            return False
        if size >= own[_REPLY_LIMIT]:
            own[_TOO_LARGE] += 1
            return False
        # Should it be cancelled from here on, nobody reads what is written.
        target = int(entry) + _ENTRY_BYTES
        end = source + size
        if not source & 3:  # an unaligned word access is a HardFault on the M0+
            last = end - 4
            while source <= last:
                ptr32(target)[0] = ptr32(source)[0]
                source += 4
                target += 4
        while source < end:
            ptr8(target)[0] = ptr8(source)[0]
            source += 1
            target += 1
        entry[_REPLY_META] = size | status << 16
        entry[_REPLIED] = id  # Order: the reply before replied, so the client reads all of it.
        return True

    @micropython.viper
    def send_status(id, data, status: int):
        """As send_response, with a status of 0..255 beside the data; of others the low 8 bits.

        Context: the server's | alloc: none | time: O(bytes) | blocks: never
        """
        int(id)  # raises if it is none, before the status is set, and stays the object it is
        ptr32(table)[_STATUS] = status & 0xFF
        return send_response(id, data)

    return send_response, send_status


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


@micropython.viper
def _is_checked(data):
    pass


class _Server(Receiver):
    # What the server's verbs call off the hot path; it keeps what they have checked.

    def __init__(self, clock, slot_size):
        self._kept = [None, None]
        self._kept_reply = [None]
        self._ticks = clock.ticks
        self._slot_size = slot_size
        self._check_buffer = check_buffer

    def _check_message(self, data):
        # Whether to keep it: not what is rejected.
        check_message(data)
        return len(data) <= self._slot_size


class RequestReplyChannel(Lanes, Receiver):
    """RequestReplyChannel(capacity, slot_size=32, name=None, clock=None)

    `capacity`: requests outstanding at once, 1..255. `slot_size`: the largest request or reply,
    1..65535 bytes. `name` and `clock` as for PriorityChannel, and so are the errors.

    Attributes: `name`, `clock`, `capacity`, `slot_size`, `closed`; the client's `send_request`,
    `recv_response`, `cancel`; the server's `recv_request`, also as `recv`, `send_response`,
    `send_status` (all viper, positional arguments only). `ready`, `arecv` and `recv_wait` are the
    server's and wait for a request; `stats`, `stats_into` and `reset_stats` are the client's and
    are of round trips, from send_request to recv_response.
    """

    arecv_word = None  # a request is no word
    _classes = 1 << 16  # of the lane of requests: index | generation << 8

    def __init__(self, capacity, slot_size=32, name=None, clock=None):
        Lanes.__init__(self, self._capacities(capacity), slot_size, 1, name, clock)
        self.capacity = capacity
        pitch = _entry_pitch(slot_size)
        stack = _TABLE_BYTES + capacity * pitch
        self._table = table = memoryview(self._block)[-(stack + capacity) :]
        for word, value in (
            (_COUNT, capacity),
            (_ENTRIES, _TABLE_BYTES),
            (_ENTRY_PITCH, pitch),
            (_STACK, stack),
            (_FREE, capacity),
            (_REQUEST_KNOWN, _NOTHING),
            (_BUFFER_KNOWN, _NOTHING),
            (_REPLY_KNOWN, _NOTHING),
            (_REPLY_LIMIT, slot_size + 1),
            (_CLOCK_REGISTER, self.clock.register),
            (_PERIOD, self.clock.period - 1),
        ):
            _store(table, word, value)
        for index in range(capacity):
            table[stack + index] = capacity - 1 - index
            _store(table, (_TABLE_BYTES + index * pitch >> 2) + _ISSUED, _OVER)
        self._ticks = self.clock.ticks
        self._kept = [None, None]
        self._check_buffer = check_buffer
        self._waiter = None
        self._served = 0
        self._reply = [0, 0, 0]
        self._stats = LatencyHistogram()  # of round trips
        self._add = self._stats.add
        sender = Sender(self, 0)
        sender._check_message = _is_checked  # by send_request, before it takes an entry
        self._senders = [sender]
        client = make_client(table, self, sender.send)
        self.send_request, self.recv_response, self.cancel = client
        self._try_request = make_try_request(table, self)
        server = _Server(self.clock, slot_size)
        take = make_receiver(self._block, server)[0]
        self._next_lane = server._next_lane
        self.recv = self.recv_request = make_recv_request(table, self._block, take)
        self.send_response, self.send_status = make_send_response(table, server)
        register(self)

    @classmethod
    def memory(cls, capacity, slot_size=32):
        """Return the bytes that such a channel takes; raise as the constructor would."""
        return cls._bytes(cls._capacities(capacity), slot_size, 1, 1)

    @staticmethod
    def _bytes(capacities, slot_size, senders, receivers):
        # The table ends the block.
        lanes = Lanes._bytes(capacities, slot_size, senders, receivers)
        return lanes + _TABLE_BYTES + capacities[0] * (_entry_pitch(slot_size) + 1)

    @staticmethod
    def _capacities(capacity):
        return (whole("capacity", capacity, 1, 255),)

    @property
    def pending(self):
        """Requests outstanding: sent, and neither cancelled nor their reply taken."""
        return self.capacity - _load(self._table, _FREE)

    @property
    def answered(self):
        """Replies that the client has taken."""
        return _load(self._table, _TAKEN)

    @property
    def dropped(self):
        """Requests for which there was no room: all ids outstanding, or the lane full."""
        return _plus(self._sum(_DROPPED), _load(self._table, _NO_ENTRY))

    @property
    def rejected(self):
        """Requests and replies larger than a slot, and requests after close()."""
        return _plus(self._sum(_REJECTED), _load(self._table, _TOO_LARGE))

    @property
    def late(self):
        """Replies rejected as nobody waited for them: late, repeated or to an unknown id."""
        return _load(self._table, _LATE)

    def free(self):
        """Return how many requests can be sent now: exact or too small for the client.

        0 once the channel is closed.
        """
        return min(_load(self._table, _FREE), self._free(0, None))

    def is_full(self):
        """Return whether no request can be sent now."""
        return not self.free()

    def check(self, data):
        """Raise the error that send_request(data) would raise or count, in a whole sentence."""
        self._senders[0].check(data, 0)

    async def call(self, data, buf, timeout_ms=None):
        """Send a request, wait for its reply and receive it: to be awaited.

        Return (size, status, latency), as recv_response does. Raises OSError(ETIMEDOUT), which
        names the channel, if that takes longer than `timeout_ms`, or OSError(ECONNRESET) if the
        channel is closed; ValueError if `data` is larger than a slot or `buf` smaller than one.
        Whatever it raises, and if it is cancelled, the request is cancelled and its id free again.

        Context: a task of the client's | alloc: a coroutine, a generator, a waiter | blocks: its
        task only
        """
        reply = [0, 0, 0]
        exchange = self._exchange(data, buf, timeout_ms, reply)
        try:
            for waiter in exchange:
                await waiting().pause(waiter)
        finally:
            exchange.close()
        return tuple(reply)

    def call_wait(self, data, buf, timeout_ms=None):
        """As call, without asyncio: block until the reply has come.

        Context: the client's, no handler | alloc: a generator, a waiter | blocks: its caller
        """
        reply = [0, 0, 0]
        exchange = self._exchange(data, buf, timeout_ms, reply)
        try:
            for waiter in exchange:
                waiter.block(waiter.deadline)
        finally:
            exchange.close()
        return tuple(reply)

    def _exchange(self, data, buf, timeout_ms, reply):
        # The steps of a call: a generator of what to wait on, until the reply is in `buf`, and its
        # size, status and latency in `reply`.
        waiter = waiting().Waiter(None, timeout_ms)
        if self.closed:
            raise self._reset()
        if buf is not self._kept[0]:  # else recv_response has checked it
            check_buffer(buf)
        if len(buf) < self.slot_size:
            raise ValueError(
                "receive buffer of %d bytes, slot_size=%d" % (len(buf), self.slot_size)
            )
        id = 0
        try:
            while not id:
                late = waiter.is_late()
                id = self._try_request(data)
                if id:
                    self.notify()  # the server may wait on the other core
                    break
                if self.closed:
                    raise self._reset()
                self.check(data)
                if late:
                    raise self._late("no room for a request in", timeout_ms)
                waiter.ioctl = self._look_for_room
                yield waiter
            wanted = bytearray(4)
            _store(wanted, 0, id)
            waiter.ioctl = make_look(self._table, self._senders[0]._block, wanted)
            while True:
                yield waiter
                late = waiter.is_late()  # first: a reply that comes with the time is taken
                if _take_reply(self.recv_response, id, buf, reply) is not None:
                    id = 0
                    return
                if self.closed:
                    raise self._reset()
                if late:
                    raise self._late("no reply in", timeout_ms)
        finally:
            if id:
                self.cancel(id)

    def _look_for_room(self, request, flags):
        if request != _POLL:
            return -1
        return flags if self.closed or self.free() else 0

    def _late(self, what, timeout_ms):
        return OSError(errno.ETIMEDOUT, "%s: %s %d ms" % (self._title(), what, timeout_ms))

    def _reset(self):
        return OSError(errno.ECONNRESET, "%s is closed" % self._title())

    async def serve(self, handler):
        """Answer requests until the channel is closed and drained: to be awaited.

        `handler(request)` gets a memoryview of each request, which is reused, and returns the
        reply: bytes-like, an int as status with no bytes, a tuple (status, bytes-like), or None,
        empty; or a coroutine that gives one of these. If it raises an Exception or its reply does
        not fit, that is printed and the client gets the status FAILED.

        Context: a task of the server's | alloc: a slice a request | blocks: its task only
        """
        buf = bytearray(self.slot_size)
        view = memoryview(buf)
        while m := await self.arecv(buf):
            size, id, _ = m
            try:
                reply = handler(view[:size])
                if hasattr(reply, "send"):
                    reply = await reply
                self._answer(id, reply)
            except Exception as error:
                self._fail(id, error)

    def serve_wait(self, handler):
        """As serve, without asyncio: block until the channel is closed and drained.

        Context: the server's, no handler | alloc: a slice a request | blocks: its caller
        """
        buf = bytearray(self.slot_size)
        view = memoryview(buf)
        while m := self.recv_wait(buf):
            size, id, _ = m
            try:
                self._answer(id, handler(view[:size]))
            except Exception as error:
                self._fail(id, error)

    def _answer(self, id, reply):
        status = 0
        if isinstance(reply, tuple):
            status, reply = reply
        elif isinstance(reply, int):
            status, reply = reply, b""
        elif reply is None:
            reply = b""
        if type(status) is not int or not 0 <= status <= 255:
            whole("status", status, 0, 255)
        check_message(reply)
        if len(reply) > self.slot_size:
            raise ValueError(
                "reply of %d bytes is larger than a slot of %d" % (len(reply), self.slot_size)
            )
        self.send_status(id, reply, status)  # False if the client has given up: counted as late
        self.notify()  # the client may wait on the other core

    def _fail(self, id, error):
        sys.print_exception(error)
        self.send_status(id, b"", FAILED)
        self.notify()

    def __repr__(self):
        return "%s: %d pending, %d answered, %d dropped, %d rejected, %d late%s" % (
            self._title(),
            self.pending,
            self.answered,
            self.dropped,
            self.rejected,
            self.late,
            ", closed" if self.closed else "",
        )

    def _check_request(self, data):
        # Whether to keep it: not what is rejected.
        check_message(data)
        return len(data) <= self.slot_size and not self.closed

    def _unknown(self, id):
        raise _error(ValueError, "request %d is not outstanding", id)


def _entry_pitch(slot_size):
    return _ENTRY_BYTES + (slot_size + 3 & ~3)
