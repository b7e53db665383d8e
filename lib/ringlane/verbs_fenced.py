"""The direct form of verbs.py with a fence wherever the order of two accesses counts.

`make stamp` writes it from verbs.py, as verbs_direct.py, which has none: see `Fences` in lanes.py.
"""

#: direct("ringlane/verbs.py", fenced=True) :#
import micropython
from micropython import const

_LANES = const(0)  # bytes from here to the receiver's first lane
_STRIDE = const(1)  # bytes of a slot
_RX_CLOCK = const(2)  # address of the clock's register, 0: call the clock's ticks()
_MASK = const(3)  # the clock's period - 1
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
_RX_KNOWN = const(5)  # the receive buffer last checked, as a word. Owner: receiver
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_CLOCK = const(8)  # as RX_CLOCK, but 0 while AT_SET. Owner: sender
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_STRIDE = const(10)  # bytes of a slot
_REGISTER = const(11)  # as RX_CLOCK
_AT_SET = const(12)  # 1: the next message is stamped AT. Owner: sender
_AT = const(13)
_TX_KNOWN = const(14)  # the message object last checked, as a word. Owner: sender
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


def make_sender(at, cold):
    """Return (send, send_word) of the sender whose words are at the address `at`.

    `cold` is its cold side, a SendingEnd.
    """
    # Accessor: sender.
    own = [at >> 2, cold, True, False, bytearray, bytes, cold._fence]
    # As verbs.py again.

    @micropython.viper
    def send(data, priority):
        """Queue `data`, 0..slot_size bytes, in the lane of class `priority`.

        True: queued. False, and counted: the lane is full (dropped), or the message is larger than
        a slot, the channel closed or a slot of the lane claimed (rejected). Raises TypeError if
        `data` is not bytes-like or its items are not bytes, ValueError if the class is not 0..4 or
        has no capacity; then nothing has changed.

        Context: any handler or task, one per sender | alloc: none | time: O(bytes) | blocks: never
        """
        # Accessor: part.
        mine = ptr32(ptr32(own if 1 else 0)[3])
        part = ptr32(mine[0] - 1 << 1)  # see `Ints as words` in port.py
        # As verbs.py again.
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(own[1]._ticks())
        # Accessor: message.
        obj = ptr32(data if 1 else 0)
        if int(obj) & 3 or (obj[0] - mine[4] and obj[0] - mine[5]):
            # Not an object, or a memoryview, an array, or what raises.
            known = int(obj)
            if (known - part[_TX_KNOWN]) & 0x3FFFFFFF:
                if own[1]._check_message(data):
                    own[1]._kept[0] = data
                    part[_TX_KNOWN] = known
            words = ptr32(data)
            count = obj[2]
        else:
            count = obj[2]
            words = ptr32(obj[3])
        # As verbs.py again.
        double = (priority if 1 else 0) ^ 1  # of a small int, twice its value
        if double & -15:
            level = int(priority)
            if level & -8:
                own[1]._no_lane(level)
            double = level << 1
        lane = ptr32(int(part) + ptr32(int(part) + (double << 1))[_CARDS])
        head = lane[_HEAD]
        # Bound: tail may move meanwhile, so what is queued can only be fewer.
        # Both differences are below 0, modulo 2**32, if there is room and it is not too large.
        if not (head - lane[_TAIL] - lane[_ROOM] & count - part[_LIMIT]) >> 31 & 1:
            if not own[1]._admit(double >> 1, count):
                no = mine[3] if 1 else own
                return no
        slot = ptr32(int(lane) + lane[_WRITE])
        slot[_META] = count | double << 15
        slot[_TIME] = now
        to = ptr32(int(slot) + 8)
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
        write = lane[_WRITE] + part[_TX_STRIDE]
        if not write - lane[_END]:
            write = lane[_FIRST]
        lane[_WRITE] = write
        order = mine[6] if 1 else own
        order()
        # Order: slot before head, so the consumer sees no half-written message.
        lane[_HEAD] = head + 1
        yes = mine[2] if 1 else own
        return yes

    @micropython.viper
    def send_word(value, priority):
        """Queue the low 32 bits of `value` as a message of 4 bytes, little-endian on every board.

        Outcomes, errors and context as send.

        Context: any handler or task, one per sender | alloc: none | time: O(1) | blocks: never
        """
        word = value if 1 else 0
        if word & 1:
            word >>= 1
        else:
            word = int(value)
        # Accessor: part.
        mine = ptr32(ptr32(own if 1 else 0)[3])
        part = ptr32(mine[0] - 1 << 1)  # see `Ints as words` in port.py
        # As verbs.py again.
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(own[1]._ticks())
        double = (priority if 1 else 0) ^ 1  # of a small int, twice its value
        if double & -15:
            level = int(priority)
            if level & -8:
                own[1]._no_lane(level)
            double = level << 1
        lane = ptr32(int(part) + ptr32(int(part) + (double << 1))[_CARDS])
        head = lane[_HEAD]
        # Bound: tail may move meanwhile, so what is queued can only be fewer.
        # Both differences are below 0, modulo 2**32, if there is room and it is not too large.
        if not (head - lane[_TAIL] - lane[_ROOM] & 4 - part[_LIMIT]) >> 31 & 1:
            if not own[1]._admit(double >> 1, 4):
                no = mine[3] if 1 else own
                return no
        slot = ptr32(int(lane) + lane[_WRITE])
        slot[_META] = 4 | double << 15
        slot[_TIME] = now
        slot[2] = word
        write = lane[_WRITE] + part[_TX_STRIDE]
        if not write - lane[_END]:
            write = lane[_FIRST]
        lane[_WRITE] = write
        order = mine[6] if 1 else own
        order()
        # Order: slot before head, so the consumer sees no half-written message.
        lane[_HEAD] = head + 1
        yes = mine[2] if 1 else own
        return yes

    return send, send_word


