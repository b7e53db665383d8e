"""Lanes: the engine under every channel.

A *lane* is a ring of fixed slots with exactly one producing context and one consuming context.
Every channel is a set of lanes in one block of memory; a pattern (priority.py, channel.py, ...)
is only a rule for which lane a message enters and which lane is read next.

Words
    slot        room for one message: size and class, timestamp, payload rounded up to words
    capacity    slots in a lane, every one of them usable
    head        the next slot to write: the producer's
    tail        the next slot to read: the consumer's
    dropped     messages that found their lane full; rejected: larger than a slot, or after close()
    high_water  the most messages a lane has held at once
    place       which of a channel's rows of lanes: a class, or a receiver; a lane for each sender
    epoch       how often a place was taken by a receiver, modulo 256
    latency     clock ticks from send to recv
    context     what needs a lane of its own: a hard handler and whatever it can interrupt; each
                core where there is no GIL. All tasks and soft handlers of one core are one context

Memory model
    The producer alone writes head, the consumer alone writes tail, and each stores its index last:
    head after the slot is written, tail after the slot is copied out. That needs no lock and no
    compare-and-swap, given that the other side sees the stores in program order:
    one core        always: viper emits loads and stores in source order
    RP2040          both M0+ cores issue loads and stores in order
    ESP32 family    the GIL orders everything that Python does
    x86-64          total store order
    RP2350          two M33 cores are weakly ordered by the architecture: a lane between them would
                    need a fence before the index store. Within one core nothing is needed.

Indices run over [0, 2 * capacity) and wrap by comparison, so that full (capacity apart) and empty
(equal) differ without a spare slot, for any capacity, and no index nears the small-int limit.
Loads are signed on 32-bit chips and unsigned on 64-bit hosts, so a word that may have its top bit
set is only ever compared after a mask.

Objects as words
    `x if 1 else 0` is, in viper, the word that stands for the object x: its address, or what a
    small int is coded as. It only tells whether a buffer is the very object that was checked last.
    That one is kept, so that its word cannot come to mean another, and an object never changes its
    type. Its length and address may change, and are read at each call. MicroPython documents none
    of this, so it is tried at import.

The scheduler
    Viper functions are not interrupted by the scheduler, or by another thread under a GIL. Python
    code is, also where a verb calls it. So from its first load to its last store of a word that
    others write, a verb calls viper and builtin functions only.

The verbs are viper functions nested in a plain factory, closing over the block: no look-up in
self, and `channel.send` as a value allocates nothing. Viper verbs take positional arguments only;
a keyword gives "function doesn't take keyword arguments", a wrong count "function takes N
positional arguments but M were given", where both numbers count what the verb closes over too.
"""

import gc
import struct
import sys
from array import array

import micropython
from micropython import const

from .clock import Clock, default

# A block holds, in this order: each receiver's words, each sender's words, the lane headers (place
# by place, within a place sender by sender) and the slots. Offsets are in words from the start of
# the part they belong to, other figures in bytes.

# A receiver's words.
_LANES = const(0)  # from here to the first lane header
_LANES_END = const(1)  # from here to the end of the last one
_PITCH = const(2)  # bytes of a slot
_RX_CLOCK = const(3)  # address of the clock's register, 0: call the clock's ticks()
_MASK = const(4)  # the clock's period - 1
_STAMP = const(5)  # timestamp of the message last received. Owner: receiver
_RX_KNOWN = const(6)  # the receive buffer last checked, as a word. Owner: receiver
_RX_META = const(7)  # size and class that stand in the result. Owner: receiver
_WORDS_KNOWN = const(8)  # the array last checked by recv_words, as a word. Owner: receiver
_EPOCH = const(9)  # messages of another one were for an earlier receiver of the place
_PEEKED = const(10)  # from here to the lane that peek chose, 0: none. Owner: receiver
_PEEK_COUNT = const(11)  # what that lane had _RECEIVED then
_STRAYS = const(12)  # messages of another epoch, dropped unseen. Owner: receiver
_RX_BYTES = const(52)

# A sender's words.
_CLOCK = const(0)  # as _RX_CLOCK, but 0 while _AT_SET. Owner: sender
_LIMIT = const(1)  # slot_size + 1; 0 once closed. Owner: whoever closes
_OWN_LANES = const(2)  # from here to its lane header of the first class
_PLACE_STEP = const(3)  # from there to the next place's, 0: all classes share one lane
_OWN_PITCH = const(4)  # bytes of a slot
_REGISTER = const(5)  # as _RX_CLOCK
_AT_SET = const(6)  # 1: the next message is stamped _AT. Owner: sender
_AT = const(7)
_TX_KNOWN = const(8)  # the message object last checked, as a word. Owner: sender
_CLASSES = const(9)  # classes are 0 up to this less 1
_PLACES = const(10)  # how many receivers there may be; this and the next for fanout.py
_POLICY = const(11)  # 0: all receivers, else one, chosen by the policy
_TURN = const(12)  # the place to look at first. Owner: sender
_SEED = const(13)  # of the policy RANDOM. Owner: sender
_CORE = const(14)  # the sender's core, or the address of the register that tells it
_TX_BYTES = const(60)

# A lane's header.
_HEAD = const(0)  # Owner: producer; the consumer reads it.
_TAIL = const(1)  # Owner: consumer; the producer reads it.
_ROOM = const(2)  # the most messages that may be queued: the capacity, or 0 while one is claimed.
# Owner: producer. In fanout.py max_lag or 0 | epoch << 16 | core << 24. Owner: the receiver.
_CAPACITY = const(3)
_FIRST = const(4)  # from this header to the lane's first slot
_REST = const(5)  # from this header to that of the place's last sender; | _STALE: check the epoch
_NUMBER = const(6)  # the number of the lane's first slot in the block
_DROPPED = const(7)  # Owner: producer
_REJECTED = const(8)  # Owner: producer
_HIGH_WATER = const(9)  # Owner: producer
_RECEIVED = const(10)  # Owner: consumer
_LANE_BYTES = const(44)
_STALE = const(1)

# A slot: its words, then the payload.
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)
_SLOT_BYTES = const(8)

