"""What the bench compares: PriorityChannel and what a user would write instead.

A contender passes messages of some bytes or, in the second half of this file, one int. Its `run`
is the measured loop: `repeat` times over `order`, a tuple of classes, a message is sent, received
and unpacked. Everything in the loop is a local variable, and methods are looked up before it.
`run` ends with `note`, which keeps the instants and the last message as received, to be checked.

"functions": a send and a recv as the rest of a program would call them. "inline": the same work
written out in the loop, with no call around it: the least that it can cost. (A bytecode
function of more than 11 words of locals and stack takes them from the heap, at each call.)
"""

from array import array
from collections import deque
from time import ticks_diff, ticks_us

import micropython
from micropython import RingIO, const
from ringlane import PriorityChannel

CAPACITY = 8  # messages
TICKS_MASK = const(0x3FFFFFFF)  # where a chip's ticks_us wraps; a header holds no more


def note(last, start, end, payload, size, priority, latency):
    last[0] = start
    last[1] = end
    last[2] = payload
    last[3] = size
    last[4] = priority
    last[5] = latency


def pump(verbs, data, buf, order, repeat, ticks, last):
    """The measured loop round `verbs`: send(data, priority) and recv(buf)."""
    send, recv = verbs
    start = ticks()
    for _ in range(repeat):
        for priority in order:
            send(data, priority)
            size, got, latency = recv(buf)
    end = ticks()
    note(last, start, end, buf, size, got, latency)


def pump_words(verbs, value, order, repeat, ticks, last):
    """The same round send(value, priority) and recv()."""
    send, recv = verbs
    start = ticks()
    for _ in range(repeat):
        for priority in order:
            send(value, priority)
            got_value, got, latency = recv()
    end = ticks()
    note(last, start, end, got_value, 4, got, latency)


class EmptyLoop:
    """What the loops cost without a message; run.py takes it off every figure."""

    name = "empty loop"
    carries = False  # no message to check

    def run(self, data, buf, order, repeat, ticks, last):
        start = ticks()
        for _ in range(repeat):
            for _ in order:
                pass
        end = ticks()
        note(last, start, end, None, 0, None, None)


# Messages of some bytes.


class Ringlane:
    name = "ringlane"
    carries = True
    by_class = True  # receives the most urgent class first
    copies = True  # recv(buf) returns the size and not the payload

    def __init__(self, size, capacity=CAPACITY):
        self.channel = PriorityChannel(capacity, slot_size=size)
        self.verbs = self.channel.send, self.channel.recv

    def left(self):
        return len(self.channel)

    def run(self, data, buf, order, repeat, ticks, last):
        pump(self.verbs, data, buf, order, repeat, ticks, last)


class FramedRingIO:
    """Before each payload two words: size and class, and the time."""

    name = "framed RingIO, functions"
    carries = True
    by_class = False
    copies = True

    def __init__(self, size):
        self.room = CAPACITY * (8 + size)
        self.ring = RingIO(self.room)
        self.tx_header = array("I", (0, 0))
        self.rx_header = array("I", (0, 0))
        self.result = [0, 0, 0]
        self.verbs = self.send, self.recv
        self.methods = self.ring.write, self.ring.readinto, self.ring.any

    def send(self, data, priority):
        ring = self.ring
        if self.room - ring.any() < 8 + len(data):
            return False  # a message written in part would leave no frame readable after it
        header = self.tx_header
        header[0] = len(data) | priority << 16
        header[1] = ticks_us()
        ring.write(header)
        ring.write(data)
        return True

    def recv(self, buf):
        ring = self.ring
        if not ring.any():
            return None
        header = self.rx_header
        ring.readinto(header)
        size = header[0] & 0xFFFF
        ring.readinto(buf, size)
        result = self.result
        result[0] = size
        result[1] = header[0] >> 16
        result[2] = (ticks_us() - header[1]) & TICKS_MASK
        return result

    def left(self):
        return self.ring.any()

    def run(self, data, buf, order, repeat, ticks, last):
        pump(self.verbs, data, buf, order, repeat, ticks, last)


