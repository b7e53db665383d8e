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
    RP2350          its cores, ARM or RISC-V, may reorder loads and stores: there are fences

Fences
    A fence (fence.py: ARM's DMB, RISC-V's FENCE RW, RW) lets all that its core loaded and stored
    before it come before all that follows. Each index says whose a slot is, so there are four
    places, and three have a fence:
    before head is stored   the stores into the slot come first
    after head is loaded    the loads from the slot come after
    before tail is stored   the loads from the slot come first
    after tail is loaded    none: what is stored into the slot depends on a branch on tail, and in
                            both memory models such a store comes behind the load
    So have a reply and `replied`, what a receiver prepares and ROOM, LIMIT and `closed`, and the
    events of a tap. The figures of one core are a guess to the other, but high_water, which knows
    all that was seen before; latency histograms and debug() have no fences.
    `port.fenced` says whether there are fences: by the chip, or as ringlane.fenced was set before.
    The direct form has them in verbs_fenced.py and none in verbs_direct.py, and one of the two is
    imported. All other verbs ask their word FENCED, and call `cold._fence`.

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
import time
from struct import pack_into

import micropython
from micropython import const

from .checks import check_int, check_name
from .port import REGISTER, address, fence, later, send_event

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_RX_KNOWN = const(5)  # the receive buffer last checked, as a word. Owner: receiver
_RECEIVER_BYTES = const(56)
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_CLOCK = const(8)  # as RX_CLOCK, but 0 while AT_SET. Owner: sender
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_AT_SET = const(12)  # 1: the next message is stamped AT. Owner: sender
_AT = const(13)
_TX_KNOWN = const(14)  # the message object last checked, as a word. Owner: sender
_SENDER_BYTES = const(88)
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
_CAPACITY = const(4)  # slots; 0: the class is not used
_HIGH_WATER = const(10)  # the most messages queued at once. Owner: producer
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
_CLAIMED = const(13)  # 1: a claim is open. Owner: producer
_LANE_BYTES = const(56)
_SLOT_BYTES = const(8)
_MARK_BYTES = const(20)  # an end mark: the words up to CAPACITY
_LAST = const(2)  # in REST
_NOTHING = const(2)  # as a word, no object
_QUEUED = const(-1)  # to tally(): messages queued
# stamped.


@micropython.viper
def store(at: int, word: int, value: int):
    """Set a word of the block at the address `at`."""
    ptr32(at + (word << 2))[0] = value


@micropython.viper
def tally(base: int, word: int, lanes: int, what: int) -> int:
    """Return a figure of so many lanes, from the one at that word of the block at `base` on.

    `what`: a word, to be summed modulo 2**30 so that the sum is never an object, or _HIGH_WATER,
    of which it is the greatest; _QUEUED: how many messages they hold, to their producers no
    fewer, to others a guess.
    """
    # One viper function, as neither the scheduler nor a GIL comes between its parts. The address
    # is added up here, as in Python that makes an object where the heap lies above 0x3FFFFFFF.
    lane = ptr32(base + (word << 2))
    found = 0
    while lanes:
        if lane[_REST] == _LAST:
            lane = ptr32(int(lane) + _MARK_BYTES)
        if what >= 0:
            value = ptr32(int(lane) + (what << 2))[0]
        else:
            value = lane[_TAIL]  # Bound: first, so that what is taken meanwhile is counted too
            value = (lane[_HEAD] - value) & 0x3FFFFFFF
            if value > lane[_CAPACITY]:
                value = lane[_CAPACITY]
        if what != _HIGH_WATER:
            found = (found + value) & 0x3FFFFFFF
        elif value > found:
            found = value
        lanes -= 1
        lane = ptr32(int(lane) + _LANE_BYTES)
    return found


@micropython.viper
def room_of(at: int, which, every: bool) -> int:
    """Return for how many messages of that class the sender at `at` has room; 0 once closed.

    `every`: of each class in use, so the least of them. -1: no class in use has that number.
    """
    part = ptr32(at)
    word = which if 1 else 0
    priority = word >> 1  # of a small int: see `Ints as words` in port.py
    last = priority
    if every:
        priority = 0
        last = 4
    elif not word & 1 or priority & -8:
        return -1
    found = 65536
    while priority <= last:
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        used = lane[_TAIL]  # Bound: as above
        used = (lane[_HEAD] - used) & 0x3FFFFFFF
        left = lane[_CAPACITY]
        if left:
            left -= used
            if left < 0 or lane[_CLAIMED]:
                left = 0
            if left < found:
                found = left
        priority += 1
    if found > 65535:
        return -1
    if not part[_LIMIT]:
        return 0
    return found


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


