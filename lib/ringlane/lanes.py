"""Lanes: the engine under every channel.

A *lane* is a ring of fixed slots with exactly one producing context and one consuming context.
Every channel is a set of lanes in one block of memory; a pattern (priority.py, channel.py, ...)
is only a rule for which lane a message enters and which lane is read next.

Words
    slot        room for one message: size and class, timestamp, payload rounded up to words
    capacity    slots in a lane, every one of them usable
    head        how many messages were queued: the producer's
    tail        how many were taken: the consumer's
    dropped     messages that found their lane full; rejected: larger than a slot, or after close()
    high_water  the most messages a lane has held at once
    row         the lanes of a class, or of a receiver: one for each sender
    epoch       how often a row was taken by a receiver, modulo 256
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

Head and tail count freely, modulo 2**32. Their difference is what is queued, so that full and
empty differ without a spare slot; which slot comes next is in two words of their own.
Loads are signed on 32-bit chips and unsigned on 64-bit hosts, so a word that may have its top bit
set is only ever compared after a mask, or with one for equality.

The scheduler
    Viper functions are not interrupted by the scheduler, or by another thread under a GIL. Python
    code is, also where a verb calls it. So from its first load to its last store of a word that
    others write, a verb calls viper and builtin functions only.

What stands below a line `step(…)` is written by `make stamp`: see lib/README.md.
"""

import gc
import sys

import micropython
from micropython import const

from .checks import check_int, check_name, error
from .clock import Clock, default
from .port import address, later, send_event

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_STRIDE = const(1)  # bytes of a slot
_RX_CLOCK = const(2)  # address of the clock's register, 0: call the clock's ticks()
_MASK = const(3)  # the clock's period - 1
_RX_KNOWN = const(5)  # the receive buffer last checked, as a word. Owner: receiver
_RX_META = const(6)  # the META that stands in the result. Owner: receiver
_WORDS_KNOWN = const(7)  # the array last checked by recv_words, as a word. Owner: receiver
_RECEIVER_BYTES = const(52)
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_CLOCK = const(8)  # as RX_CLOCK, but 0 while AT_SET. Owner: sender
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_STRIDE = const(10)  # bytes of a slot
_REGISTER = const(11)  # as RX_CLOCK
_AT_SET = const(12)  # 1: the next message is stamped AT. Owner: sender
_AT = const(13)
_TX_KNOWN = const(14)  # the message object last checked, as a word. Owner: sender
_ROW_STEP = const(16)  # fan-out: bytes from a row's lane to the next row's
_SENDER_BYTES = const(84)
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
# with so many queued send looks closer; 0 while claimed. Owner: producer. Fan-out: max_lag or 0 |
# epoch << 16 | core << 24. Owner: the receiver:
_ROOM = const(3)
_CAPACITY = const(4)  # slots; 0: the class is not used
_WRITE = const(5)  # bytes from here to the slot to write next. Owner: producer
_READ = const(6)  # bytes from here to the slot to read next. Owner: consumer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_NUMBER = const(9)  # the number of the first slot in the block
_HIGH_WATER = const(10)  # the most messages queued at once. Owner: producer
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
_CLAIMED = const(13)  # 1: a claim is open. Owner: producer
_LANE_BYTES = const(56)
_SLOT_BYTES = const(8)
_MARK_BYTES = const(20)  # an end mark: the words up to CAPACITY
_LAST = const(2)  # in REST
_NOTHING = const(2)  # as a word, no object
# stamped.

named = {}  # name -> channel that is open, for report()


@micropython.viper
def load(at: int, word: int) -> int:
    """Return a word of the block at the address `at`, modulo 2**30, so that none is allocated."""
    return ptr32(at + (word << 2))[0] & 0x3FFFFFFF


@micropython.viper
def store(at: int, word: int, value: int):
    """Set a word of the block at the address `at`."""
    ptr32(at + (word << 2))[0] = value


@micropython.viper
def queued(at: int, header: int) -> int:
    """Return how many messages a lane holds: to its producer no fewer, to others it is a guess."""
    # One viper function, as neither the scheduler nor a GIL comes between its parts.
    lane = ptr32(at + (header << 2))
    tail = lane[_TAIL]  # Bound: first, so that what is taken meanwhile is counted too
    used = (lane[_HEAD] - tail) & 0x3FFFFFFF
    return used if used < lane[_CAPACITY] else lane[_CAPACITY]