_NOTHING = const(2)  # as a word, no object

named = {}  # name -> channel that is open, for report()


@micropython.viper
def _same(a, b) -> bool:
    one = a if 1 else 0
    other = b if 1 else 0
    return one == other


_first, _second = bytearray(1), bytearray(1)
if not _same(_first, _first) or _same(_first, _second):
    raise ImportError("ringlane: this MicroPython's viper does not tell objects apart")
del _same, _first, _second


@micropython.viper
def _load(block, word: int) -> int:
    return ptr32(block)[word] & 0x3FFFFFFF


@micropython.viper
def _store(block, word: int, value: int):
    ptr32(block)[word] = value


# Neither the scheduler nor a GIL comes between the parts of a viper function, so what has to be
# done at once is one. Counts are added modulo 2**30, as an int beyond is an object to allocate.


@micropython.viper
def _plus(a: int, b: int) -> int:
    return (a + b) & 0x3FFFFFFF


@micropython.viper
def _total(block, word: int, step: int, count: int) -> int:
    # The sum of `count` words, every `step`-th from `word` on.
    words = ptr32(block)
    total = 0
    while count:
        total += words[word]
        word += step
        count -= 1
    return total & 0x3FFFFFFF


@micropython.viper
def _queued(block, header: int) -> int:
    # Bound: tail first, so to its producer no fewer than there are; to others it is a guess.
    lane = ptr32(int(ptr32(block)) + (header << 2))
    tail = lane[_TAIL]
    used = lane[_HEAD] - tail
    if used < 0:
        used += lane[_CAPACITY] + lane[_CAPACITY]
    return used if used < lane[_CAPACITY] else lane[_CAPACITY]


@micropython.viper
def _sent(block, header: int, count: int) -> int:
    # The messages received and queued of so many lanes.
    lane = int(ptr32(block)) + (header << 2)
    total = 0
    while count:
        words = ptr32(lane)
        used = words[_HEAD] - words[_TAIL]
        if used < 0:
            used += words[_CAPACITY] + words[_CAPACITY]
        total += words[_RECEIVED] + used
        lane += _LANE_BYTES
        count -= 1
    return total & 0x3FFFFFFF


def _room(block, header):
    return max(0, (_load(block, header + _ROOM) & 0xFFFF) - _queued(block, header))


@micropython.viper
def _as_class(priority: int) -> int:
    # As the verbs take it: a bool too, and the low 32 bits on a 32-bit board.
    return priority


def check_name(name):
    """Raise TypeError unless `name` is a str or None."""
    if name is not None and not isinstance(name, str):
        raise TypeError("name must be a str, not %r" % (name,))


