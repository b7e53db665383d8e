"""Threads without a GIL: some send, this one receives, and every message is checked.

Both sides run under a locked heap. A full lane makes a sender try again, so nothing may be lost.
"""

import _thread
import time

import micropython
from harness import PATIENCE_MS
from payload import fill, holds
from ringlane import PriorityChannel

_CAPACITY = 5
_SLOT = 64


def size_of(number):
    return (number * 37 + (number >> 6)) % (_SLOT + 1)


def class_of(number):
    return (number * 3 + (number >> 4)) % 5


class Sender:
    """Sends the messages first, first + step, ... below `end` in a thread of its own."""

    def __init__(self, channel_end, first, step, end, words):
        self.full = 0  # how often it found a lane full
        self.overtook = 0  # and how often in a row
        self.done = False
        self.stop = False
        self.emptied = False  # whether the receiver has found nothing
        half = first + (end - first) // (2 * step) * step  # where it rests until then
        send, send_word = channel_end.send, channel_end.send_word
        room = bytearray(_SLOT + 4)
        # Every size, and every alignment.
        views = [memoryview(room)[size & 3 : (size & 3) + size] for size in range(_SLOT + 1)]

        def run():
            micropython.heap_lock()
            number = first
            waits = False
            while number < end and not self.stop:
                if number == half:
                    while not self.emptied and not self.stop:
                        time.sleep_us(1)
                priority = class_of(number)
                if words:
                    sent = send_word(number, priority)
                else:
                    size = size_of(number)
                    fill(views[size], number, size)
                    sent = send(views[size], priority)
                if sent:
                    number += step
                    waits = False
                else:
                    self.full += 1
                    if not waits:
                        self.overtook += 1
                        waits = True
            micropython.heap_unlock()
            self.done = True

        _thread.start_new_thread(run, ())


def receive_all(channel, threads, expected, end, step, words):
    """Receive until nothing is missing; return (messages, how often it overtook the senders).

    It begins when each sender has found a lane full, and they rest until it has found nothing.
    """
    recv, recv_word = channel.recv, channel.recv_word
    buf = bytearray(_SLOT)
    count = overtook = 0
    waits = False
    idle_since = time.ticks_ms()
    for thread in threads:
        while not thread.full and time.ticks_diff(time.ticks_ms(), idle_since) < PATIENCE_MS:
            time.sleep_us(1)
    idle_since = time.ticks_ms()
    micropython.heap_lock()
    try:
        while count < end:
            m = recv_word() if words else recv(buf)
            if m is None:
                if not waits:
                    overtook += 1
                    waits = True
                    for thread in threads:
                        thread.emptied = True
                if time.ticks_diff(time.ticks_ms(), idle_since) > PATIENCE_MS:
                    break
                continue
            waits = False
            value, priority, _ = m
            lane = expected[value % step if words else 0]
            number = lane[priority]
            if words:
                right = value == number
            else:
                right = value == size_of(number) and holds(buf, number, value)
            if not right:
                break
            count += 1
            number += step
            while class_of(number) != priority:
                number += step
            lane[priority] = number
            idle_since = time.ticks_ms()
    finally:
        micropython.heap_unlock()
    if count < end:
        what = "lost" if m is None else "torn or out of order"
        raise AssertionError("%s: after %d messages, at %r" % (what, count, expected))
    return count, overtook


def main(messages, words=False, senders=1):
    """Pass so many messages; raise AssertionError if one went wrong.

    Prints how often the receiver overtook the senders, so that it found nothing, and the senders
    the receiver, so that a lane was full; the tries one after the other count once.
    """
    channel = PriorityChannel(_CAPACITY, slot_size=_SLOT, senders=senders)
    ends = [channel] + [channel.add_sender() for _ in range(senders - 1)]
    expected = []
    for sender in range(senders):
        row = []
        for priority in range(5):
            number = sender
            while class_of(number) != priority:
                number += senders
            row.append(number)
        expected.append(row)
    threads = [Sender(ends[i], i, senders, messages, words) for i in range(senders)]
    try:
        count, empty = receive_all(channel, threads, expected, messages, senders, words)
    finally:
        for thread in threads:
            thread.stop = True
            while not thread.done:
                time.sleep_ms(1)
    full = sum(thread.full for thread in threads)
    assert (channel.sent, channel.received, len(channel)) == (count, count, 0), channel
    assert channel.dropped == full and channel.rejected == 0, channel
    assert 0 < channel.high_water <= _CAPACITY, channel
    full = sum(thread.overtook for thread in threads)
    print("messages", count, "empty", empty, "full", full)