def make_receiver(at, cold):
    """Return (recv, recv_word, point_at) of the receiver whose words are at the address `at`.

    `cold` is its cold side, a Receiver. point_at(address) lets them read other
    words.
    """
    # Accessor: receiver.
    own = [at >> 2, cold, [0, 0, 0], bytearray, cold._fence]
    # As verbs.py again.

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
        # Accessor: part.
        mine = ptr32(ptr32(own if 1 else 0)[3])
        part = ptr32(mine[0] - 1 << 1)  # see `Ints as words` in port.py
        # As verbs.py again.
        # Accessor: buffer.
        obj = ptr32(buf if 1 else 0)
        if int(obj) & 3 or obj[0] - mine[3]:
            known = int(obj)
            if (known - part[_RX_KNOWN]) & 0x3FFFFFFF:
                if own[1]._check_buffer(buf):
                    own[1]._kept[1] = buf
                    part[_RX_KNOWN] = known
            to = ptr32(buf)
            room = obj[2]
        else:
            room = obj[2]
            to = ptr32(obj[3])
        # As verbs.py again.
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
                rest = int(own[1]._next_lane())
                if not rest:
                    return None
                lane = ptr32(int(part) + rest)
        order = mine[4] if 1 else own
        order()  # head before slot, so that no part of it is older
        slot = ptr32(int(lane) + lane[_READ])
        # Accessor: size.
        count = ptr16(slot)[0]
        # As verbs.py again.
        if room - count >> 31:
            own[1]._small_buffer(count, room)
        stamp = slot[_TIME]
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(own[1]._ticks())
        part[_STAMP] = stamp
        # Accessor: result.
        obj = ptr32(mine[2])
        if obj[2] - 3:
            own[2][2] = 0  # raises if someone has taken items out of it
        items = ptr32(obj[3])
        items[0] = count << 1 | 1
        items[1] = ptr8(slot)[2] << 1 | 1
        items[2] = ((now - stamp) & part[_MASK]) << 1 | 1
        # As verbs.py again.
        words = ptr32(int(slot) + 8)
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
        read = lane[_READ] + part[_STRIDE]
        if not read - lane[_END]:
            read = lane[_FIRST]
        lane[_READ] = read
        order = mine[4] if 1 else own
        order()
        # Order: slot read before tail, so the producer cannot reuse it early.
        lane[_TAIL] = lane[_TAIL] + 1
        found = mine[2] if 1 else own
        return found

    @micropython.viper
    def recv_word():
        """Take the next message, which must be of 4 bytes, as a word.

        Return the list [value, priority, latency] as recv does, value in -2**31..2**31-1 (one
        beyond +-2**30 allocates on a 32-bit board), or None if no message is queued. Raises
        ValueError if the message is of another size; it stays: recv() or skip() takes it.

        Context: one receiving context | alloc: none | time: O(1), and senders | blocks: never
        """
        lane = ptr32(0)  # the first variable has a register
        # Accessor: part.
        mine = ptr32(ptr32(own if 1 else 0)[3])
        part = ptr32(mine[0] - 1 << 1)  # see `Ints as words` in port.py
        # As verbs.py again.
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
                rest = int(own[1]._next_lane())
                if not rest:
                    return None
                lane = ptr32(int(part) + rest)
        order = mine[4] if 1 else own
        order()  # head before slot, so that no part of it is older
        slot = ptr32(int(lane) + lane[_READ])
        # Accessor: word size.
        if ptr16(slot)[0] - 4:
            own[1]._not_a_word(ptr16(slot)[0])
        # As verbs.py again.
        stamp = slot[_TIME]
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(own[1]._ticks())
        value = slot[2]
        # Accessor: word result.
        obj = ptr32(mine[2])
        if obj[2] - 3:
            own[2][2] = 0  # raises if someone has taken items out of it
        items = ptr32(obj[3])
        if (value >> 30) + 1 >> 1:
            own[2][0] = value  # may raise MemoryError, so before anything that counts
        else:
            items[0] = value << 1 | 1
        items[1] = ptr8(slot)[2] << 1 | 1
        items[2] = ((now - stamp) & part[_MASK]) << 1 | 1
        # As verbs.py again.
        part[_STAMP] = stamp
        read = lane[_READ] + part[_STRIDE]
        if not read - lane[_END]:
            read = lane[_FIRST]
        lane[_READ] = read
        order = mine[4] if 1 else own
        order()
        # Order: slot read before tail, so the producer cannot reuse it early.
        lane[_TAIL] = lane[_TAIL] + 1
        found = mine[2] if 1 else own
        return found

    def point_at(address):
        # From now on every verb, however it was kept, reads these words and not its receiver's.
        own[0] = address >> 2

    return recv, recv_word, point_at


# stamped.