class Lanes:
    """What every channel has; construct a PriorityChannel, Channel or another pattern instead.

    Attributes: `name`, `clock` (the default one is imported when first asked for: at set-up, for a
    handler), `slot_size` (bytes), `senders`, `closed`.
    """

    _receivers = 1  # sets of receiver's words in the block, each with a row of its own if several
    _rows = 1
    _by_class = False  # whether a row is a class's
    _send_guard = None
    _tap = None
    _views = None
    _ticks = staticmethod(time.ticks_us)  # of the default clock
    _objects = 183  # machine words that the objects take beside the block
    _beside = 0  # and bytes

    def __init__(self, capacities, slot_size, senders, name, clock):
        size = self._bytes(capacities, slot_size, senders, self._receivers)
        register, period = REGISTER, 1 << 30
        if clock is not None:
            register, period = later("ringlane.clock").register_of(clock)
            self.clock = clock
            self._ticks = clock.ticks
        check_name(name)
        self.name = name
        self.slot_size = slot_size
        self.senders = senders
        self.closed = False
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
        # What counts lanes finds all that it needs in the object: a name of the class costs a
        # thousand cycles and more.
        self._first_word = self._sender_at(senders) >> 2
        # A mark stands after each receiver's row; one behind the rows, if all are one receiver's.
        mark = _MARK_BYTES if self._receivers == self._rows else 0
        self._row_words = (senders * _LANE_BYTES + mark) >> 2
        self._lanes = self._rows * senders
        self._lay_out(capacities, register, period - 1)

    def close(self):
        """End the channel: sends are rejected, receivers drain what is queued, waits end.

        A send that is under way in another context meanwhile is rejected too, or its message is
        queued and a later recv finds it. A closed channel leaves report(). Closing twice is
        harmless.

        Context: any handler or task | alloc: none | time: O(senders) | blocks: never
        """
        for number in range(self.senders):
            store(self._base, (self._sender_at(number) >> 2) + _LIMIT, 0)
        if fence:
            fence()
        # Order: senders before closed, so who sees it closed finds no send that begins later.
        self.closed = True
        # They read no message any more. Its address in the block would hold it as the list does.
        for number in range(self.senders):
            store(self._base, (self._sender_at(number) >> 2) + _TX_KNOWN, _NOTHING)
        for sender in self._senders:
            sender._kept[0] = b""
        if self.name is not None:
            later("ringlane.registry").forget(self.name)
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
        return tally(self._base, self._first_word, self._lanes, _QUEUED)

    def __bool__(self):
        return True  # else __len__ would make an empty channel false

    # Counters are modulo 2**30, so that none is ever an object to allocate.

    @property
    def dropped(self):
        """Messages that found their lane full, of all senders."""
        return tally(self._base, self._first_word, self._lanes, _DROPPED)

    @property
    def rejected(self):
        """Messages larger than a slot, sent after close(), or while a slot was claimed."""
        return tally(self._base, self._first_word, self._lanes, _REJECTED)

    @property
    def received(self):
        """Messages that receivers have taken, also by skip and clear."""
        return tally(self._base, self._first_word, self._lanes, _TAIL)

    @property
    def sent(self):
        """Messages queued since the start: received and still queued."""
        return tally(self._base, self._first_word, self._lanes, _HEAD)

    @property
    def high_water(self):
        """The most messages that any one lane has held at once."""
        if fence:
            fence()  # after what was seen queued before this
        return tally(self._base, self._first_word, self._lanes, _HIGH_WATER)

    def __repr__(self):
        return later("ringlane.cold").describe(self)

    def __getattr__(self, name):
        # What an instance lacks. Not for handlers, as all that they may use is there.
        return later("ringlane.cold").fetch(self, name)

    def _register(self):
        if self.name is not None:
            later("ringlane.registry").register(self)

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

    def _lay_out(self, capacities, register, mask):
        # Each line names its words, which stand in this order in a block of zeros.
        block = self._block
        stride = _stride(self.slot_size)
        slots = self._slots_at()
        for receiver in range(self._receivers):
            at = receiver * _RECEIVER_BYTES
            lanes = (self._header(0, receiver) << 2) - at
            # LANES, STRIDE, RX_CLOCK, MASK, STAMP; RX_KNOWN, RX_META, WORDS_KNOWN, FENCED
            pack_into("iiIii", block, at, lanes, stride, register, mask, 0)
            pack_into("4i", block, at + _RX_KNOWN * 4, _NOTHING, -1, _NOTHING, fence is not None)
        row_step = self._row_words << 2
        mark = slots - _MARK_BYTES  # the last receiver's, or the only one's
        for number in range(self.senders):
            at = self._sender_at(number)
            for priority in range(8):
                row = priority if self._by_class else 0
                lane = self._header(number, row) << 2 if priority < 5 else mark
                pack_into("i", block, at + priority * 4, lane - at)  # CARDS
            # CLOCK, LIMIT, TX_STRIDE, REGISTER; TX_KNOWN, TX_FENCED, ROWS, ROW_STEP
            pack_into(
                "IiiI", block, at + _CLOCK * 4, register, self.slot_size + 1, stride, register
            )
            pack_into("4i", block, at + _TX_KNOWN * 4, _NOTHING, fence is not None, 0, row_step)
        count = 0
        for row in range(self._rows):
            capacity = capacities[row]
            for number in range(self.senders):
                at = self._header(number, row) << 2
                first = slots + count * stride - at
                end = first + capacity * stride
                rest = (self.senders - 1 - number) * _LANE_BYTES
                # REST, ROOM, CAPACITY, WRITE, READ, FIRST, END, NUMBER
                pack_into(
                    "8i", block, at + _REST * 4, rest, 0, capacity, first, first, first, end, count
                )
                count += capacity
            if row == self._rows - 1 or self._receivers > 1:
                at = self._header(self.senders, row) << 2
                pack_into("iii", block, at, 1, 0, _LAST)  # an end mark: HEAD, TAIL, REST

    def _sender_at(self, number):
        # The byte in the block where that sender's words begin.
        return self._receivers * _RECEIVER_BYTES + number * _SENDER_BYTES

    def _header(self, number, row):
        # The word in the block where the header of that sender's lane of that row begins.
        return self._first_word + row * self._row_words + number * (_LANE_BYTES >> 2)

    def _slots_at(self):
        # The byte in the block where the slots begin, behind the last end mark.
        return (self._header(self.senders, self._rows - 1) << 2) + _MARK_BYTES

    def _lane(self, number, priority):
        # The same by class; raises as the verbs do.
        if type(priority) is not int and not isinstance(priority, (int, bool)):  # as viper does
            raise TypeError("%s: class must be an int, not %r" % (self._title(), priority))
        if not 0 <= priority < 5:
            self._no_lane(priority)
        row = priority if self._by_class else 0
        word = self._header(number, row)
        if not tally(self._base, word, 1, _CAPACITY):
            self._no_lane(priority)
        return word

    def _tally(self, what, row=None):
        # Of all lanes, or those of a row.
        if row is None:
            return tally(self._base, self._first_word, self._lanes, what)
        return tally(self._base, self._header(0, row), self.senders, what)

    def _of_lane(self, number, row, what):
        return tally(self._base, self._header(number, row), 1, what)

    def _free(self, end, priority):
        # Room for a message of that class, of that sender; None: of any class in use.
        if priority is None:
            return room_of(end._sender, 0, True)
        found = room_of(end._sender, priority, False)
        if found < 0:
            self._lane(0, priority)  # raises, unless it is a bool
            found = room_of(end._sender, int(priority), False)
        return found


def _stride(slot_size):
    return _SLOT_BYTES + (slot_size + 3 & ~3)


def flatten(kind):
    """Copy into the class `kind` what it inherits.

    Else MicroPython looks for a method in each class in turn, and what a dictionary lacks takes
    hundreds of cycles on an RP2040: of four classes, as long as a send and a recv together.
    """
    if sys.implementation.name == "cpython":
        return  # which keeps what it has found; the simulated board's firmware finds MicroPython
    order, above = [], [kind]  # as they are looked through
    while above:
        base = above.pop(0)
        if base is not object:
            order.append(base)
            above = list(base.__bases__) + above
    found = {}
    for base in reversed(order):
        found.update(base.__dict__)
    for name in _NOT_COPIED:
        found.pop(name, None)
    for name, value in found.items():
        setattr(kind, name, value)


# Of constructors only, where debug() puts its own; and what CPython has in each class.
_NOT_COPIED = ("_attach_sender", "_attach_receiver", "_register", "__dict__", "__weakref__")
