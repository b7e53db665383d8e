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

Cost of a round trip of 16 bytes, without waiting: 9,900 cycles, of which a histogram of the round
trips takes a part (emulated RP2040, MicroPython 1.28).
"""

from struct import pack_into

import micropython
from micropython import const

from .checks import check_int, error
from .ends import ReceivingEnd, SendingEnd
from .lanes import Lanes, flatten, make_next_lane, store
from .latency import hang
from .port import fence, later
from .words import load, plus

FAILED = 255  # the status of a reply when the server's handler raised

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_STRIDE = const(1)  # bytes of a slot
_RX_CLOCK = const(2)  # address of the clock's register, 0: call the clock's ticks()
_MASK = const(3)  # the clock's period - 1
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
_RX_KNOWN = const(5)  # the receive buffer last checked, as a word. Owner: receiver
_FENCED = const(8)  # 1: cores reorder, so a verb fences; see `Fences` in lanes.py
_TABLE = const(13)  # request-reply: bytes from here to the table of requests
_RECEIVER_BYTES = const(56)
_CLOCK = const(8)  # as RX_CLOCK, but 0 while AT_SET. Owner: sender
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_STRIDE = const(10)  # bytes of a slot
_REGISTER = const(11)  # as RX_CLOCK
_AT_SET = const(12)  # 1: the next message is stamped AT. Owner: sender
_AT = const(13)
_TX_KNOWN = const(14)  # the message object last checked, as a word. Owner: sender
_TX_FENCED = const(15)  # as FENCED
_SENDER_BYTES = const(88)
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_CAPACITY = const(4)  # slots; 0: the class is not used
_WRITE = const(5)  # bytes from here to the slot to write next. Owner: producer
_READ = const(6)  # bytes from here to the slot to read next. Owner: consumer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_HIGH_WATER = const(10)  # the most messages queued at once. Owner: producer
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
_NOTHING = const(2)  # as a word, no object
# stamped.

# The table: these words, the entries, and a byte each for the numbers of the free ones.
_COUNT = const(0)  # entries
_ENTRIES = const(1)  # bytes from here to the first
_ENTRY_STRIDE = const(2)  # bytes of an entry
_STACK = const(3)  # bytes from here to the numbers of the free entries, a stack
_FREE = const(4)  # how many are there. Owner: client
_NO_ENTRY = const(5)  # requests that found none. Owner: client
_BUFFER_KNOWN = const(6)  # the client's buffer last checked. Owner: client
_TAKEN = const(7)  # replies. Owner: client
_STATUS = const(8)  # of the next reply. Owner: server
_LATE = const(9)  # replies rejected: late, repeated or unknown. Owner: server
_TOO_LARGE = const(10)  # replies rejected: larger than a slot. Owner: server
_REPLY_KNOWN = const(11)  # the server's message last checked. Owner: server
_REPLY_LIMIT = const(12)  # slot_size + 1
_TABLE_BYTES = const(52)

# An entry: its words, then the reply's payload.
_ISSUED = const(0)
_REPLIED = const(1)
_ASKED = const(2)  # when its request was sent. Owner: client
_REPLY_META = const(3)  # size | status << 16. Owner: server
_ENTRY_BYTES = const(16)

# An id: index | generation << 8, below 2**29. Of an entry that is free, _OVER is set in issued.
# A request carries the index as its class, and eight bits of the generation as its epoch.
_OVER = const(0x20000000)
_GENERATIONS = const(0x1FFFFF)
_LAST_BUT_SOME = const(0x1FFF00)  # from here on generations start anew; leaves room for a leap
_LEAP = const(0x100)  # leaves the eight bits that a request carries as they are


def make_client(at, cold):
    """Return (send_request, recv_response, cancel) of the channel whose block is at `at`.

    `cold` is the channel: as in verbs.make_sender, and `_add`, the histogram's, `_reply`, the
    client's result, and `_unknown(id)`, which raises.
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
        own = ptr32(int(at) + ptr32(int(at))[_TABLE])
        part = ptr32(int(at) + _RECEIVER_BYTES)
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
        # From here on no Python code runs: no soft handler comes between.
        free = own[_FREE] - 1
        if free < 0:
            own[_NO_ENTRY] = own[_NO_ENTRY] + 1
            return 0
        lane = ptr32(int(part) + _SENDER_BYTES)
        if size >= part[_LIMIT]:
            lane[_REJECTED] = lane[_REJECTED] + 1
            return 0
        head = lane[_HEAD]
        used = (head - lane[_TAIL]) & 0x3FFFFFFF
        if used >= lane[_CAPACITY]:
            lane[_DROPPED] = lane[_DROPPED] + 1
            return 0
        if used >= lane[_HIGH_WATER]:
            lane[_HIGH_WATER] = used + 1  # Order: before head, as in lanes.py.
        index = ptr8(int(own) + own[_STACK] + free)[0]
        entry = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_STRIDE])
        generation = (entry[_ISSUED] >> 8 & _GENERATIONS) + 1
        if generation >= _LAST_BUT_SOME:
            generation = _LEAP | generation & 0xFF
        if entry[_REPLIED] == (generation << 8 | index):
            generation += _LEAP  # a reply of two million requests ago, and none since, is no reply
        id = generation << 8 | index
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
        entry[_ASKED] = now
        # Order: issued before the request, so the server does not take it for a cancelled one.
        entry[_ISSUED] = id
        own[_FREE] = free
        #: step("slot", meta="size | index << 16 | (generation & 0xFF) << 24") :#
        slot = ptr32(int(lane) + lane[_WRITE])
        slot[_META] = size | index << 16 | (generation & 0xFF) << 24
        slot[_TIME] = now
        # stamped.
        #: step("copy in", source="source", size="size") :#
        to = ptr32(int(slot) + 8)
        words = ptr32(source)
        count = size
        # stamped.
        #: step("copy plain", outer="words") :#
        rest = count & 3
        if int(words) & 3:
            rest = count
        count -= rest
        while count:
            to[0] = words[0]
            to = ptr32(int(to) + 4)
            words = ptr32(int(words) + 4)
            count -= 4
        while rest:
            rest -= 1
            ptr8(to)[rest] = ptr8(words)[rest]
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
        own = ptr32(int(at) + ptr32(int(at))[_TABLE])
        #: step("known buffer", known="own[_BUFFER_KNOWN]", kept="3") :#
        known = buf if 1 else 0
        if (known - own[_BUFFER_KNOWN]) & 0x3FFFFFFF:
            if cold._check_buffer(buf):
                cold._kept[3] = buf
                own[_BUFFER_KNOWN] = known
        room = int(size_of(buf))
        target = int(ptr8(buf))
        # stamped.
        index = id & 0xFF
        if id <= 0 or id >= _OVER or index >= own[_COUNT]:
            cold._unknown(id)
        entry = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_STRIDE])
        if entry[_ISSUED] != id:
            cold._unknown(id)
        if entry[_REPLIED] != id:
            return None
        part = ptr32(int(at))
        if part[_FENCED]:
            cold._fence()  # replied before the reply, so that no part of it is older
        meta = entry[_REPLY_META]
        count = meta & 0xFFFF
        if count > room:
            cold._small_buffer(count, room)
        result = cold._reply
        result[0] = count
        result[1] = meta >> 16 & 0xFF
        words = ptr32(int(entry) + _ENTRY_BYTES)
        to = ptr32(target)
        #: step("copy plain", outer="to") :#
        rest = count & 3
        if int(to) & 3:
            rest = count
        count -= rest
        while count:
            to[0] = words[0]
            to = ptr32(int(to) + 4)
            words = ptr32(int(words) + 4)
            count -= 4
        while rest:
            rest -= 1
            ptr8(to)[rest] = ptr8(words)[rest]
        # stamped.
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(cold._ticks())
        latency = (now - entry[_ASKED]) & part[_MASK]
        result[2] = latency
        entry[_ISSUED] = id | _OVER
        free = own[_FREE]
        ptr8(int(own) + own[_STACK] + free)[0] = index
        own[_FREE] = free + 1
        own[_TAKEN] = own[_TAKEN] + 1
        cold._add(latency)
        return result

    @micropython.viper
    def cancel(id: int) -> bool:
        """Give up request `id`: a reply to it will be rejected, and its entry is free again.

        True: it was outstanding, perhaps with a reply that nobody has taken. False: it was not.

        Context: the client's | alloc: none | time: O(1) | blocks: never
        """
        own = ptr32(int(at) + ptr32(int(at))[_TABLE])
        index = id & 0xFF
        if id <= 0 or id >= _OVER or index >= own[_COUNT]:
            return False
        entry = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_STRIDE])
        if entry[_ISSUED] != id:
            return False
        entry[_ISSUED] = id | _OVER
        free = own[_FREE]
        ptr8(int(own) + own[_STACK] + free)[0] = index
        own[_FREE] = free + 1
        return True

    return send_request, recv_response, cancel


