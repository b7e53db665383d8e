"""Who may share what, by example: programs that keep a rule, and programs that break it.

Each checks every message and raises AssertionError if one is lost, torn, doubled or taken for
another. A program that breaks a rule has to do that, or the rule would be for nothing.
"""

import _thread
import asyncio
import time

import micropython
from guard_threads import share_receiver, share_sender
from payload import fill, holds
from ringlane import Channel

_SIZE = 20
_MESSAGES = 100000
_ROUNDS_MAX = 50  # within which what is wrong has to show; it does in the first as a rule
_TIMES = 1000  # a soft handler runs so often


# Sending


class _Stream:
    # Messages of one class, each with its number, and the next one to come.
    def __init__(self, ch, priority):
        self.send, self.priority = ch.send, priority
        self.buf = bytearray(_SIZE)
        self.sent = self.received = 0

    def __call__(self, arg):
        fill(self.buf, self.sent * 2 + self.priority, _SIZE)
        if self.send(self.buf, self.priority):
            self.sent += 1

    def take(self, buf):
        assert holds(buf, self.received * 2 + self.priority, _SIZE), "lost, torn or doubled"
        self.received += 1


def a_task_and_soft_handlers_share_a_sender():
    ch = Channel(16, slot_size=_SIZE)
    streams = [_Stream(ch, priority) for priority in (0, 1)]
    task, handler = streams
    state = [True, True]

    def ask():
        # Asks for the handler all the time; the scheduler runs it where the task is.
        while state[0]:
            try:
                micropython.schedule(handler, None)
            except RuntimeError:
                pass  # it has enough to do
        state[1] = False

    _thread.start_new_thread(ask, ())
    buf = bytearray(_SIZE)
    try:
        end = time.ticks_add(time.ticks_ms(), 60000)
        while task.received < _TIMES or handler.received < _TIMES:
            for _ in range(5):
                task(None)
            while m := ch.recv(buf):
                streams[m[1]].take(buf)
            assert time.ticks_diff(end, time.ticks_ms()) > 0, "lost"
    finally:
        state[0] = False
        while state[1]:
            pass
    while m := ch.recv(buf):
        streams[m[1]].take(buf)
    for stream in streams:
        assert stream.sent == stream.received >= _TIMES, "lost"


def threads_have_a_sender_each():
    share_sender(_MESSAGES, guarded=False, senders=2)


def threads_share_a_sender_under_a_guard():
    share_sender(_MESSAGES)


def threads_share_a_sender():  # wrong
    for _ in range(_ROUNDS_MAX):
        share_sender(_MESSAGES, guarded=False)


# Receiving


def _pass_to_tasks(task):
    # Three tasks of one event loop receive from one channel, each by task(ch, take).
    ch = Channel(6, slot_size=_SIZE)
    count = 60
    taken = []

    def take(size, priority, buf):
        number = buf[0]
        assert size == number % _SIZE + 1 and priority == number % 5, "torn: another's result"
        taken.append(number)

    async def send_all():
        for number in range(count):
            assert await ch.asend(bytes([number] * (number % _SIZE + 1)), number % 5)
            if number % 6 == 5:
                await asyncio.sleep(0)
        ch.close()

    async def main():
        await asyncio.gather(send_all(), task(ch, take), task(ch, take), task(ch, take))

    asyncio.run(main())
    assert sorted(taken) == list(range(count)), "lost or doubled: %r" % taken


def tasks_of_one_loop_share_a_receiver():
    async def work(ch, take):
        buf = bytearray(_SIZE)
        while m := await ch.arecv(buf):
            size, priority, latency = m  # before any await
            await asyncio.sleep(0)
            take(size, priority, buf)

    _pass_to_tasks(work)


def a_task_keeps_the_result_over_an_await():  # wrong
    async def work(ch, take):
        buf = bytearray(_SIZE)
        while m := await ch.arecv(buf):
            await asyncio.sleep(0)
            size, priority, latency = m
            take(size, priority, buf)

    _pass_to_tasks(work)


def a_task_keeps_a_copy_of_the_result_over_an_await():
    async def work(ch, take):
        buf = bytearray(_SIZE)
        while m := await ch.arecv(buf):
            m = tuple(m)
            await asyncio.sleep(0)
            size, priority, latency = m
            take(size, priority, buf)

    _pass_to_tasks(work)


def threads_have_a_receiver_each_under_recv_guard():
    share_receiver(_MESSAGES)


def threads_share_a_receiver():  # wrong
    for _ in range(_ROUNDS_MAX):
        share_receiver(_MESSAGES, guarded=False)