def whole(what, value, low, high):
    """Return `value` if it is an int in low..high, else raise an error that names it."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("%s must be an int, not %r" % (what, value))
    if not low <= value <= high:
        raise ValueError("%s must be %d to %d, not %r" % (what, low, high, value))
    return value


# What is checked once is known by its identity from then on, so these take only types whose items
# stay what they are: no subclass, whose len() may be anything.


def check_message(data):
    """Raise TypeError unless len(data) is its size in bytes. Allocates nothing if it is."""
    kind = type(data)
    if kind is bytearray or kind is bytes:
        return
    if kind is not memoryview and kind is not array:
        raise _error(
            TypeError,
            "message must be bytes, bytearray, memoryview or array, not %s",
            kind.__name__,
        )
    try:
        # Nothing is read; it fails where the offset is beyond the last byte.
        struct.unpack_from("", data, len(data) + 1)
    except Exception:
        return
    raise _error(TypeError, "message items must be bytes, not those of %s", kind.__name__)


def check_buffer(buf):
    """Raise TypeError unless `buf` is byte-wide and writable. Allocates nothing if it is."""
    if type(buf) is bytearray:
        return
    check_message(buf)
    try:
        struct.pack_into("", buf, 0)  # writes nothing, but asks for a writable buffer
    except TypeError:
        raise _error(TypeError, "receive buffer must be writable, not %s", type(buf).__name__)


def check_words(words):
    """Raise TypeError unless `words` is an array of 4-byte ints. Allocates nothing if it is."""
    kind = type(words)
    if kind is array or kind is memoryview:
        try:
            struct.pack_into("", words, 0)
            # It fails where the offset is beyond the last byte: so not here, ...
            struct.unpack_from("", words, len(words) * 4)
            try:
                struct.unpack_from("", words, len(words) * 4 + 1)
            except Exception:
                if not len(words) or not _takes_float(words):
                    return  # ... but here
        except Exception:
            pass
    raise _error(TypeError, "words must be an array of 'i' or 'I', not %s", kind.__name__)


@micropython.viper
def _takes_float(words) -> bool:
    # An array does not tell its type, but only one of floats or of objects takes a float.
    before = ptr32(words)[0]
    try:
        words[0] = 0.5
    except TypeError:
        return False
    ptr32(words)[0] = before
    return True


def _error(kind, text, value, second=None):
    # In a hard handler there is no memory for a sentence; the exception then holds its parts.
    try:
        return kind(text % (value if second is None else (value, second)))
    except MemoryError:
        return kind(text, value) if second is None else kind(text, value, second)


def make_sender(block, slow):
    """Return (send, send_word, send_at, send_word_at) of the sender whose words begin `block`.

    A call of a closure allocates when cells and arguments together are more than five
    (MicroPython, objclosure.c), so what is not on the hot path hangs on one object, `slow`.
    """
    size_of = len  # a closure is read faster than a global

    @micropython.viper
    def send(data, priority: int) -> bool:
        """Queue `data`, 0..slot_size bytes, in the lane of class `priority`.

        True: queued. False, and counted: the lane is full (dropped), or the message is larger than
        a slot, the channel closed or a slot of the lane claimed (rejected). Raises TypeError if
        `data` is not bytes-like or its items are not bytes, ValueError if the class is not 0..4 or
        has no capacity; then nothing has changed.

        Context: any handler or task, one per sender | alloc: none | time: O(bytes) | blocks: never
        """
        part = ptr32(block)
        # The clock comes first: until head is loaded, whatever runs in between does no harm.
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(slow._ticks())
        known = data if 1 else 0  # the object as a word: see `Objects as words`
        if (known - part[_TX_KNOWN]) & 0x3FFFFFFF:
            if slow._check_message(data):
                slow._kept[0] = data
                part[_TX_KNOWN] = known
        size = int(size_of(data))
        source = int(ptr8(data))
        if priority < 0 or priority >= part[_CLASSES]:
            slow._bad_class(priority)
        lane = ptr32(int(part) + part[_OWN_LANES] + priority * part[_PLACE_STEP])
        if size >= part[_LIMIT]:
            lane[_REJECTED] += 1
            return False
        head = lane[_HEAD]
        capacity = lane[_CAPACITY]
        used = head - lane[_TAIL]  # Bound: tail may move meanwhile, so used can only be too large.
        if used < 0:
            used += capacity + capacity
        if used >= lane[_ROOM]:
            if not capacity:
                slow._unused_class(priority)
            lane[_DROPPED if lane[_ROOM] else _REJECTED] += 1
            return False
        index = head
        if index >= capacity:
            index -= capacity
        slot = ptr32(int(lane) + lane[_FIRST] + index * part[_OWN_PITCH])
        slot[_META] = size | priority << 16
        slot[_TIME] = now
        target = int(slot) + 8
        end = source + size
        if not source & 3:  # an unaligned word access is a HardFault on the M0+
            last = end - 16
            while source <= last:
                words = ptr32(source)
                to = ptr32(target)
                to[0] = words[0]
                to[1] = words[1]
                to[2] = words[2]
                to[3] = words[3]
                source += 16
                target += 16
            last = end - 4
            while source <= last:
                ptr32(target)[0] = ptr32(source)[0]
                source += 4
                target += 4
        while source < end:
            ptr8(target)[0] = ptr8(source)[0]
            source += 1
            target += 1
        head += 1
        if head == capacity + capacity:
            head = 0
        used += 1
        if used > lane[_HIGH_WATER]:
            lane[_HIGH_WATER] = used  # Order: before head, so nobody sees more queued than this.
        # Order: slot before head, so the consumer sees no half-written message.
        lane[_HEAD] = head
        return True

    @micropython.viper
    def send_word(value: int, priority: int) -> bool:
        """Queue the low 32 bits of `value` as a message of 4 bytes, little-endian on every board.

        Outcomes, errors and context as send.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(block)
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(slow._ticks())
        if priority < 0 or priority >= part[_CLASSES]:
            slow._bad_class(priority)
        lane = ptr32(int(part) + part[_OWN_LANES] + priority * part[_PLACE_STEP])
        if 4 >= part[_LIMIT]:
            lane[_REJECTED] += 1
            return False
        head = lane[_HEAD]
        capacity = lane[_CAPACITY]
        used = head - lane[_TAIL]  # Bound: tail may move meanwhile, so used can only be too large.
        if used < 0:
            used += capacity + capacity
        if used >= lane[_ROOM]:
            if not capacity:
                slow._unused_class(priority)
            lane[_DROPPED if lane[_ROOM] else _REJECTED] += 1
            return False
        index = head
        if index >= capacity:
            index -= capacity
        slot = ptr32(int(lane) + lane[_FIRST] + index * part[_OWN_PITCH])
        slot[_META] = 4 | priority << 16
        slot[_TIME] = now
        slot[2] = value
        head += 1
        if head == capacity + capacity:
            head = 0
        used += 1
        if used > lane[_HIGH_WATER]:
            lane[_HIGH_WATER] = used  # Order: before head, so nobody sees more queued than this.
        # Order: slot before head, so the consumer sees no half-written message.
        lane[_HEAD] = head
        return True

    @micropython.viper
    def send_at(data, priority, ticks: int):
        """As send, stamped `ticks` of the channel's clock: when the event was, not this call.

        Context: any handler or task, one per sender | alloc: none | time: O(bytes) | blocks: never
        """
        int(priority)  # raises if it is none, before the stamp is set, and stays the object it is
        part = ptr32(block)
        part[_AT] = ticks
        part[_AT_SET] = 1
        part[_CLOCK] = 0
        return send(data, priority)

    @micropython.viper
    def send_word_at(value, priority, ticks: int):
        """As send_word, stamped `ticks` of the channel's clock.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        int(value)  # as in send_at
        int(priority)
        part = ptr32(block)
        part[_AT] = ticks
        part[_AT_SET] = 1
        part[_CLOCK] = 0
        return send_word(value, priority)

    return send, send_word, send_at, send_word_at


def make_receiver(block, slow):
    """Return (recv, recv_word, recv_words, skip, clear, timestamp) of a receiver.

    Its words begin `block`; `slow` is as in make_sender. The last returned, point_at(words), lets
    all of them read other words.
    """
    size_of = len
    result = [0, 0, 0]

    @micropython.viper
    def recv(buf):
        """Take the next message: copy it to the start of `buf`.

        Return the receiver's own list [size, priority, latency], or None if no message is queued.
        The next recv reuses the list: unpack it before any await, tuple(m) keeps it, and never
        write into it. Latency is in clock ticks, modulo the clock's period. Raises TypeError
        if `buf` is not writable or its items are not bytes, ValueError if the message is larger
        than `buf`; then the message stays: recv with a larger buffer, or skip().

        Context: one receiving context | alloc: none | time: O(bytes), and senders | blocks: never
        """
        part = ptr32(block)
        known = buf if 1 else 0
        if (known - part[_RX_KNOWN]) & 0x3FFFFFFF:
            slow._check_buffer(buf)
            slow._kept[0] = buf
            part[_RX_KNOWN] = known
        room = int(size_of(buf))
        target = int(ptr8(buf))
        lane = int(part) + part[_LANES]
        end = int(part) + part[_LANES_END]
        header = ptr32(lane)
        while header[_HEAD] == header[_TAIL]:  # the most urgent class first
            lane += _LANE_BYTES
            if lane == end:
                return None
            header = ptr32(lane)
        if header[_REST]:
            lane = int(slow._next_lane())
            if not lane:
                return None
            header = ptr32(int(part) + lane)
        tail = header[_TAIL]
        index = tail
        if index >= header[_CAPACITY]:
            index -= header[_CAPACITY]
        slot = ptr32(int(header) + header[_FIRST] + index * part[_PITCH])
        meta = slot[_META]
        size = meta & 0xFFFF
        if size > room:
            slow._small_buffer(size, room)
        source = int(slot) + 8
        end = source + size
        if not target & 3:
            last = end - 16
            while source <= last:
                words = ptr32(source)
                to = ptr32(target)
                to[0] = words[0]
                to[1] = words[1]
                to[2] = words[2]
                to[3] = words[3]
                source += 16
                target += 16
            last = end - 4
            while source <= last:
                ptr32(target)[0] = ptr32(source)[0]
                source += 4
                target += 4
        while source < end:
            ptr8(target)[0] = ptr8(source)[0]
            source += 1
            target += 1
        stamp = slot[_TIME]
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(slow._ticks())
        part[_STAMP] = stamp
        if meta != part[_RX_META]:  # a store into the list costs as much as copying 100 bytes
            result[0] = size
            result[1] = meta >> 16 & 0xFF
            part[_RX_META] = meta
        result[2] = (now - stamp) & part[_MASK]
        tail += 1
        if tail == header[_CAPACITY] + header[_CAPACITY]:
            tail = 0
        header[_RECEIVED] += 1
        # Order: slot read before tail, so the producer cannot reuse it early.
        header[_TAIL] = tail
        return result

    @micropython.viper
    def recv_word():
        """Take the next message, which must be of 4 bytes, as a word.

        Return the list [value, priority, latency] as recv does, value in -2**31..2**31-1 (one
        beyond +-2**30 allocates on a 32-bit board), or None if no message is queued. Raises
        ValueError if the message is of another size; it stays: recv() or skip() takes it.

        Context: one receiving context | alloc: none | time: O(1), and senders | blocks: never
        """
        part = ptr32(block)
        lane = int(part) + part[_LANES]
        end = int(part) + part[_LANES_END]
        header = ptr32(lane)
        while header[_HEAD] == header[_TAIL]:
            lane += _LANE_BYTES
            if lane == end:
                return None
            header = ptr32(lane)
        if header[_REST]:
            lane = int(slow._next_lane())
            if not lane:
                return None
            header = ptr32(int(part) + lane)
        tail = header[_TAIL]
        index = tail
        if index >= header[_CAPACITY]:
            index -= header[_CAPACITY]
        slot = ptr32(int(header) + header[_FIRST] + index * part[_PITCH])
        meta = slot[_META]
        if (meta & 0xFFFF) != 4:
            slow._not_a_word(meta & 0xFFFF)
        value = slot[2]
        value |= (0 - (value >> 31 & 1)) << 31  # the sign, where a register is 64 bits wide
        stamp = slot[_TIME]
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(slow._ticks())
        part[_RX_META] = -1
        result[0] = value  # may raise MemoryError, so before anything that counts
        part[_STAMP] = stamp
        result[1] = meta >> 16 & 0xFF
        result[2] = (now - stamp) & part[_MASK]
        tail += 1
        if tail == header[_CAPACITY] + header[_CAPACITY]:
            tail = 0
        header[_RECEIVED] += 1
        header[_TAIL] = tail  # Order: slot read before tail, as in recv.
        return result

    @micropython.viper
    def recv_words(words) -> int:
        """Take messages of 4 bytes into `words`, an array of 'i' or 'I', until it is full.

        Return how many were taken, in the order recv would have: words[:n]. Stops early when no
        message is queued or the next is not a word; raises ValueError if already the first is not,
        TypeError if `words` is not a writable array of 4-byte items; then nothing is taken.
        timestamp() is that of the last.

        Context: one receiving context | alloc: none | time: O(n), and senders | blocks: never
        """
        part = ptr32(block)
        known = words if 1 else 0
        if (known - part[_WORDS_KNOWN]) & 0x3FFFFFFF:
            slow._check_words(words)
            slow._kept[1] = words
            part[_WORDS_KNOWN] = known
        room = int(size_of(words))
        target = ptr32(words)
        end = int(part) + part[_LANES_END]
        count = 0
        while count < room:
            lane = int(part) + part[_LANES]
            header = ptr32(lane)
            while header[_HEAD] == header[_TAIL]:
                lane += _LANE_BYTES
                if lane == end:
                    return count
                header = ptr32(lane)
            if header[_REST]:
                lane = int(slow._next_lane())
                if not lane:
                    return count
                header = ptr32(int(part) + lane)
            tail = header[_TAIL]
            index = tail
            if index >= header[_CAPACITY]:
                index -= header[_CAPACITY]
            slot = ptr32(int(header) + header[_FIRST] + index * part[_PITCH])
            size = slot[_META] & 0xFFFF
            if size != 4:
                if not count:
                    slow._not_a_word(size)
                return count
            target[count] = slot[2]
            count += 1
            part[_STAMP] = slot[_TIME]
            tail += 1
            if tail == header[_CAPACITY] + header[_CAPACITY]:
                tail = 0
            header[_RECEIVED] += 1
            header[_TAIL] = tail  # Order: slot read before tail, as in recv.
        return count

    @micropython.viper
    def next_lane() -> int:
        # The byte offset in the block of the lane to read next, 0 if no message is queued: of the
        # first place with a message, the oldest of its senders' messages; of equal stamps the
        # first sender's. A stamp is taken for one of the last seven eighths of the clock's period,
        # or of the next eighth.
        part = ptr32(block)
        lane = int(part) + part[_LANES]
        end = int(part) + part[_LANES_END]
        first = 0
        stamp = 0
        while lane < end:
            header = ptr32(lane)
            tail = header[_TAIL]
            while header[_HEAD] != tail:
                index = tail
                if index >= header[_CAPACITY]:
                    index -= header[_CAPACITY]
                slot = ptr32(lane + header[_FIRST] + index * part[_PITCH])
                if header[_REST] & _STALE and (slot[_META] >> 24 & 0xFF) != part[_EPOCH]:
                    tail += 1  # it was on its way to an earlier receiver
                    part[_STRAYS] += 1
                    if tail == header[_CAPACITY] + header[_CAPACITY]:
                        tail = 0
                    header[_TAIL] = tail
                else:
                    if not first:
                        first = lane
                        stamp = slot[_TIME]
                        end = lane + (header[_REST] & ~_STALE) + _LANE_BYTES
                    else:
                        other = slot[_TIME]
                        if part[_RX_CLOCK]:
                            now = ptr32(part[_RX_CLOCK])[0]
                        else:
                            now = int(slow._ticks())
                        now += part[_MASK] >> 3  # a stamp of send_at may be ahead of the clock
                        if ((now - other) & part[_MASK]) > ((now - stamp) & part[_MASK]):
                            first = lane
                            stamp = other
                    break
            lane += _LANE_BYTES
        if first:
            first -= int(part)
        return first

    @micropython.viper
    def skip() -> bool:
        """Drop the next message, the one recv would return; it counts as received.

        True: dropped; False: no message is queued.

        Context: one receiving context | alloc: none | time: O(1), and senders | blocks: never
        """
        lane = int(slow._next_lane())
        if not lane:
            return False
        header = ptr32(int(ptr32(block)) + lane)
        tail = header[_TAIL] + 1
        if tail == header[_CAPACITY] + header[_CAPACITY]:
            tail = 0
        header[_RECEIVED] += 1
        header[_TAIL] = tail
        return True

    @micropython.viper
    def clear() -> int:
        """Drop every message queued so far; return how many. They count as received.

        Context: one receiving context | alloc: none | time: O(lanes) | blocks: never
        """
        count = 0
        if not int(slow._next_lane()):
            return count
        part = ptr32(block)
        lane = int(part) + part[_LANES]
        end = int(part) + part[_LANES_END]
        while lane < end:
            header = ptr32(lane)
            head = header[_HEAD]
            used = head - header[_TAIL]
            if used < 0:
                used += header[_CAPACITY] + header[_CAPACITY]
            header[_RECEIVED] += used
            header[_TAIL] = head
            count += used
            lane += _LANE_BYTES
        return count

    @micropython.viper
    def timestamp() -> int:
        """Return the clock at the send of the message last received, in ticks modulo the period.

        Context: one receiving context | alloc: none | time: O(1) | blocks: never
        """
        part = ptr32(block)
        mask = part[_MASK]
        if not mask:
            slow._next_lane()  # no clock has that: the receiver has closed, and this raises
        return part[_STAMP] & mask

    def point_at(words):
        # From now on every verb, however it was kept, reads these words and not its receiver's.
        nonlocal block
        block = words

    slow._next_lane = next_lane
    return recv, recv_word, recv_words, skip, clear, timestamp, point_at


class Sender:
    """One sending context's end of a channel: what add_sender() returns.

    Its counters are its own; the channel's are the sums over its senders. Attributes: `send`,
    `send_word`, `send_at`, `send_word_at` and, with zero_copy=True, `claim`, `commit`, `abort`
    (viper, positional arguments only).
    """

    _make = staticmethod(make_sender)

    def __init__(self, channel, number):
        self._channel = channel
        self._number = number
        self._kept = [b""]  # a message that has been checked
        self._ticks = channel.clock.ticks
        self._attempt = None
        self._block = block = memoryview(channel._block)[channel._sender_at(number) :]
        verbs = self._make(block, self)
        if channel._guard is not None:
            from .guard import guard_sender

            verbs = guard_sender(self, channel._guard, verbs, block)
        self.send, self.send_word, self.send_at, self.send_word_at = verbs
        if channel._views is not None:
            from .zero_copy import make_claims

            self.claim, self.commit, self.abort = make_claims(block, self, channel._views)

    def check(self, data, priority):
        """Raise the error that send(data, priority) would raise or count, in a whole sentence.

        For set-up, where send itself must stay silent in a handler. A full lane is no error.
        """
        channel = self._channel
        self._vet(data, priority)
        if channel.closed:
            raise ValueError("%s is closed" % channel._title())
        if len(data) > channel.slot_size:
            raise ValueError(
                "message of %d bytes is larger than a slot of %d" % (len(data), channel.slot_size)
            )

    def free(self, priority=None):
        """Return how many messages of class `priority` this sender can queue now.

        None: of any class in use, so 0 if one of them is full. 0 once the channel is closed. Exact
        or too small for the sender itself, as the receiver may take one meanwhile; a guess for
        any other context.

        Context: any handler or task | alloc: none | time: O(1) | blocks: never
        """
        return self._channel._free(self._number, priority)

    def is_full(self, priority=None):
        """Return whether this sender has no room for class `priority`; None: for some class."""
        return not self._channel._free(self._number, priority)

    def asend(self, data, priority, timeout_ms=None):
        """Wait for room and send `data`: to be awaited, by a task of this sender's context.

        Returns what send does. When `timeout_ms` have passed it sends once more, so that a message
        for which there is still no room is counted as dropped. A message larger than a slot, or
        for a closed channel, is rejected at once; a multicast that has no receiver takes it at
        once and returns 0. Errors as send, at once. Cancelled, it has queued and counted nothing.

        Context: a task | alloc: a coroutine, a waiter | blocks: its task only
        """
        return waiting().asend(self, data, priority, timeout_ms)

    @property
    def dropped(self):
        """Messages that found their lane full."""
        return self._channel._sum(_DROPPED, self._number)

    @property
    def rejected(self):
        """Messages larger than a slot, sent after close(), or while a slot was claimed."""
        return self._channel._sum(_REJECTED, self._number)

    @property
    def high_water(self):
        """The most messages any one of this sender's lanes has held at once."""
        return self._channel._most(self._number)

    def __repr__(self):
        return "sender %d of %s" % (self._number, self._channel)

    # What the verbs call off the hot path. The buffer is kept, so that its word cannot come to
    # mean another object; in a list, since to store an attribute where a class has properties
    # costs a search of its bases, thousands of cycles.

    def _check_message(self, data):
        # Whether to keep it: not what is rejected.
        check_message(data)
        return len(data) <= self._channel.slot_size and not self._channel.closed

    def _vet(self, data, priority):
        check_message(data)
        self._channel._lane(self._number, priority)

    def _try(self, data, priority):
        # As send, after _vet; but None, and nothing counted, if the lane is full now.
        if self._attempt is None:
            self._attempt = waiting().make_attempt(self)
        return self._attempt(data, priority)

    def _bad_class(self, priority):
        raise _error(ValueError, "class must be 0 to 4, not %d", priority)

    def _unused_class(self, priority):
        raise _error(ValueError, "class %d has capacity 0", priority)