def make_recv_request(at, cold):
    """Return the recv_request of the channel whose block is at the address `at`."""
    size_of = len
    result = [0, 0, 0]

    @micropython.viper
    def recv_request(buf):
        """Take the next request that was not cancelled: copy it to the start of `buf`.

        Return the server's own list [size, id, latency], reused by the next, or None if none is
        queued. Latency is from send_request to here. Errors as recv.

        Context: the server's | alloc: none | time: O(bytes), and cancelled ones | blocks: never
        """
        part = ptr32(int(at))
        own = ptr32(int(part) + part[_TABLE])
        #: step("known buffer", known="part[_RX_KNOWN]", kept="1") :#
        known = buf if 1 else 0
        if (known - part[_RX_KNOWN]) & 0x3FFFFFFF:
            if cold._check_buffer(buf):
                cold._kept[1] = buf
                part[_RX_KNOWN] = known
        room = int(size_of(buf))
        target = int(ptr8(buf))
        # stamped.
        while True:
            lane = ptr32(int(part) + part[_LANES])
            if not lane[_HEAD] - lane[_TAIL]:
                return None
            if part[_FENCED]:
                cold._fence()  # head before slot, as in recv
            slot = ptr32(int(lane) + lane[_READ])
            meta = slot[_META]
            index = meta >> 16 & 0xFF
            issued = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_STRIDE])[_ISSUED]
            # At most `capacity` requests, 255, are queued: eight bits tell generations apart.
            if not issued & _OVER and (issued >> 8 & 0xFF) == (meta >> 24 & 0xFF):
                break
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
        count = meta & 0xFFFF
        if count > room:
            cold._small_buffer(count, room)
        result[0] = count
        result[1] = issued
        #: step("age") :#
        stamp = slot[_TIME]
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(cold._ticks())
        # stamped.
        result[2] = (now - stamp) & part[_MASK]
        part[_STAMP] = stamp
        #: step("copy out") :#
        words = ptr32(int(slot) + 8)
        to = ptr32(target)
        # stamped.
        #: step("copy plain", outer="to") :#
        rest = count & 3
        if int(to) & 3:
            rest = count
        count -= rest
        while count:
            to[0] = words[0]
            to = ptr32(int(to) + 4)
            words = ptr32(int(words) + 4)
            count -= 4
        while rest:
            rest -= 1
            ptr8(to)[rest] = ptr8(words)[rest]
        # stamped.
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
        return result

    return recv_request


