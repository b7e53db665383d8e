"""The hot verbs of one sender and one receiver: send, send_word, recv, recv_word.

The hot verbs are viper functions nested in a plain factory, closing over the address of their
words and their *cold side*: the Sender or Receiver (ends.py) whose methods they call off the hot
path. No look-up in self, and `channel.send` as a value allocates nothing. A closure's call
allocates when cells and arguments together are more than five (MicroPython, objclosure.c). Viper
verbs take positional arguments only; a keyword gives "function doesn't take keyword arguments", a
wrong count "function takes N positional arguments but M were given", where both numbers count what
the verb closes over too. The other verbs are methods, each around one viper function of lanes.py.

Objects as words
    The word that stands for an object (port.py) tells whether a buffer is the very object that was
    checked last. That one is kept, so that its word cannot come to mean another, and an object
    never changes its type. Its length and address may change, and are read at each call.

Two forms
    This is the portable form. verbs_direct.py is written from it by `make stamp`, with other steps
    wherever a verb meets an object of Python: engine.py has them in DIRECT. probe.py chooses one
    of the two, and only that one is imported. What others write is loaded and stored in the same
    order in both.

In place
    The direct form reads the words of objects, which probe.py has tried. A word that ends in 00 is
    the address of an object; ints, None, bools and interned strings have other words, which are
    never used as addresses. An object's first word is its type, and a subclass is another type: of
    exactly bytes and bytearray (to receive: bytearray) the length and the address are taken. All
    else takes the portable way, with the same errors. They are read at each call, in which the
    caller holds the object; so is the address of the result's items, which are written only while
    they are three.
    The address of the verb's words, its cold side, its result and the types are one list, `own`,
    as each variable that a closure closes over costs some 20 cycles a call.

What stands below a line `step(…)` is written by `make stamp`: see lib/README.md.
"""

import micropython
from micropython import const

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_STRIDE = const(1)  # bytes of a slot
_RX_CLOCK = const(2)  # address of the clock's register, 0: call the clock's ticks()
_MASK = const(3)  # the clock's period - 1
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
_RX_KNOWN = const(5)  # the receive buffer last checked, as a word. Owner: receiver
_RX_META = const(6)  # the META that stands in the result. Owner: receiver
_FENCED = const(8)  # 1: cores reorder, so a verb fences; see `Fences` in lanes.py
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_CLOCK = const(8)  # as RX_CLOCK, but 0 while AT_SET. Owner: sender
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_STRIDE = const(10)  # bytes of a slot
_REGISTER = const(11)  # as RX_CLOCK
_AT_SET = const(12)  # 1: the next message is stamped AT. Owner: sender
_AT = const(13)
_TX_KNOWN = const(14)  # the message object last checked, as a word. Owner: sender
_TX_FENCED = const(15)  # as FENCED
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
# with so many queued send looks closer; 0 while claimed. Owner: producer. Fan-out: max_lag or 0 |
# epoch << 16 | core << 24. Owner: the receiver:
_ROOM = const(3)
_WRITE = const(5)  # bytes from here to the slot to write next. Owner: producer
_READ = const(6)  # bytes from here to the slot to read next. Owner: consumer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_LANE_BYTES = const(56)
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
_NEXT_HEAD = const(14)  # HEAD of the lane behind, as seen from this one
_NEXT_TAIL = const(15)
_THIRD_HEAD = const(28)  # and of the one behind that
_THIRD_TAIL = const(29)
_STALE = const(1)  # in REST
_LAST = const(2)  # in REST
_WORD_META = const(8388608)  # marks RX_META after recv_word, which leaves no size in the result
# stamped.


