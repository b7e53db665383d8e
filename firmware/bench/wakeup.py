"""How long from a handler to the task that waits for it, and what a wake-up allocates.

On rp2 a hard timer interrupt calls the handler; elsewhere a second thread. Each time it waits
until the task has had the message before, so that the task is asleep when the next one comes. The
time is from before the handler sends to the task's next statement after its wait.
"""

import asyncio
import gc
import json
import sys
import time
from array import array
from collections import deque

import bench
from bench import WrongResult
from ringlane import NORMAL, Channel

RATE = 400  # Hz, of the timer
TASKS = 10  # where several wait, each for messages of its own
PAUSE_US = 1300  # of the thread, and up to as much again


class Waiter:
    """Receives numbers, 0 upwards; `post` sends the next one.

    The handler is a method, taken as a value once: of a closure with so many outer variables
    each call would allocate, which a hard handler may not.
    """

    def __init__(self, count, ticks):
        self.count = count
        self.sent = array("i", [0] * count)
        self.had = array("i", [0] * count)
        self.values = array("i", [-1] * count)
        self.state = [0, 0]  # how many were sent, Owner: handler; and received, Owner: task
        self.memory = array("i", [0, 0])
        self.ticks = ticks
        self.post = self.prepare()

    def on_tick(self, _):
        state = self.state
        number = state[0]
        if number < self.count and state[1] == number:
            self.sent[number] = self.ticks()
            self.post(number)
            state[0] = number + 1

    def note(self, number, value, now):
        """Keep what the task got, and when."""
        self.had[number] = now
        self.values[number] = value
        if number == 0:  # what the first makes is kept for the others
            self.memory[0] = gc.mem_alloc()
        elif number == self.count - 1:
            self.memory[1] = gc.mem_alloc()
        self.state[1] = number + 1


class Arecv(Waiter):
    name = "await arecv"

    def prepare(self):
        self.channel = Channel(4, slot_size=4)
        self.buf = bytearray(4)
        send_word = self.channel.send_word
        return lambda number: send_word(number, NORMAL)

    def run(self):
        asyncio.run(self.consume())

    async def consume(self):
        channel, buf, ticks = self.channel, self.buf, self.ticks
        for number in range(self.count):
            await channel.arecv(buf)
            now = ticks()
            self.note(number, int.from_bytes(buf, "little"), now)


class ArecvWord(Arecv):
    name = "await arecv_word"

    async def consume(self):
        channel, ticks = self.channel, self.ticks
        for number in range(self.count):
            value, priority, latency = await channel.arecv_word()
            now = ticks()
            self.note(number, value, now)


class Ready(Arecv):
    name = "await ready, then recv_word"

    async def consume(self):
        channel, ticks = self.channel, self.ticks
        for number in range(self.count):
            await channel.ready()
            value, priority, latency = channel.recv_word()
            now = ticks()
            self.note(number, value, now)


class Flag(Waiter):
    """What a user would write: the flag is set after the deque has the message."""

    name = "ThreadSafeFlag + deque"

    def prepare(self):
        self.queue = queue = deque((), 4, 1)
        self.flag = flag = asyncio.ThreadSafeFlag()

        def post(number):
            queue.append(number)
            flag.set()

        return post

    def run(self):
        asyncio.run(self.consume())

    async def consume(self):
        queue, flag, ticks = self.queue, self.flag, self.ticks
        for number in range(self.count):
            while not queue:
                await flag.wait()
            value = queue.popleft()
            now = ticks()
            self.note(number, value, now)


class TenArecv(Waiter):
    """One handler, and tasks that wait each on a channel of its own, which it sends to in turn."""

    name = "ten tasks, each await arecv"

    def prepare(self):
        self.channels = [Channel(4, slot_size=4) for _ in range(TASKS)]
        sends = [channel.send_word for channel in self.channels]
        return lambda number: sends[number % TASKS](number, NORMAL)

    def run(self):
        asyncio.run(self.consume_all())

    async def consume_all(self):
        await asyncio.gather(*[self.consume(i) for i in range(TASKS)])

    async def consume(self, first):
        channel, ticks = self.channels[first], self.ticks
        buf = bytearray(4)
        for number in range(first, self.count, TASKS):
            await channel.arecv(buf)
            now = ticks()
            self.note(number, int.from_bytes(buf, "little"), now)


class TenFlags(TenArecv):
    name = "ten tasks, each ThreadSafeFlag + deque"

    def prepare(self):
        self.queues = queues = [deque((), 4, 1) for _ in range(TASKS)]
        self.flags = flags = [asyncio.ThreadSafeFlag() for _ in range(TASKS)]

        def post(number):
            queues[number % TASKS].append(number)
            flags[number % TASKS].set()

        return post

    async def consume(self, first):
        queue, flag, ticks = self.queues[first], self.flags[first], self.ticks
        for number in range(first, self.count, TASKS):
            while not queue:
                await flag.wait()
            value = queue.popleft()
            now = ticks()
            self.note(number, value, now)


class RecvWait(Arecv):
    name = "recv_wait, no asyncio"

    def run(self):
        channel, buf, ticks = self.channel, self.buf, self.ticks
        for number in range(self.count):
            channel.recv_wait(buf)
            now = ticks()
            self.note(number, int.from_bytes(buf, "little"), now)


class Busy(Arecv):
    name = "recv_word in a busy loop"

    def run(self):
        recv_word, ticks = self.channel.recv_word, self.ticks
        for number in range(self.count):
            m = None
            while not m:
                m = recv_word()
            value, priority, latency = m
            now = ticks()
            self.note(number, value, now)


WAITERS = (Arecv, ArecvWord, Ready, Flag, TenArecv, TenFlags, RecvWait, Busy)


def measure(count):
    """Print, for each of WAITERS, the ticks of each wake-up and the bytes that one allocates."""
    ticks, diff, unit, hz = bench.clock()
    rows = []
    for kind in WAITERS:
        waiter = kind(count + 1, ticks)  # the first wake-up imports and makes what it needs
        on_tick = waiter.on_tick
        gc.collect()
        gc.disable()  # a collection would be in the time of a wake-up
        stop = start_source(on_tick, waiter.state, waiter.count)
        try:
            waiter.run()
        finally:
            stop()
            gc.enable()
        if list(waiter.values) != list(range(count + 1)):
            raise WrongResult("%s: received %r" % (kind.name, list(waiter.values)))
        spent = [diff(waiter.had[i], waiter.sent[i]) for i in range(1, count + 1)]
        if min(spent) < 0:  # 0 is possible: the task may spin on the other core
            raise WrongResult("%s: received before it was sent, %r" % (kind.name, spent))
        rows.append((kind.name, spent, (waiter.memory[1] - waiter.memory[0]) / count))
        waiter = on_tick = None
    source = "a hard timer interrupt" if sys.platform == "rp2" else "a second thread"
    print(json.dumps({"unit": unit, "hz": hz, "source": source, "rows": rows}))


if sys.platform == "rp2":
    from machine import Timer

    def start_source(on_tick, state, count):
        """Call the handler from now on; return what ends that."""
        timer = Timer(freq=RATE, mode=Timer.PERIODIC, callback=on_tick, hard=True)
        return timer.deinit

else:
    import _thread

    def start_source(on_tick, state, count):
        ended = []

        def run():
            pause = PAUSE_US
            while state[0] < count and not ended:
                time.sleep_us(pause)
                on_tick(None)
                pause = PAUSE_US + pause * 7 % PAUSE_US

        _thread.start_new_thread(run, ())
        return lambda: ended.append(True)
