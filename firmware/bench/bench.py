"""The bench's device part: measures the contenders, and checks what they passed.

Each function prints one line of JSON, times in ticks of the clock that `conditions` names; run.py
on the host calls them and makes the tables.
"""

import gc
import json
import sys
import time

import contenders
import micropython
import rings
from ringlane import cycles

try:
    from machine import disable_irq, enable_irq
except ImportError:  # the virtual board has no interrupts

    def disable_irq():
        return None

    def enable_irq(state):
        pass


ONE_CLASS = (2,) * 20
ALL_CLASSES = (0, 1, 2, 3, 4) * 4
PATTERN = bytes(place * 13 + 1 & 0xFF for place in range(512))
CHECKS = 15  # messages checked one by one, three of each class
FREE_RUN = 600  # so many blocks in a row found free: the rest of the heap has no such holes


class WrongResult(Exception):
    """A contender returned something else than what was sent."""


def clock():
    """Return (ticks, diff, unit, hz) of the finest clock of this board."""
    try:
        counter = cycles()
    except ValueError:
        return time.ticks_us, time.ticks_diff, "us", 1000000
    # Where there is a register it is what counts cycles; ticks() may count microseconds there.
    ticks = register_ticks(counter.register) if counter.register else counter.ticks
    return ticks, counter.diff, "cycles", counter.hz


def register_ticks(address):
    """Return a function that reads the counter at `address`, in 30 bits."""

    @micropython.viper
    def ticks() -> int:
        return ptr32(int(address))[0] & 0x3FFFFFFF

    return ticks


def conditions():
    """Print what this board is."""
    gc.collect()
    board = {
        "machine": sys.implementation._machine,
        "version": sys.version,
        "heap": gc.mem_alloc() + gc.mem_free(),
    }
    _, _, board["unit"], board["hz"] = clock()
    print(json.dumps(board))


def column(size, word, mixed, repeat, rounds):
    """Measure every contender at one size, in turn, `rounds` times; print the best of each.

    A round is 20 * repeat messages. `word`: an int instead of `size` bytes. `mixed`: of all five
    classes in turn instead of one.
    """
    order = ALL_CLASSES if mixed else ONE_CLASS
    kinds = contenders.WORDS + rings.WORDS if word else contenders.MESSAGES + rings.MESSAGES
    loop = contenders.EmptyLoop()
    fighters = [kind(size) for kind in kinds]
    bench = Bench(size, word)
    for each in fighters:
        bench.check_one_by_one(each)
        bench.check_queue(each)
    best = bench.best([loop] + fighters, order, repeat, rounds)
    empty = best.pop(0)
    names = [each.name for each in fighters]
    print(
        json.dumps(
            {
                "messages": len(order) * repeat,
                "empty_loop": empty,
                "times": list(zip(names, best)),
                "allocated": [(each.name, bench.allocated(each, order)) for each in fighters],
            }
        )
    )


def capacity(size, capacities, repeat, rounds):
    """Print what a message costs on a channel of each of `capacities`."""
    # One class: 1024 slots for each of five would not fit beside the program on a small board.
    fighters = [contenders.Ringlane(size, (0, 0, each, 0, 0)) for each in capacities]
    loop = contenders.EmptyLoop()
    best = Bench(size).best([loop] + fighters, ONE_CLASS, repeat, rounds)
    empty = best.pop(0)
    times = list(zip(capacities, best))
    print(json.dumps({"messages": 20 * repeat, "empty_loop": empty, "times": times}))


def long_run(size, repeat):
    """Print the microseconds of 20 * repeat messages, garbage collections included."""
    kinds = (contenders.Ringlane, contenders.FiveDeques, contenders.FiveDequesInline)
    bench = Bench(size)
    bench.ticks, bench.diff = time.ticks_us, time.ticks_diff  # a cycle counter may wrap
    loop = contenders.EmptyLoop()
    empty = bench.checked_run(loop, ONE_CLASS, repeat)
    times = []
    for kind in kinds:
        contender = kind(size)
        bench.checked_run(contender, ONE_CLASS, 1)
        gc.collect()
        times.append((kind.name, bench.checked_run(contender, ONE_CLASS, repeat)))
    print(json.dumps({"messages": 20 * repeat, "empty_loop": empty, "times": times}))