def make_send_response(at, cold):
    """Return (send_response, send_status) of the channel whose block is at the address `at`."""
    size_of = len

    @micropython.viper
    def send_response(id: int, data) -> bool:
        """Answer request `id` with `data`, 0..slot_size bytes, and the status 0.

        True: the client can take it. False, and counted: the request was cancelled, is answered
        already or never was (late), or the reply is larger than a slot (rejected; the request
        stays pending). Raises TypeError if `data` is not bytes-like or its items are not bytes.

        Context: the server's | alloc: none | time: O(bytes) | blocks: never
        """
        own = ptr32(int(at) + ptr32(int(at))[_TABLE])
        status = own[_STATUS]
        own[_STATUS] = 0
        #: step("known message", known="own[_REPLY_KNOWN]", kept="2") :#
        known = data if 1 else 0  # the object as a word: see `Objects as words` in verbs.py
        if (known - own[_REPLY_KNOWN]) & 0x3FFFFFFF:
            if cold._check_message(data):
                cold._kept[2] = data
                own[_REPLY_KNOWN] = known
        # stamped.
        #: step("span") :#
        size = int(size_of(data))
        source = int(ptr8(data))
        # stamped.
        index = id & 0xFF
        if id <= 0 or id >= _OVER or index >= own[_COUNT]:
            own[_LATE] = own[_LATE] + 1
            return False
        entry = ptr32(int(own) + own[_ENTRIES] + index * own[_ENTRY_STRIDE])
        if entry[_ISSUED] != id or entry[_REPLIED] == id:
            own[_LATE] = own[_LATE] + 1
            return False
        if size >= own[_REPLY_LIMIT]:
            own[_TOO_LARGE] = own[_TOO_LARGE] + 1
            return False
        # Should it be cancelled from here on, nobody reads what is written.
        entry[_REPLY_META] = size | status << 16
        to = ptr32(int(entry) + _ENTRY_BYTES)
        words = ptr32(source)
        count = size
        #: step("copy plain", outer="words") :#
        rest = count & 3
        if int(words) & 3:
            rest = count
        count -= rest
        while count:
            to[0] = words[0]
            to = ptr32(int(to) + 4)
            words = ptr32(int(words) + 4)
            count -= 4
        while rest:
            rest -= 1
            ptr8(to)[rest] = ptr8(words)[rest]
        # stamped.
        if ptr32(int(at))[_FENCED]:
            cold._fence()
        entry[_REPLIED] = id  # Order: the reply before replied, so the client reads all of it.
        return True

    @micropython.viper
    def send_status(id, data, status: int):
        """As send_response, with a status of 0..255 beside the data; of others the low 8 bits.

        Context: the server's | alloc: none | time: O(bytes) | blocks: never
        """
        int(id)  # raises if it is none, before the status is set, and stays the object it is
        ptr32(int(at) + ptr32(int(at))[_TABLE])[_STATUS] = status & 0xFF
        return send_response(id, data)

    return send_response, send_status