class Receiver:
    """One receiving context's end of a channel; a Channel or PriorityChannel is one itself.

    Attributes: `recv`, `recv_word`, `recv_words`, `skip`, `clear`, `timestamp` (viper, positional
    arguments only).
    """

    def _attach(self, block, clock):
        # `block` begins with this receiver's words.
        self._kept = [None, None]  # a buffer, an array of words
        self._ticks = clock.ticks
        self._waiter = None
        self._served = 0  # when select() last chose it
        self._stats = None
        self._check_buffer = check_buffer
        self._check_words = check_words
        verbs = make_receiver(block, self)
        self.recv, self.recv_word, self.recv_words, self.skip, self.clear = verbs[:5]
        self.timestamp, self._point_at = verbs[5:]

    def ready(self, timeout_ms=None):
        """Wait until a message is queued: to be awaited.

        True: a message. None: `timeout_ms` have passed. False: closed and drained; a receiver
        that has closed itself is. Takes no message, so that a wait that is cancelled or too late
        loses none. Any number of tasks may wait at once.

        Context: a task | alloc: a coroutine | blocks: its task only
        """
        return waiting().ready(self, timeout_ms)

    def arecv(self, buf, timeout_ms=None):
        """Wait for a message and receive it: to be awaited. Result and errors as recv.

        None: `timeout_ms` have passed. False: closed and drained. Cancelled, it has taken nothing.

        Context: a task of the receiving context | alloc: a coroutine | blocks: its task only
        """
        return waiting().arecv(self, buf, timeout_ms)

    def arecv_word(self, timeout_ms=None):
        """As arecv, of a message of 4 bytes: result and errors as recv_word."""
        return waiting().arecv_word(self, timeout_ms)

    def recv_wait(self, buf, timeout_ms=None):
        """Receive as recv does, and wait for a message without asyncio.

        None: `timeout_ms` have passed. False: closed and drained.

        Context: a thread or a program without asyncio | alloc: at the first | blocks: its caller
        """
        return waiting().recv_wait(self, buf, timeout_ms)

    def stats(self):
        """Return (count, avg_latency, p50_latency, p99_latency, max_latency), in clock ticks.

        A named tuple; of what recv and recv_word took, as latency.py says. Raises ValueError for a
        channel without stats=True. stats_into(words) and reset_stats() are beside it.
        """
        return self._histogram().stats()

    def stats_into(self, words):
        """Write the five figures of stats() into `words`, an array of 'i' or 'I'.

        Context: the receiving context | alloc: none | time: O(buckets) | blocks: never
        """
        self._histogram().stats_into(words)

    def reset_stats(self):
        """Forget the latencies so far. Context: the receiving context."""
        self._histogram().reset()

    def _histogram(self):
        if self._stats is None:
            raise ValueError("%s was made without stats=True" % self._title())
        return self._stats

    def _poll(self):
        return self.closed or self._next_lane()

    # What the verbs call off the hot path, as Sender's.

    def _small_buffer(self, size, room):
        raise _error(ValueError, "message of %d bytes, receive buffer of %d", size, room)

    def _not_a_word(self, size):
        raise _error(ValueError, "message of %d bytes is not a word of 4", size)


