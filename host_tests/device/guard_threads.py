"""Threads without a GIL that share a sender, or a receiver, under a LockGuard.

Every message is checked: its content, that it came once, and its thread's order. Both sides run
under a locked heap. Without the guard the same programs fail, which shows that they can.

That the lane is found full and empty, and that all threads have their turns, is not left to luck:
they wait for it, each at its beginning and half-way.
"""

import _thread
import time

import micropython
from harness import PATIENCE_MS
from payload import fill, holds, pieces
from ringlane import Channel, LockGuard

_CAPACITY = 50
_SLOT = 40
_TURNS = 8  # as often a thread that receives waits until the others have received as much
_PAUSE_US = 20  # when full or empty: three threads on two cores wait for each other


def size_of(number):
    return 4 + (number * 37 + (number >> 6)) % (_SLOT - 3)


@micropython.viper
def number_in(buf) -> int:
    # The number that begins a message of share_receiver().
    return ptr32(buf)[0] & 0x3FFFFFFF


@micropython.viper
def write_number(buf, number: int):
    ptr32(buf)[0] = number


class Worker:
    """`work(worker)` in a thread of its own, from start() on."""

    go = False

    def __init__(self, work):
        self.done = False
        self.stop = False
        self.emptied = False  # whether this thread's partner has found nothing
        self.wrong = None
        self.crew = ()  # the others that do the same
        # Here, as a new attribute would allocate.
        self.taken = self.empty = self.gaps = self.full = 0

        def run():
            while not Worker.go:  # so that no thread is through before another begins
                pass
            micropython.heap_lock()
            wrong = "raised"
            try:
                # It returns what is wrong. Under a locked heap all threads share one exception.
                wrong = work(self)
            finally:
                self.wrong = wrong
                micropython.heap_unlock()
                self.done = True

        Worker.go = False
        _thread.start_new_thread(run, ())


def _end(workers):
    for worker in workers:
        worker.stop = True
    for worker in workers:
        while not worker.done:
            time.sleep_ms(1)
    for worker in workers:
        assert worker.wrong is None, worker.wrong


def _sender(send, thread, count):
    views = pieces(_SLOT, 0)

    def work(worker):
        for number in range(count):
            if number == count // 2:
                while not worker.emptied and not worker.stop:
                    time.sleep_us(_PAUSE_US)
            view = views[size_of(number)]
            fill(view, number * 2 + thread, len(view))
            while not send(view, thread):  # the class tells whose it is
                worker.full += 1
                time.sleep_us(_PAUSE_US)
                if worker.stop:
                    return None
        return None

    return work


def share_sender(messages, guarded=True, senders=1):
    """Two threads send so many by one verb; print what was seen, or raise AssertionError.

    With `senders` 2 each has a verb of its own.
    """
    guard = LockGuard() if guarded else None
    ch = Channel(_CAPACITY, slot_size=_SLOT, senders=senders, send_guard=guard)
    count = messages // 2
    sends = (ch.send, ch.send if senders == 1 else ch.add_sender().send)
    workers = [Worker(_sender(sends[thread], thread, count)) for thread in (0, 1)]
    buf = bytearray(_SLOT)
    recv = ch.recv
    expected = [0, 0]
    taken = empty = switches = 0
    last = -1
    wrong = None
    idle_since = time.ticks_ms()
    Worker.go = True
    for worker in workers:
        while not worker.full and time.ticks_diff(time.ticks_ms(), idle_since) < PATIENCE_MS:
            time.sleep_us(_PAUSE_US)
    idle_since = time.ticks_ms()
    micropython.heap_lock()
    try:
        while taken < 2 * count:
            m = recv(buf)
            if m is None:
                empty += 1
                for worker in workers:
                    worker.emptied = True
                time.sleep_us(_PAUSE_US)
                if time.ticks_diff(time.ticks_ms(), idle_since) > PATIENCE_MS:
                    wrong = "lost"
                    break
                continue
            size, thread, _ = m
            number = expected[thread]
            if size != size_of(number) or not holds(buf, number * 2 + thread, size):
                wrong = "torn, lost or doubled"
                break
            expected[thread] = number + 1
            taken += 1
            if thread != last:
                switches += 1
                last = thread
            idle_since = time.ticks_ms()
    finally:
        micropython.heap_unlock()
        _end(workers)
    assert wrong is None, "%s: after %d messages, at %r" % (wrong, taken, expected)
    full = sum(worker.full for worker in workers)
    assert (ch.sent, ch.received, len(ch)) == (taken, taken, 0), ch
    assert ch.dropped == full and ch.rejected == 0, ch
    assert 0 < ch.high_water <= _CAPACITY, ch
    print("messages", taken, "empty", empty, "full", full, "switches", switches)


