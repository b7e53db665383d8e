"""A second thread, without a GIL, sends to tasks that wait: no wake-up is ever lost.

The sender sends in bursts and then pauses for a moment, some pauses so short that the next message
comes while the task goes to sleep. A message that the task is not woken for is the end: a task
that sees no progress for so many seconds says so.
"""

import _thread
import asyncio
import time

import micropython
from harness import PATIENCE_MS
from payload import fill, holds
from ringlane import NORMAL, Channel, PriorityChannel, select, waiting

_SLOT = 12
_TRIES = 50
_EVERY = 16


class Sender:
    """Sends the messages 0 up to `end`, less 1, in a thread of its own."""

    def __init__(self, sender, end, seed):
        self.full = 0  # how often there was no room
        self.done = False
        self.stop = False
        send = sender.send
        buf = bytearray(_SLOT)

        def run():
            micropython.heap_lock()
            number = 0
            random = seed
            left = 1
            tries = 0
            while number < end and not self.stop:
                fill(buf, number, _SLOT)
                if send(buf, NORMAL):
                    number += 1
                    left -= 1
                    tries = 0
                else:
                    self.full += 1
                    tries += 1
                    if not tries % _TRIES:
                        time.sleep_us(10)  # where the two share a core, let the other run
                if not left:
                    random = (random * 75 + 74) % 65537  # small ints, as the heap is locked
                    left = 1 + (random & 63)
                    for _ in range(random >> 6 & 1023):
                        pass
            micropython.heap_unlock()
            self.done = True

        _thread.start_new_thread(run, ())

    def join(self):
        self.stop = True
        while not self.done:
            time.sleep_ms(1)


class Sleeps:
    """Counts how often a task was put to sleep, or recv_wait slept."""

    def __init__(self):
        self.count = 0
        queue = asyncio.core._io_queue
        queue_read = queue.queue_read
        block = waiting.Waiter.block

        def count_read(stream):
            self.count += 1
            return queue_read(stream)

        def count_block(waiter, deadline):
            self.count += 1
            return block(waiter, deadline)

        queue.queue_read = count_read
        waiting.Waiter.block = count_block
        self._undo = (queue, block)

    def stop(self):
        queue, block = self._undo
        del queue.queue_read
        waiting.Waiter.block = block


class Patience:
    """Lingers for a moment before a wait, once there have been enough sleeps.

    A sleep lasts a millisecond at least on this port, in which a sender fills the lane and stops.
    """

    def __init__(self, channels, sleeps, enough):
        self.channels = channels
        self.sleeps = sleeps
        self.enough = enough
        self.turn = 0

    def linger(self):
        self.turn += 1
        if self.sleeps.count > self.enough and self.turn % _EVERY:
            for tries in range(_TRIES):
                for ch in self.channels:
                    if len(ch):
                        return
                if tries > 10:
                    time.sleep_us(10)


def _check(buf, m, number):
    assert m[0] == _SLOT and holds(buf, number, _SLOT), "torn or out of order at %d" % number


async def _by_arecv(channels, end, seen, patience):
    (ch,) = channels
    buf = bytearray(_SLOT)
    while seen[0] < end:
        m = ch.recv(buf)
        if m is None:
            patience.linger()
            m = await ch.arecv(buf)
        _check(buf, m, seen[0])
        seen[0] += 1


async def _by_two_tasks(channels, end, seen, patience):
    (ch,) = channels
    shares = [0, 0]

    async def take(share):
        buf = bytearray(_SLOT)
        while seen[0] < end:
            m = ch.recv(buf)
            if m:
                _check(buf, m, seen[0])
                seen[0] += 1
                shares[share] += 1
            else:
                patience.linger()
                await ch.ready()
        ch.close()  # which ends the other's wait

    await asyncio.gather(take(0), take(1))
    assert min(shares) > end // 100, shares


async def _by_select(channels, end, seen, patience):
    buf = bytearray(_SLOT)
    while sum(seen) < end * len(channels):
        chosen = await select(*channels)
        i = channels.index(chosen)
        m = chosen.recv(buf)
        while m:
            _check(buf, m, seen[i])
            seen[i] += 1
            m = chosen.recv(buf)
        patience.linger()


async def _watch(task, seen, patience_ms):
    while True:
        before = sum(seen)
        await asyncio.sleep_ms(patience_ms)
        if sum(seen) == before:
            task.cancel()
            return


async def _run(receive, seen, patience_ms):
    task = asyncio.create_task(receive)
    watch = asyncio.create_task(_watch(task, seen, patience_ms))
    try:
        await task
    except asyncio.CancelledError:
        raise AssertionError("lost a wake-up: asleep after %r messages" % (seen,))
    finally:
        watch.cancel()


def _by_recv_wait(channels, end, seen, patience, patience_ms):
    (ch,) = channels
    buf = bytearray(_SLOT)
    timeout = None if ch.capacity == 4 else patience_ms
    locked = False
    while seen[0] < end:
        m = ch.recv(buf)
        if m is None:
            patience.linger()
            start = time.ticks_ms()
            m = ch.recv_wait(buf, timeout)
            # Its time-out finds what it was not woken for.
            if m is None or time.ticks_diff(time.ticks_ms(), start) >= patience_ms:
                if locked:
                    micropython.heap_unlock()
                raise AssertionError("lost a wake-up: asleep after %r messages" % (seen,))
        _check(buf, m, seen[0])
        seen[0] += 1
        if patience.sleeps.count and not locked:  # it has slept, and has what it needs
            micropython.heap_lock()
            locked = True
    assert locked
    micropython.heap_unlock()


TASKS = {"arecv": _by_arecv, "ready, two tasks": _by_two_tasks, "select": _by_select}


def main(how, messages, patience_ms=PATIENCE_MS):
    """Pass so many messages, at each capacity a quarter; print what was seen, or raise."""
    full = sleeps = total = 0
    for capacity in range(1, 5):
        asyncio.new_event_loop()
        kind = PriorityChannel if capacity & 1 else Channel
        channels = [kind(capacity, slot_size=_SLOT) for _ in range(2 if how == "select" else 1)]
        end = messages // 4 // len(channels)
        seen = [0] * len(channels)
        counted = Sleeps()
        patience = Patience(channels, counted, messages // 4 // 32)
        threads = [Sender(ch, end, capacity + i) for i, ch in enumerate(channels)]
        try:
            if how == "recv_wait":
                _by_recv_wait(channels, end, seen, patience, patience_ms)
            else:
                asyncio.run(_run(TASKS[how](channels, end, seen, patience), seen, patience_ms))
        finally:
            for thread in threads:
                thread.join()
            counted.stop()
        for ch, thread in zip(channels, threads):
            assert (ch.sent, ch.received, len(ch)) == (end, end, 0), ch
            assert ch.dropped == thread.full, ch
            full += thread.full
        total += sum(seen)
        sleeps += counted.count
    print("messages", total, "sleeps", sleeps, "full", full)