class Lanes:
    """What every channel has; construct a PriorityChannel, Channel or another pattern instead.

    Attributes: `name`, `clock`, `slot_size` (bytes), `senders`, `closed`.
    """

    _receivers = 1  # sets of receiver's words in the block
    _classes = 5
    _by_class = False  # whether a place is a class's
    _guard = None
    _views = None
    _senders = ()

    def __init__(self, capacities, slot_size, senders, name, clock):
        size = self._bytes(capacities, slot_size, senders, self._receivers)
        if clock is None:
            clock = default()
        elif not isinstance(clock, Clock):
            raise TypeError("clock must be a Clock, not %r" % (clock,))
        check_name(name)
        self.name = name
        self.clock = clock
        self.slot_size = slot_size
        self.senders = senders
        self.closed = False
        self._places = capacities
        try:
            if size >= 1 << 30:
                raise MemoryError
            self._block = bytearray(size)
        except MemoryError:
            raise MemoryError(
                "%s needs %d bytes, %d are free" % (self._title(), size, gc.mem_free())
            )
        self._lay_out()

    def close(self):
        """End the channel: sends are rejected, receivers drain what is queued, waits end.

        A send that is under way in another context meanwhile is rejected too, or its message is
        queued and a later recv finds it. A closed channel leaves report(). Closing twice is
        harmless.

        Context: any handler or task | alloc: none | time: O(senders) | blocks: never
        """
        for number in range(self.senders):
            _store(self._block, (self._sender_at(number) >> 2) + _LIMIT, 0)
        # Order: senders before closed, so who sees it closed finds no send that begins later.
        self.closed = True
        for sender in self._senders:
            sender._kept[0] = b""  # they read no message any more
        if self.name is not None:
            try:
                # Not here, as a hard handler may interrupt whoever else uses the dictionary.
                micropython.schedule(_forget, self)
            except RuntimeError:
                pass  # the scheduler's queue is full: the next channel with a name forgets it
        _send_event()

    def notify(self):
        """Wake the other core of an rp2: after a send, if it waits for a message there.

        Also after a recv, if it waits for room. call, serve and close do this themselves.
        Interrupts wake the core that they interrupt; elsewhere this does nothing.

        Context: any handler or task | alloc: none | time: O(1) | blocks: never
        """
        _send_event()

    def __len__(self):
        """Messages queued, by all senders. Exact for the receiver or too small, else a guess."""
        queued = 0
        for number in range(self.senders):
            for place in range(len(self._places)):
                queued += _queued(self._block, self._header(number, place))
        return queued

    def __bool__(self):
        return True  # else __len__ would make an empty channel false

    # Counters are modulo 2**30, so that none is ever an object to allocate.

    @property
    def dropped(self):
        """Messages that found their lane full, of all senders."""
        return self._sum(_DROPPED)

    @property
    def rejected(self):
        """Messages larger than a slot, sent after close(), or while a slot was claimed."""
        return self._sum(_REJECTED)

    @property
    def received(self):
        """Messages that receivers have taken, also by skip and clear."""
        return self._sum(_RECEIVED)

    @property
    def sent(self):
        """Messages queued since the start: received and still queued."""
        return self._sent()

    @property
    def high_water(self):
        """The most messages that any one lane has held at once."""
        return self._most()

    def _counters(self, place=None):
        # Received before sent, so that what is received meanwhile makes neither the smaller.
        received = self._sum(_RECEIVED, None, place)
        sent = self.sent if place is None else self._sent(place)
        return (
            _plus(sent, -received),
            sent,
            received,
            self.dropped if place is None else self._sum(_DROPPED, None, place),
            self.rejected if place is None else self._sum(_REJECTED, None, place),
            self._most(None, place),
        )

    def _rows(self):
        # For report(): a label, the capacity and the counters of each line.
        return [("-", self._places[0], self._counters())]

    def __repr__(self):
        return "%s: %d queued, %d sent, %d received, %d dropped, %d rejected%s" % (
            self._title(),
            len(self),
            self.sent,
            self.received,
            self.dropped,
            self.rejected,
            ", closed" if self.closed else "",
        )

    def _title(self):
        kind = type(self).__name__
        return kind if self.name is None else "%s %r" % (kind, self.name)

    @staticmethod
    def _bytes(capacities, slot_size, senders, receivers):
        whole("slot_size", slot_size, 1, 65535)
        whole("senders", senders, 1, 255)
        lanes = len(capacities) * _LANE_BYTES + sum(capacities) * _pitch(slot_size)
        return receivers * _RX_BYTES + senders * (_TX_BYTES + lanes)

    def _lay_out(self):
        block = self._block
        capacities = self._places
        pitch = _pitch(self.slot_size)
        lanes = self._header(0, 0) << 2
        slots = self._header(0, len(capacities)) << 2
        step = self.senders * _LANE_BYTES if len(capacities) > 1 else 0
        for place in range(self._receivers):
            start = place * _RX_BYTES
            word = start >> 2
            own = lanes + place * step  # one receiver has all the lanes, several a place each
            end = own + step if self._receivers > 1 else slots
            _store(block, word + _LANES, own - start)
            _store(block, word + _LANES_END, end - start)
            _store(block, word + _PITCH, pitch)
            _store(block, word + _RX_CLOCK, self.clock.register)
            _store(block, word + _MASK, self.clock.period - 1)
            _forget_buffers(block, word)
        for number in range(self.senders):
            part = self._sender_at(number)
            word = part >> 2
            _store(block, word + _CLOCK, self.clock.register)
            _store(block, word + _REGISTER, self.clock.register)
            _store(block, word + _LIMIT, self.slot_size + 1)
            _store(block, word + _OWN_LANES, lanes + number * _LANE_BYTES - part)
            _store(block, word + _PLACE_STEP, step)
            _store(block, word + _OWN_PITCH, pitch)
            _store(block, word + _TX_KNOWN, _NOTHING)
            _store(block, word + _CLASSES, self._classes)
        count = 0
        for place in range(len(capacities)):
            for number in range(self.senders):
                header = self._header(number, place)
                _store(block, header + _ROOM, capacities[place])
                _store(block, header + _CAPACITY, capacities[place])
                _store(block, header + _FIRST, slots + count * pitch - (header << 2))
                _store(block, header + _REST, (self.senders - 1 - number) * _LANE_BYTES)
                _store(block, header + _NUMBER, count)
                count += capacities[place]

    def _sender_at(self, number):
        # The byte in the block where that sender's words begin.
        return self._receivers * _RX_BYTES + number * _TX_BYTES

    def _header(self, number, place):
        # The word in the block where the header of that sender's lane of that place begins.
        lane = place * self.senders + number
        return self._sender_at(self.senders) + lane * _LANE_BYTES >> 2

    def _lane(self, number, priority):
        # The same by class; raises as the verbs do.
        if not (isinstance(priority, int) or isinstance(priority, bool)):  # as viper takes it
            raise TypeError("class must be an int, not %r" % (priority,))
        priority = _as_class(priority)
        if not 0 <= priority < self._classes:
            raise _error(ValueError, "class must be 0 to 4, not %d", priority)
        place = priority if self._by_class else 0
        if not self._places[place]:
            raise _error(ValueError, "class %d has capacity 0", priority)
        return self._header(number, place)

    def _free(self, number, priority):
        # Room for a message of that class; None: of any class in use.
        lane = -1 if priority is None else self._lane(number, priority)
        if self.closed:
            return 0
        if lane >= 0:
            return _room(self._block, lane)
        free = 65535
        for place in range(len(self._places)):
            if self._places[place]:
                free = min(free, _room(self._block, self._header(number, place)))
        return free

    def _sum(self, field, number=None, place=None):
        # Of one sender's lanes or all, of one place or all.
        rows = len(self._places)
        at = self._header(number or 0, place or 0) + field
        if number is None:
            count = self.senders if place is not None else self.senders * rows
            return _total(self._block, at, _LANE_BYTES >> 2, count)
        return _total(
            self._block, at, self.senders * _LANE_BYTES >> 2, rows if place is None else 1
        )

    def _sent(self, place=None):
        # Queued since the start, in the lanes of one place or all.
        count = self.senders if place is not None else self.senders * len(self._places)
        return _sent(self._block, self._header(0, place or 0), count)

    def _most(self, number=None, place=None):
        most = 0
        for sender in range(self.senders):
            if number is None or sender == number:
                for row in range(len(self._places)):
                    if place is None or row == place:
                        header = self._header(sender, row)
                        most = max(most, _load(self._block, header + _HIGH_WATER))
        return most