def make_sender(at, cold):
    """Return (send, send_word) of the sender whose words are at the address `at`.

    `cold` is its cold side, a SendingEnd.
    """
    #: step("sender") :#
    size_of = len  # a closure is read faster than a global
    here = at >> 2
    # stamped.

    @micropython.viper
    def send(data, priority) -> bool:
        """Queue `data`, 0..slot_size bytes, in the lane of class `priority`.

        True: queued. False, and counted: the lane is full (dropped), or the message is larger than
        a slot, the channel closed or a slot of the lane claimed (rejected). Raises TypeError if
        `data` is not bytes-like or its items are not bytes, ValueError if the class is not 0..4 or
        has no capacity; then nothing has changed.

        Context: any handler or task, one per sender | alloc: none | time: O(bytes) | blocks: never
        """
        #: step("part") :#
        part = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # stamped.
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
        #: step("message", known="part[_TX_KNOWN]", kept="0") :#
        known = data if 1 else 0  # the object as a word: see `Objects as words` in verbs.py
        if (known - part[_TX_KNOWN]) & 0x3FFFFFFF:
            if cold._check_message(data):
                cold._kept[0] = data
                part[_TX_KNOWN] = known

        count = int(size_of(data))
        words = ptr32(data)
        # stamped.
        #: step("class") :#
        double = (priority if 1 else 0) ^ 1  # of a small int, twice its value
        if double & -15:
            level = int(priority)
            if level & -8:
                cold._no_lane(level)
            double = level << 1
        lane = ptr32(int(part) + ptr32(int(part) + (double << 1))[_CARDS])
        # stamped.
        #: step("room", size="count") :#
        head = lane[_HEAD]
        # Bound: tail may move meanwhile, so what is queued can only be fewer.
        # Both differences are below 0, modulo 2**32, if there is room and it is not too large.
        if not (head - lane[_TAIL] - lane[_ROOM] & count - part[_LIMIT]) >> 31 & 1:
            if not cold._admit(double >> 1, count):
                return False
        # stamped.
        #: step("slot", meta="count | double << 15") :#
        slot = ptr32(int(lane) + lane[_WRITE])
        slot[_META] = count | double << 15
        slot[_TIME] = now
        # stamped.
        to = ptr32(int(slot) + 8)
        #: step("copy", outer="words") :#
        if int(words) & 3:  # an unaligned word access is a HardFault on the M0+
            while count:
                count -= 1
                ptr8(to)[count] = ptr8(words)[count]
        if count & 15:  # from the end, so that the blocks need no pointers behind them
            rest = count & 15
            count -= rest
            while rest & 3:
                rest -= 1
                ptr8(to)[count + rest] = ptr8(words)[count + rest]
            while rest:
                rest -= 4
                ptr32(int(to) + count)[rest >> 2] = ptr32(int(words) + count)[rest >> 2]
        if count >> 5:
            blocks = count >> 6
            while blocks:
                to[0] = words[0]
                to[1] = words[1]
                to[2] = words[2]
                to[3] = words[3]
                to[4] = words[4]
                to[5] = words[5]
                to[6] = words[6]
                to[7] = words[7]
                to[8] = words[8]
                to[9] = words[9]
                to[10] = words[10]
                to[11] = words[11]
                to[12] = words[12]
                to[13] = words[13]
                to[14] = words[14]
                to[15] = words[15]
                to = ptr32(int(to) + 64)
                words = ptr32(int(words) + 64)
                blocks -= 1
            if count & 32:
                to[0] = words[0]
                to[1] = words[1]
                to[2] = words[2]
                to[3] = words[3]
                to[4] = words[4]
                to[5] = words[5]
                to[6] = words[6]
                to[7] = words[7]
                to = ptr32(int(to) + 32)
                words = ptr32(int(words) + 32)
        if count & 16:
            to[0] = words[0]
            to[1] = words[1]
            to[2] = words[2]
            to[3] = words[3]
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
        return True

    @micropython.viper
    def send_word(value, priority) -> bool:
        """Queue the low 32 bits of `value` as a message of 4 bytes, little-endian on every board.

        Outcomes, errors and context as send.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        word = value if 1 else 0
        if word & 1:
            word >>= 1
        else:
            word = int(value)
        #: step("part") :#
        part = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # stamped.
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
        #: step("class") :#
        double = (priority if 1 else 0) ^ 1  # of a small int, twice its value
        if double & -15:
            level = int(priority)
            if level & -8:
                cold._no_lane(level)
            double = level << 1
        lane = ptr32(int(part) + ptr32(int(part) + (double << 1))[_CARDS])
        # stamped.
        #: step("room", size="4") :#
        head = lane[_HEAD]
        # Bound: tail may move meanwhile, so what is queued can only be fewer.
        # Both differences are below 0, modulo 2**32, if there is room and it is not too large.
        if not (head - lane[_TAIL] - lane[_ROOM] & 4 - part[_LIMIT]) >> 31 & 1:
            if not cold._admit(double >> 1, 4):
                return False
        # stamped.
        #: step("slot", meta="4 | double << 15") :#
        slot = ptr32(int(lane) + lane[_WRITE])
        slot[_META] = 4 | double << 15
        slot[_TIME] = now
        # stamped.
        slot[2] = word
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
        return True

    return send, send_word


def make_receiver(at, cold):
    """Return (recv, recv_word, point_at) of the receiver whose words are at the address `at`.

    `cold` is its cold side, a Receiver. point_at(address) lets them read other
    words.
    """
    #: step("receiver") :#
    size_of = len
    here = at >> 2
    result = [0, 0, 0]
    # stamped.

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
        #: step("part") :#
        part = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # stamped.
        #: step("buffer", known="part[_RX_KNOWN]", kept="1") :#
        known = buf if 1 else 0
        if (known - part[_RX_KNOWN]) & 0x3FFFFFFF:
            if cold._check_buffer(buf):
                cold._kept[1] = buf
                part[_RX_KNOWN] = known
        room = int(size_of(buf))
        to = ptr32(buf)
        # stamped.
        #: step("choose") :#
        lane = ptr32(int(part) + part[_LANES])
        while not lane[_HEAD] - lane[_TAIL]:  # the most urgent class first
            if lane[_NEXT_HEAD] - lane[_NEXT_TAIL]:
                lane = ptr32(int(lane) + _LANE_BYTES)
                break
            if lane[_THIRD_HEAD] - lane[_THIRD_TAIL]:
                lane = ptr32(int(lane) + 2 * _LANE_BYTES)
                break
            lane = ptr32(int(lane) + 3 * _LANE_BYTES)
        if lane[_REST]:
            rest = lane[_REST]
            if not rest - _LAST:
                return None
            other = ptr32(int(lane) + _LANE_BYTES)
            while rest and not rest & _STALE and not other[_HEAD] - other[_TAIL]:
                other = ptr32(int(other) + _LANE_BYTES)
                rest -= _LANE_BYTES
            if rest:  # several senders, or receivers one after the other
                rest = int(cold._next_lane())
                if not rest:
                    return None
                lane = ptr32(int(part) + rest)
        if part[_FENCED]:
            cold._fence()  # head before slot, so that no part of it is older
        slot = ptr32(int(lane) + lane[_READ])
        # stamped.
        #: step("size") :#
        meta = slot[_META]
        count = meta & 0xFFFF
        # stamped.
        if room - count >> 31:
            cold._small_buffer(count, room)
        #: step("age") :#
        stamp = slot[_TIME]
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(cold._ticks())
        # stamped.
        part[_STAMP] = stamp
        #: step("result") :#
        if meta - part[_RX_META]:  # a store into the list costs as much as copying 100 bytes
            result[0] = count
            result[1] = meta >> 16 & 0xFF
            part[_RX_META] = meta
        result[2] = (now - stamp) & part[_MASK]
        # stamped.
        words = ptr32(int(slot) + 8)
        #: step("copy", outer="to") :#
        if int(to) & 3:  # an unaligned word access is a HardFault on the M0+
            while count:
                count -= 1
                ptr8(to)[count] = ptr8(words)[count]
        if count & 15:  # from the end, so that the blocks need no pointers behind them
            rest = count & 15
            count -= rest
            while rest & 3:
                rest -= 1
                ptr8(to)[count + rest] = ptr8(words)[count + rest]
            while rest:
                rest -= 4
                ptr32(int(to) + count)[rest >> 2] = ptr32(int(words) + count)[rest >> 2]
        if count >> 5:
            blocks = count >> 6
            while blocks:
                to[0] = words[0]
                to[1] = words[1]
                to[2] = words[2]
                to[3] = words[3]
                to[4] = words[4]
                to[5] = words[5]
                to[6] = words[6]
                to[7] = words[7]
                to[8] = words[8]
                to[9] = words[9]
                to[10] = words[10]
                to[11] = words[11]
                to[12] = words[12]
                to[13] = words[13]
                to[14] = words[14]
                to[15] = words[15]
                to = ptr32(int(to) + 64)
                words = ptr32(int(words) + 64)
                blocks -= 1
            if count & 32:
                to[0] = words[0]
                to[1] = words[1]
                to[2] = words[2]
                to[3] = words[3]
                to[4] = words[4]
                to[5] = words[5]
                to[6] = words[6]
                to[7] = words[7]
                to = ptr32(int(to) + 32)
                words = ptr32(int(words) + 32)
        if count & 16:
            to[0] = words[0]
            to[1] = words[1]
            to[2] = words[2]
            to[3] = words[3]
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

    @micropython.viper
    def recv_word():
        """Take the next message, which must be of 4 bytes, as a word.

        Return the list [value, priority, latency] as recv does, value in -2**31..2**31-1 (one
        beyond +-2**30 allocates on a 32-bit board), or None if no message is queued. Raises
        ValueError if the message is of another size; it stays: recv() or skip() takes it.

        Context: one receiving context | alloc: none | time: O(1), and senders | blocks: never
        """
        lane = ptr32(0)  # the first variable has a register
        #: step("part") :#
        part = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # stamped.
        #: step("choose") :#
        lane = ptr32(int(part) + part[_LANES])
        while not lane[_HEAD] - lane[_TAIL]:  # the most urgent class first
            if lane[_NEXT_HEAD] - lane[_NEXT_TAIL]:
                lane = ptr32(int(lane) + _LANE_BYTES)
                break
            if lane[_THIRD_HEAD] - lane[_THIRD_TAIL]:
                lane = ptr32(int(lane) + 2 * _LANE_BYTES)
                break
            lane = ptr32(int(lane) + 3 * _LANE_BYTES)
        if lane[_REST]:
            rest = lane[_REST]
            if not rest - _LAST:
                return None
            other = ptr32(int(lane) + _LANE_BYTES)
            while rest and not rest & _STALE and not other[_HEAD] - other[_TAIL]:
                other = ptr32(int(other) + _LANE_BYTES)
                rest -= _LANE_BYTES
            if rest:  # several senders, or receivers one after the other
                rest = int(cold._next_lane())
                if not rest:
                    return None
                lane = ptr32(int(part) + rest)
        if part[_FENCED]:
            cold._fence()  # head before slot, so that no part of it is older
        slot = ptr32(int(lane) + lane[_READ])
        # stamped.
        #: step("word size") :#
        meta = slot[_META] | _WORD_META
        if meta - part[_RX_META]:
            if (meta & 0xFFFF) - 4:
                cold._not_a_word(meta & 0xFFFF)
            result[1] = meta >> 16 & 0x7F
            part[_RX_META] = meta
        # stamped.
        #: step("age") :#
        stamp = slot[_TIME]
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(cold._ticks())
        # stamped.
        value = slot[2]
        #: step("word result") :#
        value |= (0 - (value >> 31 & 1)) << 31  # the sign, where a register is 64 bits wide
        result[0] = value  # may raise MemoryError, so before anything that counts
        result[2] = (now - stamp) & part[_MASK]
        # stamped.
        part[_STAMP] = stamp
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

    def point_at(address):
        # From now on every verb, however it was kept, reads these words and not its receiver's.
        nonlocal here
        here = address >> 2

    return recv, recv_word, point_at