class FramedRingIOInline(FramedRingIO):
    name = "framed RingIO, inline"

    def run(self, data, buf, order, repeat, ticks, last):
        write, readinto, waiting = self.methods
        room, tx_header, rx_header = self.room, self.tx_header, self.rx_header
        now = ticks_us
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                size = len(data)
                if room - waiting() >= 8 + size:
                    tx_header[0] = size | priority << 16
                    tx_header[1] = now()
                    write(tx_header)
                    write(data)
                if waiting():
                    readinto(rx_header)
                    meta = rx_header[0]
                    size = meta & 0xFFFF
                    got = meta >> 16
                    readinto(buf, size)
                    latency = (now() - rx_header[1]) & TICKS_MASK
        end = ticks()
        note(last, start, end, buf, size, got, latency)


class FiveDeques:
    """A deque of (time, bytes) for each class."""

    name = "five deques, functions"
    carries = True
    by_class = True
    copies = False

    def __init__(self, size):
        self.queues = tuple(deque((), CAPACITY, 1) for _ in range(5))
        self.verbs = self.send, self.recv

    def send(self, data, priority):
        self.queues[priority].append((ticks_us(), bytes(data)))

    def recv(self):
        priority = 0
        for queue in self.queues:
            if queue:
                sent, data = queue.popleft()
                return data, priority, ticks_diff(ticks_us(), sent)
            priority += 1
        return None

    def left(self):
        return sum(len(queue) for queue in self.queues)

    def run(self, data, buf, order, repeat, ticks, last):
        send, recv = self.verbs
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                send(data, priority)
                payload, got, latency = recv()
        end = ticks()
        note(last, start, end, payload, len(payload), got, latency)


class FiveDequesInline(FiveDeques):
    name = "five deques, inline"

    def run(self, data, buf, order, repeat, ticks, last):
        queues, now, diff = self.queues, ticks_us, ticks_diff
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                queues[priority].append((now(), bytes(data)))
                got = 0
                for queue in queues:
                    if queue:
                        sent, payload = queue.popleft()
                        latency = diff(now(), sent)
                        break
                    got += 1
        end = ticks()
        note(last, start, end, payload, len(payload), got, latency)


class RawRingIO:
    """Bytes without frames: the receiver has to know the size; no class and no latency."""

    name = "raw RingIO, inline"
    carries = True
    verbs = None

    def __init__(self, size):
        self.ring = RingIO(CAPACITY * size)
        self.methods = self.ring.write, self.ring.readinto

    def left(self):
        return self.ring.any()

    def run(self, data, buf, order, repeat, ticks, last):
        write, readinto = self.methods
        start = ticks()
        for _ in range(repeat):
            for _ in order:
                write(data)
                size = readinto(buf)
        end = ticks()
        note(last, start, end, buf, size, None, None)


class Floor:
    """Two viper calls of the same shape that do nothing: no message can cost less."""

    name = "two empty viper calls"
    carries = False

    def __init__(self, size):
        result = [size, 0, 0]

        @micropython.viper
        def send(data, priority: int) -> bool:
            return True

        @micropython.viper
        def recv(buf):
            return result

        self.verbs = send, recv

    def run(self, data, buf, order, repeat, ticks, last):
        pump(self.verbs, data, buf, order, repeat, ticks, last)


# One int.


class RinglaneWord(Ringlane):
    copies = False

    def __init__(self, size):
        super().__init__(size)
        self.verbs = self.channel.send_word, self.channel.recv_word

    def run(self, value, buf, order, repeat, ticks, last):
        pump_words(self.verbs, value, order, repeat, ticks, last)