class RequestReplyChannel(Lanes, ReceivingEnd):
    """RequestReplyChannel(capacity, slot_size=32, name=None, clock=None, tap=None)

    `capacity`: requests outstanding at once, 1..255. `slot_size`: the largest request or reply,
    1..65535 bytes. `name`, `clock` and `tap` as for PriorityChannel, and so are the errors.

    Attributes: `name`, `clock`, `capacity`, `slot_size`, `closed`; the client's `send_request`,
    `recv_response`, `cancel`; the server's `recv_request`, also as `recv`, `send_response`,
    `send_status` (all viper, positional arguments only). `ready`, `arecv` and `recv_wait` are the
    server's and wait for a request; `stats`, `stats_into` and `reset_stats` are the client's and
    are of round trips, from send_request to recv_response.
    """

    _objects = 329
    _beside = 1752  # the histogram's

    def __init__(self, capacity, slot_size=32, name=None, clock=None, tap=None):
        Lanes.__init__(self, self._check_capacity(capacity), slot_size, 1, name, clock)
        self.capacity = capacity
        stride = _entry_stride(slot_size)
        stack = _TABLE_BYTES + capacity * stride
        offset = len(self._block) - (stack + capacity)
        self._table = table = self._base + offset
        store(self._base, _TABLE, offset)
        # COUNT, ENTRIES, ENTRY_STRIDE, STACK, FREE, NO_ENTRY, BUFFER_KNOWN;
        # REPLY_KNOWN, REPLY_LIMIT
        first = capacity, _TABLE_BYTES, stride, stack, capacity, 0, _NOTHING
        pack_into("7i", self._block, offset, *first)
        pack_into("ii", self._block, offset + _REPLY_KNOWN * 4, _NOTHING, slot_size + 1)
        for index in range(capacity):
            self._block[offset + stack + index] = capacity - 1 - index
            store(table, (_TABLE_BYTES + index * stride >> 2) + _ISSUED, _OVER)
        # A request, its buffer, a reply and its buffer: what was checked last.
        self._kept = [b"", None, b"", None]
        self._senders = [self]
        self._channel = self
        self._waiter = None
        self._served = 0  # when select() last chose it
        self._reply = [0, 0, 0]
        self._add = hang(self).add  # of round trips
        self._receiver = at = self._base
        if fence:
            self._fence = fence
        client = make_client(at, self)
        self.send_request, self.recv_response, self.cancel = client
        self._next_lane = make_next_lane(at)
        self.recv = self.recv_request = make_recv_request(at, self)
        self.send_response, self.send_status = make_send_response(at, self)
        if tap is not None:
            later("ringlane.tap").check_tap(tap)
            self._tap = tap
            later("ringlane.tap_calls").tap_calls(self, tap)
        later("ringlane.calls")  # here, as both cores may be at their first call at once
        self._register()

    @classmethod
    def memory(cls, capacity, slot_size=32):
        """Return the bytes that such a channel takes; raise as the constructor would."""
        return cls._whole(cls._bytes(cls._check_capacity(capacity), slot_size, 1, 1))

    @staticmethod
    def _bytes(capacities, slot_size, senders, receivers):
        # The table ends the block.
        lanes = Lanes._bytes(capacities, slot_size, senders, receivers)
        return lanes + _TABLE_BYTES + capacities[0] * (_entry_stride(slot_size) + 1)

    @staticmethod
    def _check_capacity(capacity):
        return (check_int("capacity", capacity, 1, 255),)

    def close(self):
        """As Lanes.close."""
        Lanes.close(self)
        store(self._table, _REPLY_KNOWN, _NOTHING)
        self._kept[2] = b""

    @property
    def pending(self):
        """Requests outstanding: sent, and neither cancelled nor their reply taken."""
        return self.capacity - load(self._table, _FREE)

    @property
    def answered(self):
        """Replies that the client has taken."""
        return load(self._table, _TAKEN)

    @property
    def dropped(self):
        """Requests for which there was no room: all ids outstanding, or the lane full."""
        return plus(self._tally(_DROPPED), load(self._table, _NO_ENTRY))

    @property
    def rejected(self):
        """Requests and replies larger than a slot, and requests after close()."""
        return plus(self._tally(_REJECTED), load(self._table, _TOO_LARGE))

    @property
    def late(self):
        """Replies rejected as nobody waited for them: late, repeated or to an unknown id."""
        return load(self._table, _LATE)

    def free(self):
        """Return how many requests can be sent now: exact or too small for the client.

        0 once the channel is closed.
        """
        queued = len(self)  # more than outstanding, if some were cancelled
        return 0 if self.closed else min(load(self._table, _FREE), self.capacity - queued)

    def is_full(self):
        """Return whether no request can be sent now."""
        return not self.free()

    def check(self, data):
        """Raise the error that send_request(data) would raise or count, in a whole sentence."""
        later("ringlane.cold").check_of(self, 0, data, 0)

    def call(self, data, buf, timeout_ms=None):
        """Send a request, wait for its reply and receive it: to be awaited.

        Return (size, status, latency), as recv_response does. Raises OSError(ETIMEDOUT), which
        names the channel, if that takes longer than `timeout_ms`, or OSError(ECONNRESET) if the
        channel is closed; ValueError if `data` is larger than a slot or `buf` smaller than one.
        Whatever it raises, and if it is cancelled, the request is cancelled and its id free again.

        Context: a task of the client's | alloc: a coroutine, a generator, a waiter | blocks: its
        task only
        """
        return later("ringlane.calls").call(self, data, buf, timeout_ms)

    def call_wait(self, data, buf, timeout_ms=None):
        """As call, without asyncio: block until the reply has come.

        Context: the client's, no handler | alloc: a generator, a waiter | blocks: its caller
        """
        return later("ringlane.calls").call_wait(self, data, buf, timeout_ms)

    def serve(self, handler):
        """Answer requests until the channel is closed and drained: to be awaited.

        `handler(request)` gets a memoryview of each request, which is reused, and returns the
        reply: bytes-like, an int as status with no bytes, a tuple (status, bytes-like), or None,
        empty; or a coroutine that gives one of these. If it raises an Exception or its reply does
        not fit, that is printed and the client gets the status FAILED.

        Context: a task of the server's | alloc: a slice a request | blocks: its task only
        """
        return later("ringlane.calls").serve(self, handler)

    def serve_wait(self, handler):
        """As serve, without asyncio: block until the channel is closed and drained.

        Context: the server's, no handler | alloc: a slice a request | blocks: its caller
        """
        return later("ringlane.calls").serve_wait(self, handler)

    _check_message = SendingEnd._check_message

    def __repr__(self):
        return later("ringlane.cold").describe_requests(self)

    def _unknown(self, id):
        raise error(ValueError, "request %d is not outstanding", id)


def _entry_stride(slot_size):
    return _ENTRY_BYTES + (slot_size + 3 & ~3)


flatten(RequestReplyChannel)
