"""Rings and queues that people write by hand: contenders that do less than a channel.

None has classes, counts what it loses or checks a message; a viper ring takes one size. Those
"with stamp" tell how long a message waited. `pass_on` has the verbs of the measured loop.
"""

import asyncio
from array import array
from collections import deque

import micropython
from contenders import CAPACITY, note, pump, pump_words
from ringlane.clock import default


class Ring:
    """What the bench asks of a contender; a ring sets `pass_on`, its send and recv."""

    carries = True
    verbs = None  # nothing to check with classes

    def left(self):
        return self.count()

    def run(self, data, buf, order, repeat, ticks, last):
        pump(self.pass_on, data, buf, order, repeat, ticks, last)
        last[4] = None  # the class is not passed on


class ViperRing(Ring):
    """A ring of slots of `size` bytes, copied by words; the clock's register read in viper."""

    name = "viper ring by hand, with stamp"

    def __init__(self, size):
        words = (size + 3) // 4
        block = array("I", (0,) * (CAPACITY * (words + 1)))
        # Next to write, next to read, slots, words, register: a closure of more cells allocates.
        index = array("I", (0, 0, CAPACITY, words, default().register))
        result = [size, 0, 0]
        ticks = default().ticks

        @micropython.viper
        def put(data, priority) -> bool:
            at = ptr32(index)
            head = at[0]
            after = head + 1
            if after == at[2]:
                after = 0
            if after == at[1]:
                return False
            count = at[3]
            slot = ptr32(int(ptr32(block)) + (head * (count + 1) << 2))
            clock = at[4]
            slot[0] = ptr32(clock)[0] if clock else int(ticks())
            source = ptr32(data)
            place = 0
            while place < count:
                slot[place + 1] = source[place]
                place += 1
            at[0] = after
            return True

        @micropython.viper
        def get(buf):
            at = ptr32(index)
            tail = at[1]
            if tail == at[0]:
                return None
            count = at[3]
            slot = ptr32(int(ptr32(block)) + (tail * (count + 1) << 2))
            target = ptr32(buf)
            place = 0
            while place < count:
                target[place] = slot[place + 1]
                place += 1
            clock = at[4]
            now = ptr32(clock)[0] if clock else int(ticks())
            result[2] = (now - slot[0]) & 0x3FFFFFFF
            tail += 1
            if tail == at[2]:
                tail = 0
            at[1] = tail
            return result

        self.pass_on = put, get
        self.count = lambda: index[0] - index[1]


class WordRing(Ring):
    """A ring of which `pass_on` takes and gives one int."""

    def run(self, value, buf, order, repeat, ticks, last):
        pump_words(self.pass_on, value, order, repeat, ticks, last)
        last[4] = None


class ViperRingWord(WordRing):
    """The viper ring of words."""

    name = ViperRing.name

    def __init__(self, size):
        block = array("I", (0,) * (2 * CAPACITY))
        index = array("I", (0, 0, CAPACITY, 1, default().register))
        result = [0, 0, 0]
        ticks = default().ticks

        @micropython.viper
        def put(value: int, priority) -> bool:
            at = ptr32(index)
            head = at[0]
            after = head + 1
            if after == at[2]:
                after = 0
            if after == at[1]:
                return False
            slot = ptr32(int(ptr32(block)) + (head << 3))
            clock = at[4]
            slot[0] = ptr32(clock)[0] if clock else int(ticks())
            slot[1] = value
            at[0] = after
            return True

        @micropython.viper
        def get():
            at = ptr32(index)
            tail = at[1]
            if tail == at[0]:
                return None
            slot = ptr32(int(ptr32(block)) + (tail << 3))
            clock = at[4]
            now = ptr32(clock)[0] if clock else int(ticks())
            result[0] = slot[1]
            result[2] = (now - slot[0]) & 0x3FFFFFFF
            tail += 1
            if tail == at[2]:
                tail = 0
            at[1] = tail
            return result

        self.pass_on = put, get
        self.count = lambda: index[0] - index[1]


class PlainWord(WordRing):
    """What only puts and gets an int: the loop round it has neither class nor time."""

    def __init__(self, size):
        queue = self.make()
        self.pass_on = queue.put, queue.get
        self.count = queue.__len__

    def run(self, value, buf, order, repeat, ticks, last):
        put, get = self.pass_on
        start = ticks()
        for _ in range(repeat):
            for _ in order:
                put(value)
                got = get()
        end = ticks()
        note(last, start, end, got, 4, None, None)


class NativeRing:
    """A class with an array, as in many a driver, compiled as native code."""

    def __init__(self):
        self.q = array("i", (0,) * CAPACITY)
        self.h = self.t = 0
        self.n = CAPACITY

    @micropython.native
    def put(self, value):
        h = self.h
        after = h + 1
        if after == self.n:
            after = 0
        if after == self.t:
            return False
        self.q[h] = value
        self.h = after
        return True

    @micropython.native
    def get(self):
        t = self.t
        if t == self.h:
            return None
        value = self.q[t]
        t += 1
        if t == self.n:
            t = 0
        self.t = t
        return value

    def __len__(self):
        return (self.h - self.t) % self.n


class BytecodeRing:
    """The same as it is mostly found."""

    def __init__(self):
        self.q = array("i", (0,) * CAPACITY)
        self.h = self.t = 0

    def put(self, value):
        after = (self.h + 1) % len(self.q)
        if after == self.t:
            return False
        self.q[self.h] = value
        self.h = after
        return True

    def get(self):
        if self.t == self.h:
            return None
        value = self.q[self.t]
        self.t = (self.t + 1) % len(self.q)
        return value

    def __len__(self):
        return (self.h - self.t) % len(self.q)


class FlaggedDeque:
    """A deque of values and a flag for a loop that looks at it."""

    def __init__(self):
        self.q = deque((), CAPACITY)
        self.flag = False

    def put(self, value):
        if len(self.q) == CAPACITY:
            return False
        self.q.append(value)
        self.flag = True
        return True

    def get(self):
        if not self.flag:
            return None
        value = self.q.popleft()
        self.flag = len(self.q) > 0
        return value

    def __len__(self):
        return len(self.q)


class EventQueue:
    """A list and an asyncio.Event that each put sets, as in the queues that people share."""

    wake = asyncio.Event

    def __init__(self):
        self.q = [0] * CAPACITY
        self.h = self.t = 0
        self.event = self.wake()

    def put(self, value):
        self.event.set()
        after = (self.h + 1) % len(self.q)
        if after == self.t:
            return False
        self.q[self.h] = value
        self.h = after
        return True

    def get(self):
        if self.t == self.h:
            return None
        value = self.q[self.t]
        self.t = (self.t + 1) % len(self.q)
        return value

    def __len__(self):
        return (self.h - self.t) % len(self.q)


class FlagQueue(EventQueue):
    """The same for handlers and threads: with a ThreadSafeFlag."""

    wake = asyncio.ThreadSafeFlag


def plain(title, queue):
    """Return the contender of that name round `queue`, a class."""

    class Contender(PlainWord):
        name = title
        make = queue

    return Contender


MESSAGES = (ViperRing,)
WORDS = (
    ViperRingWord,
    plain("native ring, value only", NativeRing),
    plain("bytecode ring, value only", BytecodeRing),
    plain("deque and flag, value only", FlaggedDeque),
    plain("list and Event, value only", EventQueue),
    plain("list and ThreadSafeFlag, value only", FlagQueue),
)