class Sending(Lanes):
    """What the channels have that messages are sent to: all but RequestReplyChannel.

    Attributes beside those of Lanes: the first sender's `send`, `send_word`, `send_at`,
    `send_word_at` (viper, positional arguments only).
    """

    _sender = Sender

    def _begin(self):
        # The end of every constructor, when a Sender can be made.
        first = self._sender(self, 0)
        self._senders = [first]
        self.send = first.send
        self.send_word = first.send_word
        self.send_at = first.send_at
        self.send_word_at = first.send_word_at
        register(self)

    def add_sender(self):
        """Return the Sender of a further context: its own lanes, so it may send at any instant.

        Raises ValueError when the `senders` of the constructor are all taken.

        Context: set-up | alloc: the Sender | time: O(1) | blocks: never
        """
        taken = len(self._senders)
        if taken == self.senders:
            raise ValueError("%s has room for senders=%d, all taken" % (self._title(), taken))
        sender = self._sender(self, taken)
        self._senders.append(sender)
        return sender

    def check(self, data, priority):
        """As Sender.check."""
        self._senders[0].check(data, priority)

    def free(self, priority=None):
        """As Sender.free, for the first sender, whose `send` is the channel's."""
        return self._free(0, priority)

    def is_full(self, priority=None):
        """As Sender.is_full, for the first sender."""
        return not self._free(0, priority)

    def asend(self, data, priority, timeout_ms=None):
        """As Sender.asend, for the first sender."""
        return self._senders[0].asend(data, priority, timeout_ms)