class Bench:
    """Messages of one size, sent and received in the same two buffers."""

    free_run = FREE_RUN
    checks = CHECKS

    def __init__(self, size, word=False):
        self.size = size
        self.word = word
        self.data = bytearray(size)
        self.buf = bytearray(size)
        self.number = 0
        self.last = [None] * 6
        self.ticks, self.diff, _, _ = clock()

    def message(self):
        """Return the next message, unlike its neighbours: the data buffer, or an int."""
        self.number += 1
        if self.word:
            return self.number * 40503 & 0x3FFFFFF
        first = self.number * 7 & 0xFF
        self.data[:] = PATTERN[first : first + self.size]
        self.buf[:] = bytes(self.size)
        return self.data

    def best(self, fighters, order, repeat, rounds):
        """Run the contenders in turn, `rounds` times; return the least ticks of each."""
        least = [None] * len(fighters)
        for each in fighters:
            self.checked_run(each, order, 1)  # a channel looks at a buffer that it meets first
        for _ in range(rounds):
            filling = fill_holes(self.free_run)
            for place in range(len(fighters)):
                spent = self.checked_run(fighters[place], order, repeat)
                if least[place] is None or spent < least[place]:
                    least[place] = spent
            del filling
        return least

    def checked_run(self, contender, order, repeat):
        """Run the contender's loop and check the last message; return the ticks."""
        data = self.message()
        self.prepare(contender, data)
        before = time.ticks_us()
        state = disable_irq()
        try:
            contender.run(data, self.buf, order, repeat, self.ticks, self.last)
        finally:
            enable_irq(state)
        passed = time.ticks_diff(time.ticks_us(), before)
        start, end, payload, size, priority, latency = self.last
        if contender.carries:
            check(contender.name, data, payload, size, order[-1], priority, latency, passed)
            check_empty(contender)
        return self.diff(end, start)

    def prepare(self, contender, data):
        """For subclasses: what comes before each run, untimed."""

    def settle(self, contender):
        """For subclasses: what comes between two runs whose messages are not checked."""

    def check_one_by_one(self, contender):
        """Pass messages one at a time through the loop that is measured, and check each."""
        for number in range(self.checks):
            self.checked_run(contender, (number % 5,), 1)

    def check_queue(self, contender):
        """Queue messages of every class, receive them all, check them and their order."""
        if not contender.carries or not contender.verbs:
            return
        send, recv = contender.verbs
        before = time.ticks_us()
        queued = []
        for number in range(contenders.CAPACITY):
            data = self.message()
            priority = (contenders.CAPACITY - number) % 5
            send(data, priority)
            queued.append((priority, data if self.word else bytes(data)))
        if contender.by_class:
            queued = [each for level in range(5) for each in queued if each[0] == level]
        for sent_priority, data in queued:
            result = recv(self.buf) if contender.copies else recv()
            if result is None:
                raise WrongResult("%s: sent %r, received nothing" % (contender.name, data))
            payload, priority, latency = result
            size = 4 if self.word else payload if contender.copies else len(payload)
            if contender.copies:
                payload = self.buf
            passed = time.ticks_diff(time.ticks_us(), before)
            check(contender.name, data, payload, size, sent_priority, priority, latency, passed)
        check_empty(contender)

    def allocated(self, contender, order):
        """Return the bytes a message allocates; 0 only if the loop also runs on a locked heap."""
        data, buf, last = self.message(), self.buf, self.last
        self.prepare(contender, data)
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        contender.run(data, buf, order, 1, time.ticks_us, last)
        used = gc.mem_alloc() - before
        gc.enable()
        self.settle(contender)
        if used:
            return used / len(order)
        micropython.heap_lock()
        try:
            contender.run(data, buf, order, 1, time.ticks_us, last)
        except MemoryError:
            used = None
        micropython.heap_unlock()
        self.settle(contender)
        if used is None:
            raise WrongResult("%s: allocates, and frees it again" % contender.name)
        return 0


def check(name, data, payload, size, sent_priority, priority, latency, passed):
    """Raise WrongResult unless the message came as it was sent, within `passed` microseconds."""
    if isinstance(data, int):
        if payload != data or size != 4:
            raise WrongResult("%s: sent %r, received %r" % (name, data, payload))
    elif size != len(data) or payload[:size] != data:
        raise WrongResult("%s: sent %r, received %r" % (name, data, payload[:size]))
    if priority is not None and priority != sent_priority:
        raise WrongResult("%s: sent class %d, received %r" % (name, sent_priority, priority))
    if latency is not None and not 0 <= latency <= passed:
        raise WrongResult("%s: latency %r, %d us have passed" % (name, latency, passed))


def check_empty(contender):
    if contender.left():
        raise WrongResult("%s: a message is left" % contender.name)


def fill_holes(free_run):
    """Collect, then fill the holes between the objects on the heap; return what fills them.

    An allocation of several blocks searches the heap from the first hole of one block on, at every
    message. How far depends on what else the program did; here it finds room at once, which is
    the best case for contenders that allocate.
    """
    gc.collect()
    chain, row, before = None, 0, 0
    while row < free_run:
        chain = (chain,)
        row = row + 1 if 0 < id(chain) - before <= 32 else 0
        before = id(chain)
    for _ in range(free_run):
        chain = chain[0]
    return chain