class FramedRingIOWord(FramedRingIO):
    """Frames of three words, all of one size: class, time, value."""

    copies = False

    def __init__(self, size):
        super().__init__(size)
        self.tx_frame = array("i", (0, 0, 0))
        self.rx_frame = array("i", (0, 0, 0))

    def send(self, value, priority):
        ring = self.ring
        if self.room - ring.any() < 12:
            return False
        frame = self.tx_frame
        frame[0] = priority
        frame[1] = ticks_us()
        frame[2] = value
        ring.write(frame)
        return True

    def recv(self):
        ring = self.ring
        if not ring.any():
            return None
        frame = self.rx_frame
        ring.readinto(frame)
        result = self.result
        result[0] = frame[2]
        result[1] = frame[0]
        result[2] = (ticks_us() - frame[1]) & TICKS_MASK
        return result

    def run(self, value, buf, order, repeat, ticks, last):
        pump_words(self.verbs, value, order, repeat, ticks, last)


class FramedRingIOWordInline(FramedRingIOWord):
    name = FramedRingIOInline.name

    def run(self, value, buf, order, repeat, ticks, last):
        write, readinto, waiting = self.methods
        room, tx_frame, rx_frame = self.room, self.tx_frame, self.rx_frame
        now = ticks_us
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                if room - waiting() >= 12:
                    tx_frame[0] = priority
                    tx_frame[1] = now()
                    tx_frame[2] = value
                    write(tx_frame)
                if waiting():
                    readinto(rx_frame)
                    got_value = rx_frame[2]
                    got = rx_frame[0]
                    latency = (now() - rx_frame[1]) & TICKS_MASK
        end = ticks()
        note(last, start, end, got_value, 4, got, latency)


class FiveDequesWord(FiveDeques):
    """A deque of (time, int) for each class."""

    def send(self, value, priority):
        self.queues[priority].append((ticks_us(), value))

    def run(self, value, buf, order, repeat, ticks, last):
        pump_words(self.verbs, value, order, repeat, ticks, last)


class FiveDequesWordInline(FiveDequesWord):
    name = FiveDequesInline.name

    def run(self, value, buf, order, repeat, ticks, last):
        queues, now, diff = self.queues, ticks_us, ticks_diff
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                queues[priority].append((now(), value))
                got = 0
                for queue in queues:
                    if queue:
                        sent, got_value = queue.popleft()
                        latency = diff(now(), sent)
                        break
                    got += 1
        end = ticks()
        note(last, start, end, got_value, 4, got, latency)


class RawRingIOWord(RawRingIO):
    def __init__(self, size):
        super().__init__(size)
        self.tx_word = array("i", (0,))
        self.rx_word = array("i", (0,))

    def run(self, value, buf, order, repeat, ticks, last):
        write, readinto = self.methods
        tx_word, rx_word = self.tx_word, self.rx_word
        start = ticks()
        for _ in range(repeat):
            for _ in order:
                tx_word[0] = value
                write(tx_word)
                size = readinto(rx_word)
                got_value = rx_word[0]
        end = ticks()
        note(last, start, end, got_value, size, None, None)


class FloorWord(Floor):
    def __init__(self, size):
        super().__init__(size)
        result = [0, 0, 0]

        @micropython.viper
        def send_word(value: int, priority: int) -> bool:
            return True

        @micropython.viper
        def recv_word():
            return result

        self.verbs = send_word, recv_word

    def run(self, value, buf, order, repeat, ticks, last):
        pump_words(self.verbs, value, order, repeat, ticks, last)


MESSAGES = (
    Ringlane,
    FramedRingIO,
    FramedRingIOInline,
    FiveDeques,
    FiveDequesInline,
    RawRingIO,
    Floor,
)
WORDS = (
    RinglaneWord,
    FramedRingIOWord,
    FramedRingIOWordInline,
    FiveDequesWord,
    FiveDequesWordInline,
    RawRingIOWord,
    FloorWord,
)
