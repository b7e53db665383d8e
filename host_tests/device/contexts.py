"""Who may share what, by example: programs that keep a rule, and programs that break it.

Each checks every message and raises AssertionError if one is lost, torn, doubled or taken for
another. A program that breaks a rule has to do that, or the rule would be for nothing.
"""

import _thread
import asyncio
import time

import micropython
import soft_handlers
from guard_threads import share_receiver, share_sender
from payload import fill, holds
from ringlane import Channel, RequestReplyChannel

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


# Results


class _SharedResults(soft_handlers.Results):
    # Task and handler receive from one end.
    def __init__(self):
        soft_handlers.Results.__init__(self)
        self.own = self.ch


class _Replies(soft_handlers.Party):
    # A task and a handler ask, and each takes its own replies, which it knows by their size. The
    # handler serves if the task calls, else the task.
    def __init__(self, calls):
        soft_handlers.Party.__init__(self)
        self.rpc = RequestReplyChannel(4, slot_size=4)
        self.calls = calls
        self.request, self.buf = bytearray(4), bytearray(4)
        self.asked = 0  # the handler's request

    def serve(self):
        while m := self.rpc.recv_request(self.request):
            size, id, latency = m
            self.rpc.send_response(id, bytes(size))

    def step(self):
        if self.calls:
            try:
                got = self.rpc.call_wait(bytes(2), self.buf, 2)[0]
            except OSError:
                return  # the handler came before the request
        else:
            id = self.rpc.send_request(bytes(2))
            self.serve()
            m = self.rpc.recv_response(id, self.buf)
            # Where the handler comes differs by what a step has to serve: here it comes for sure.
            for _ in range(8):
                pass
            got, status, latency = m
        assert got == 2, "torn: another's result"

    def handle(self):
        if self.calls:
            self.serve()
        if self.asked:
            m = self.rpc.recv_response(self.asked, bytearray(4))
            if not m:
                return
            assert m[0] == 3, "torn: another's result"
        self.asked = self.rpc.send_request(bytes(3))


def _sweep(party, rounds=5):
    # The handler at every place of the task's step where the scheduler runs.
    assert soft_handlers.visit(party, rounds) > 5 * rounds, "hardly a place"


def a_soft_handler_has_an_end_of_its_own():
    _sweep(soft_handlers.Results())


def a_soft_handler_receives_from_the_end_of_the_task():  # wrong
    _sweep(_SharedResults())


def a_soft_handler_takes_replies_while_the_task_calls():
    _sweep(_Replies(calls=True))


def a_soft_handler_and_a_task_take_replies():  # wrong
    _sweep(_Replies(calls=False))


# Threads under a GIL


def threads_under_a_gil_share_a_sender():
    share_sender(_MESSAGES // 10, guarded=False)


def threads_under_a_gil_have_an_end_each():
    soft_handlers.threads("results")


class _SlowResults(_SharedResults):
    # Threads switch between bytecodes, but seldom just there; over a sleep they do.
    def step(self):
        for _ in range(4):
            if self.ch.send_word(self.sent, self.sent % 5):
                self.sent += 1
        self.receive(0, self.ch)

    def receive(self, who, end):
        m = end.recv_word()
        if m:
            time.sleep_ms(1)
            value, priority, latency = m
            self.took(who, value)
        return m


def threads_under_a_gil_share_a_receiver():  # wrong
    soft_handlers.run_threads(_SlowResults(), 200)