def _receiver(end, marks):
    buf = bytearray(_SLOT)
    recv, timestamp = end.recv, end.timestamp

    def work(worker):
        last = -1
        while not worker.stop:
            if worker.taken < _TURNS and is_ahead(worker):
                time.sleep_us(_PAUSE_US)
                continue
            m = recv(buf)
            if m is None:
                worker.empty += 1
                time.sleep_us(_PAUSE_US)
                continue
            size, priority, _ = m
            number = number_in(buf)
            stamp = timestamp()
            fill(buf, number, 4)  # as before the number was written there
            if size != size_of(number) or not holds(buf, number, size):
                return "torn"
            if priority != number % 5 or stamp != number:
                return "torn: the result of another"
            if number <= last:
                return "doubled or out of order"
            if number != last + 1:
                worker.gaps += 1
            last = number
            marks[number] += 1
            worker.taken += 1
        return None

    return work


def share_receiver(messages, receivers=2, guarded=True):
    """So many threads receive what this one sends; print what was seen, or raise."""
    ch = Channel(_CAPACITY, slot_size=_SLOT, recv_guard=LockGuard() if guarded else None)
    ends = [ch]
    for _ in range(receivers - 1):
        ends.append(ch.add_receiver() if guarded else ch)
    marks = [bytearray(messages) for _ in ends]  # each thread its own: no shared word
    workers = [Worker(_receiver(ends[i], marks[i])) for i in range(receivers)]
    for worker in workers:
        worker.crew = workers
    views = pieces(_SLOT, 0)
    send_at = ch.send_at
    full = 0
    micropython.heap_lock()
    try:
        for number in range(messages):
            while number == messages // 2 and not all_found_nothing(workers):
                time.sleep_us(_PAUSE_US)
                if any_failed(workers):
                    break
            view = views[size_of(number)]
            fill(view, number, len(view))
            write_number(view, number)
            while not send_at(view, number % 5, number):
                full += 1
                Worker.go = True
                time.sleep_us(_PAUSE_US)
                if any_failed(workers):
                    break
        last, idle_since = -1, time.ticks_ms()
        while last < messages and not any_failed(workers):
            taken = 0
            for worker in workers:
                taken += worker.taken
            if taken != last:
                last, idle_since = taken, time.ticks_ms()
                time.sleep_ms(1)
            elif time.ticks_diff(time.ticks_ms(), idle_since) > PATIENCE_MS:
                break
    finally:
        micropython.heap_unlock()
        _end(workers)
    times = bytearray(messages)
    for mark in marks:
        for number in range(messages):
            times[number] += mark[number]
    lost, doubled = times.count(b"\x00"), messages - times.count(b"\x00") - times.count(b"\x01")
    assert not lost and not doubled, "%d lost, %d doubled" % (lost, doubled)
    assert (ch.sent, ch.received, len(ch)) == (messages, messages, 0), ch
    assert ch.dropped == full and ch.rejected == 0, ch
    shares = [worker.taken for worker in workers]
    empty = sum(worker.empty for worker in workers)
    gaps = min(worker.gaps for worker in workers)
    print("messages", sum(shares), "empty", empty, "full", full, "gaps", gaps, "shares", shares)


def is_ahead(worker):
    for other in worker.crew:
        if other.taken < worker.taken and not other.done:
            return True
    return False


def all_found_nothing(workers):
    for worker in workers:
        if not worker.empty and not worker.done:
            return False
    return True


def any_failed(workers):
    for worker in workers:
        if worker.wrong is not None:
            return True
    return False