class Queue(Sending, Receiver):
    """What PriorityChannel and Channel have in common: one receiver for all lanes.

    Attributes beside those of Sending: `capacity` as given; `recv`, `recv_word`, `recv_words`,
    `skip`, `clear`, `timestamp`; with zero_copy=True the first sender's `claim`, `commit`, `abort`
    and the receiver's `peek`, `release`, `view` (all viper but view, positional arguments only).
    """

    def __init__(
        self,
        capacity,
        slot_size=32,
        senders=1,
        name=None,
        clock=None,
        send_guard=None,
        recv_guard=None,
        zero_copy=False,
        stats=False,
    ):
        Lanes.__init__(self, self._capacities(capacity), slot_size, senders, name, clock)
        self.capacity = capacity
        for what, each in (("send_guard", send_guard), ("recv_guard", recv_guard)):
            if each is not None and not (hasattr(each, "enter") and hasattr(each, "leave")):
                raise TypeError("%s must have enter and leave, not %r" % (what, each))
            if each is not None and zero_copy:
                raise ValueError("zero_copy=True needs a context each, not %s=%r" % (what, each))
        self._guard = send_guard
        if zero_copy:
            from .zero_copy import make_peeks, make_views

            self._views = make_views(self)
        self._attach(self._block, self.clock)
        self._begin()
        if zero_copy:
            first = self._senders[0]
            self.claim, self.commit, self.abort = first.claim, first.commit, first.abort
            self._seen = [None]
            self.peek, self.release = make_peeks(self._block, self, self._views)
        if stats:
            from .latency import measure

            measure(self)
        self._recv_guard = recv_guard
        if recv_guard is not None:
            from .guard import share_receiver

            share_receiver(self)

    @classmethod
    def memory(cls, capacity, slot_size=32, senders=1):
        """Return the bytes that such a channel's block takes; raise as the constructor would."""
        return cls._bytes(cls._capacities(capacity), slot_size, senders, 1)

    def add_receiver(self):
        """Return the receiver of a further context: recv_guard lets it share the lanes.

        It has the channel's receiving verbs, and results of its own. Raises ValueError for a
        channel without recv_guard.

        Context: set-up | alloc: the receiver | time: O(1) | blocks: never
        """
        if self._recv_guard is None:
            raise ValueError("%s has no recv_guard, so one receiver" % self._title())
        from .guard import GuardedReceiver

        return GuardedReceiver(self)

    def __getattr__(self, name):
        # Only what an instance lacks comes here.
        if name == "_seen":
            name = "view"
        if name in ("claim", "commit", "abort", "peek", "release", "view"):
            raise AttributeError(
                "%s was made without zero_copy=True: no %s" % (self._title(), name)
            )
        raise AttributeError("%s has no attribute %r" % (self._title(), name))

    @property
    def view(self):
        """The message that peek returned, a memoryview of its slot; None before the first."""
        return self._seen[0]

    def counters(self, priority=None):
        """Return (queued, sent, received, dropped, rejected, high_water) of a class; None: of all.

        Sums over the senders, high_water their greatest. Raises ValueError for a class that is not
        0..4, and on a channel whose classes share one lane.

        Context: a task | alloc: a tuple | time: O(lanes) | blocks: never
        """
        if priority is not None:
            if not self._by_class:
                raise ValueError("%s does not count by class" % self._title())
            whole("class", priority, 0, 4)
        return self._counters(priority)


def register(channel):
    """Name the channel in report(), and forget those that are closed."""
    for name in list(named):
        if named[name].closed:
            del named[name]
    if channel.name is not None:
        named[channel.name] = channel


def _forget(channel):
    if named.get(channel.name) is channel:
        del named[channel.name]


def _pitch(slot_size):
    return _SLOT_BYTES + (slot_size + 3 & ~3)


def _forget_buffers(block, word):
    # So that the receiver whose words begin there checks the next buffer and writes its result.
    _store(block, word + _RX_META, -1)
    _store(block, word + _RX_KNOWN, _NOTHING)
    _store(block, word + _WORDS_KNOWN, _NOTHING)


if sys.platform == "rp2":
    from machine import disable_irq, enable_irq

    def _send_event():
        # While both cores run Python this gives back a mutex, and that ends in an event.
        enable_irq(disable_irq())
else:

    def _send_event():
        pass


_waiting = None


def waiting():
    """Return the module of that name, imported when the first task waits."""
    global _waiting
    if _waiting is None:
        # Not `from . import`: that would ask the package's __getattr__ for it.
        _waiting = __import__("ringlane.waiting", None, None, ("Waiter",))
    return _waiting