@micropython.viper
def plus(a: int, b: int) -> int:
    """Return a + b modulo 2**30: in Python the sum may be an int that has to be allocated."""
    return (a + b) & 0x3FFFFFFF


def make_admit(at, cold):
    """Return the closer look of send, when it finds no room: admit(priority, size)

    It raises, or counts why there is none, or makes room and returns True.
    """

    @micropython.viper
    def admit(priority: int, size: int) -> bool:
        part = ptr32(int(at))
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        if priority & -8 or not lane[_CAPACITY]:
            cold._no_lane(priority)
        if size >= part[_LIMIT] or lane[_CLAIMED]:
            lane[_REJECTED] = lane[_REJECTED] + 1
            return False
        used = (lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF
        if used >= lane[_CAPACITY]:
            lane[_DROPPED] = lane[_DROPPED] + 1
            return False
        if used >= lane[_HIGH_WATER]:
            # Order: before head, so nobody sees more queued than this.
            lane[_HIGH_WATER] = used + 1
            lane[_ROOM] = used + 1
        return True

    return admit


@micropython.viper
def send_stamped(at: int, send, value, priority, ticks: int, word: bool):
    """Send with the stamp `ticks`; `send` is the sender's send, or send_word if `word`."""
    if word:
        int(value)  # raises if it is no int, before the stamp is set, and stays the object it is
    int(priority)
    part = ptr32(at)
    part[_AT] = ticks
    part[_AT_SET] = 1
    part[_CLOCK] = 0
    return send(value, priority)


def make_next_lane(at):
    """Return the next_lane of a receiver with one sender: of several, see oldest.py.

    It returns the bytes from the receiver's words to the lane to read next, 0: none has a message.
    """

    @micropython.viper
    def next_lane() -> int:
        part = ptr32(int(at))
        lane = ptr32(int(part) + part[_LANES])
        while not lane[_HEAD] - lane[_TAIL]:
            lane = ptr32(int(lane) + _LANE_BYTES)
        if lane[_REST]:  # the end mark
            return 0
        return int(lane) - int(part)

    return next_lane


@micropython.viper
def skip_one(at: int, cold) -> bool:
    """Drop the next message; return whether there was one."""
    first = int(cold._next_lane())
    if not first:
        return False
    part = ptr32(at)
    lane = ptr32(at + first)
    #: step("give back") :#
    read = lane[_READ] + part[_STRIDE]
    if not read - lane[_END]:
        read = lane[_FIRST]
    lane[_READ] = read
    # Order: slot read before tail, so the producer cannot reuse it early.
    lane[_TAIL] = lane[_TAIL] + 1
    # stamped.
    return True


@micropython.viper
def take_all(at: int, cold) -> int:
    """Empty the lanes of the receiver at `at`; return how many messages that were."""
    count = 0
    if not int(cold._next_lane()):  # which drops first what was for an earlier receiver
        return count
    part = ptr32(at)
    lane = ptr32(at + part[_LANES])
    while lane[_REST] != _LAST:
        head = lane[_HEAD]
        used = (head - lane[_TAIL]) & 0x3FFFFFFF
        read = lane[_READ] + used * part[_STRIDE]
        if read >= lane[_END]:
            read -= lane[_END] - lane[_FIRST]
        lane[_READ] = read
        lane[_TAIL] = head
        count += used
        lane = ptr32(int(lane) + _LANE_BYTES)
    return count


class Lanes:
    """What every channel has; construct a PriorityChannel, Channel or another pattern instead.

    Attributes: `name`, `clock`, `slot_size` (bytes), `senders`, `closed`.
    """

    _receivers = 1  # sets of receiver's words in the block, each with rows of its own if several
    _by_class = False  # whether a row is a class's
    _objects = 205  # machine words that the objects take beside the block
    _beside = 0  # and bytes

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
        self._capacities = capacities
        try:
            if size >= 1 << 30:
                raise MemoryError
            self._block = bytearray(size)
        except MemoryError:
            raise MemoryError(
                "%s needs %d bytes, %d are free"
                % (self._title(), self._whole(size), gc.mem_free())
            )
        self._base = address(self._block)
        self._lay_out()

    def close(self):
        """End the channel: sends are rejected, receivers drain what is queued, waits end.

        A send that is under way in another context meanwhile is rejected too, or its message is
        queued and a later recv finds it. A closed channel leaves report(). Closing twice is
        harmless.

        Context: any handler or task | alloc: none | time: O(senders) | blocks: never
        """
        for number in range(self.senders):
            store(self._base, (self._sender_at(number) >> 2) + _LIMIT, 0)
        # Order: senders before closed, so who sees it closed finds no send that begins later.
        self.closed = True
        # They read no message any more. Its address in the block would hold it as the list does.
        for number in range(self.senders):
            store(self._base, (self._sender_at(number) >> 2) + _TX_KNOWN, _NOTHING)
        for sender in self._senders:
            sender._kept[0] = b""
        if self.name is not None:
            try:
                # Not here, as a hard handler may interrupt whoever else uses the dictionary.
                # By its name: the scheduler keeps what it has passed until its queue comes round.
                micropython.schedule(_forget, self.name)
            except RuntimeError:
                pass  # the scheduler's queue is full: the next channel with a name forgets it
        send_event()

    def notify(self):
        """Wake the other core of an rp2: after a send, if it waits for a message there.

        Also after a recv, if it waits for room. call, serve and close do this themselves.
        Interrupts wake the core that they interrupt; elsewhere this does nothing.

        Context: any handler or task | alloc: none | time: O(1) | blocks: never
        """
        send_event()

    def __len__(self):
        """Messages queued, by all senders. Exact for the receiver or too small, else a guess."""
        found = 0
        for row in range(len(self._capacities)):
            for number in range(self.senders):
                found += queued(self._base, self._header(number, row))
        return found

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
        return self._sum(_TAIL)

    @property
    def sent(self):
        """Messages queued since the start: received and still queued."""
        return self._sum(_HEAD)

    @property
    def high_water(self):
        """The most messages that any one lane has held at once."""
        return self._most()

    def __repr__(self):
        return later("ringlane.cold").describe(self)

    def _title(self):
        kind = type(self).__name__
        return kind if self.name is None else "%s %r" % (kind, self.name)

    @classmethod
    def _whole(cls, block):
        # The bytes of a channel with a block of so many.
        return block + cls._beside + cls._objects * (8 if sys.maxsize >> 32 else 4)

    @staticmethod
    def _bytes(capacities, slot_size, senders, receivers):
        check_int("slot_size", slot_size, 1, 65535)
        check_int("senders", senders, 1, 255)
        lanes = len(capacities) * _LANE_BYTES + sum(capacities) * _stride(slot_size)
        return receivers * (_RECEIVER_BYTES + _MARK_BYTES) + senders * (_SENDER_BYTES + lanes)

    def _lay_out(self):
        base = self._base
        capacities = self._capacities
        rows = len(capacities)
        stride = _stride(self.slot_size)
        slots = self._header(0, rows) << 2
        register = self.clock.register
        mark = slots - _MARK_BYTES  # the last receiver's, or the only one's
        row_step = (self._header(0, 1) - self._header(0, 0)) << 2
        for receiver in range(self._receivers):
            at = receiver * _RECEIVER_BYTES
            word = at >> 2
            store(base, word + _LANES, (self._header(0, receiver) << 2) - at)
            store(base, word + _STRIDE, stride)
            store(base, word + _RX_CLOCK, register)
            store(base, word + _MASK, self.clock.period - 1)
            forget_buffers(base, word)
        for number in range(self.senders):
            at = self._sender_at(number)
            word = at >> 2
            for priority in range(8):
                row = priority if self._by_class else 0
                lane = self._header(number, row) << 2 if priority < 5 else mark
                store(base, word + _CARDS + priority, lane - at)
            store(base, word + _CLOCK, register)
            store(base, word + _REGISTER, register)
            store(base, word + _LIMIT, self.slot_size + 1)
            store(base, word + _TX_STRIDE, stride)
            store(base, word + _TX_KNOWN, _NOTHING)
            store(base, word + _ROW_STEP, row_step)
        count = 0
        for row in range(rows):
            for number in range(self.senders):
                header = self._header(number, row)
                first = slots + count * stride - (header << 2)
                store(base, header + _REST, (self.senders - 1 - number) * _LANE_BYTES)
                store(base, header + _CAPACITY, capacities[row])
                store(base, header + _WRITE, first)
                store(base, header + _READ, first)
                store(base, header + _FIRST, first)
                store(base, header + _END, first + capacities[row] * stride)
                store(base, header + _NUMBER, count)
                count += capacities[row]
            if row == rows - 1 or self._receivers > 1:
                header = self._header(self.senders, row)  # that of the end mark
                store(base, header + _HEAD, 1)
                store(base, header + _REST, _LAST)

    def _sender_at(self, number):
        # The byte in the block where that sender's words begin.
        return self._receivers * _RECEIVER_BYTES + number * _SENDER_BYTES

    def _header(self, number, row):
        # The word in the block where the header of that sender's lane of that row begins.
        lane = row * self.senders + number
        marks = min(row, self._receivers) if self._receivers > 1 else row // len(self._capacities)
        return (self._sender_at(self.senders) + lane * _LANE_BYTES + marks * _MARK_BYTES) >> 2

    def _lane(self, number, priority):
        # The same by class; raises as the verbs do.
        if not (isinstance(priority, int) or isinstance(priority, bool)):  # as viper takes it
            raise TypeError("class must be an int, not %r" % (priority,))
        row = priority if self._by_class else 0
        if not 0 <= priority < 5 or not self._capacities[row]:
            self._refuse_class(priority)
        return self._header(number, row)

    # Words of lanes have no names outside this file.

    def _sum_sent(self, row):
        return self._sum(_HEAD, None, row)

    def _sum_received(self, row):
        return self._sum(_TAIL, None, row)

    def _sum_dropped(self, number=None, row=None):
        return self._sum(_DROPPED, number, row)

    def _sum_rejected(self, number=None, row=None):
        return self._sum(_REJECTED, number, row)

    def _sum(self, field, number=None, row=None):
        # Of one sender's lanes or all, of one row or all.
        found = 0
        for each in range(len(self._capacities)):
            if row is None or row == each:
                for sender in range(self.senders):
                    if number is None or sender == number:
                        word = self._header(sender, each) + field
                        found = plus(found, load(self._base, word))
        return found

    def _most(self, number=None, row=None):
        most = 0
        for sender in range(self.senders):
            if number is None or sender == number:
                for each in range(len(self._capacities)):
                    if row is None or row == each:
                        header = self._header(sender, each)
                        most = max(most, load(self._base, header + _HIGH_WATER))
        return most

    def _free(self, number, priority):
        # Room for a message of that class; None: of any class in use.
        lane = -1 if priority is None else self._lane(number, priority)
        if self.closed:
            return 0
        if lane >= 0:
            return self._room(lane)
        free = 65535
        for row in range(len(self._capacities)):
            if self._capacities[row]:
                free = min(free, self._room(self._header(number, row)))
        return free

    def _room(self, header):
        # For how many messages more a lane has room, to its producer; 0 while claimed.
        if load(self._base, header + _CLAIMED):
            return 0
        return load(self._base, header + _CAPACITY) - queued(self._base, header)

    def _refuse_class(self, priority):
        # What the verbs raise for a class without lane.
        if 0 <= priority < 5:
            raise error(ValueError, "class %d has capacity 0", priority)
        raise error(ValueError, "class must be 0 to 4, not %d", priority)


def register(channel):
    """Name the channel in report(), and forget those that are closed."""
    for name in list(named):
        if named[name].closed:
            del named[name]
    if channel.name is not None:
        named[channel.name] = channel


def _forget(name):
    if name in named and named[name].closed:
        del named[name]


def _stride(slot_size):
    return _SLOT_BYTES + (slot_size + 3 & ~3)


def forget_buffers(base, word):
    """Let the receiver whose words begin there check the next buffer and write its result."""
    store(base, word + _RX_META, -1)
    store(base, word + _RX_KNOWN, _NOTHING)
    store(base, word + _WORDS_KNOWN, _NOTHING)
