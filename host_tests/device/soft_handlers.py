"""Soft handlers, and threads under a GIL, that share a channel's ends with a task.

Each party is a step of a task, task(), and of a soft handler, handler(arg), with new buffers at
each call where the verbs take any. It checks what came of them, check() that nothing is left over.
Who asks for the handler is another: sweep(), at each place in turn where the scheduler runs;
storm(), a thread that does nothing else; on a chip a pin, see soft_meetings.py. threads() is for
interpreters with a GIL, where the handler is a second thread.
"""

import sys
import time

import micropython
import ringlane.waiting  # noqa: F401  before anything is interrupted
from harness import PATIENCE_MS
from ringlane import (
    HIGH,
    NORMAL,
    Channel,
    MulticastChannel,
    RequestReplyChannel,
    SoftGuard,
)

_MASK = 0xFFFFF


class Party:
    """`steps` and `handled` count what has run; a party's own words are each written by one."""

    def __init__(self):
        self.steps = self.handled = 0

    def task(self):
        self.step()
        self.steps += 1

    def handler(self, arg):
        self.handle()
        self.handled += 1

    def check(self):
        pass


class Sends(Party):
    """send with new buffers; send_word_at, whose stamp is nobody else's."""

    def __init__(self):
        Party.__init__(self)
        self.ch = Channel(8, slot_size=8)
        self.sent = [0, 0, 0]
        self.got = [0, 0, 0]
        self.buf = bytearray(8)

    def send(self, who):
        data = bytearray(8)
        number = self.sent[who]
        for place in range(0, 8, 4):
            data[place] = number & 0xFF
            data[place + 1] = number >> 8 & 0xFF
            data[place + 2] = number >> 16 & 0xFF
            data[place + 3] = who
        if self.ch.send(data, who):
            self.sent[who] = number + 1

    def step(self):
        self.send(0)
        if self.ch.send_word_at(self.sent[2] & _MASK, 2, self.sent[2] & _MASK):
            self.sent[2] += 1
        self.drain(2)

    def drain(self, most):
        while most and (m := self.ch.recv(self.buf)):
            size, who, latency = m
            buf = self.buf
            number = buf[0] | buf[1] << 8 | buf[2] << 16
            assert number == self.got[who] & _MASK, "lost, torn or doubled"
            if who == 2:
                assert size == 4 and self.ch.timestamp() == number, "its stamp went elsewhere"
            else:
                assert size == 8 and buf[:4] == buf[4:] and buf[3] == who, "torn"
                assert latency < 30000000, "another's stamp"
            self.got[who] += 1
            most -= 1

    def handle(self):
        self.send(1)

    def check(self):
        self.drain(-1)
        assert self.got == self.sent, "lost"
        assert self.ch.sent == self.ch.received == sum(self.sent)


class Requests(Party):
    """send_request with new buffers by both, cancel by the handler; the task serves itself."""

    def __init__(self):
        Party.__init__(self)
        self.rpc = RequestReplyChannel(4, slot_size=4)
        self.asked = [0, 0]
        self.read = [-1, -1]
        self.served = [0, 0]
        self.cancelled = 0
        self.buf = bytearray(4)

    def ask(self, who):
        number = self.asked[who]
        data = bytearray(4)
        data[0] = number & 0xFF
        data[1] = number >> 8 & 0xFF
        data[2] = number >> 16 & 0xFF
        data[3] = who
        id = self.rpc.send_request(data)
        if id:
            self.asked[who] = number + 1
        return id

    def step(self):
        self.ask(0)
        self.serve(2)

    def serve(self, most):
        rpc = self.rpc
        while most and (m := rpc.recv_request(self.buf)):
            size, id, latency = m
            buf = self.buf
            who = buf[3]
            number = buf[0] | buf[1] << 8 | buf[2] << 16
            assert size == 4 and number > self.read[who], "doubled or out of order"
            assert who or number == self.read[0] + 1, "lost"
            self.read[who] = number
            rpc.send_status(id, bytearray(buf), number & 0x7F)
            try:
                size, status, latency = rpc.recv_response(id, self.buf)
            except ValueError:
                assert who, "the request of another was cancelled"
            else:
                assert (size, status) == (4, number & 0x7F) and self.buf[3] == who, "another's"
                self.served[who] += 1
            most -= 1

    def handle(self):
        id = self.ask(1)
        if id and self.asked[1] & 1:
            assert self.rpc.cancel(id), "cancelled by another"
            self.cancelled += 1

    def check(self):
        self.serve(-1)
        assert self.served[0] == self.asked[0], "lost"
        assert self.served[1] + self.cancelled == self.asked[1], "lost"
        assert self.rpc.pending == 0 and self.rpc.free() == 4, "an entry is leaked"


class Calls(Party):
    """call_wait by the task; the handler is the server, and its client's other half."""

    def __init__(self):
        Party.__init__(self)
        self.rpc = RequestReplyChannel(4, slot_size=4)
        self.buf = bytearray(4)
        self.request = bytearray(4)
        self.answered = self.late = 0

    def step(self):
        number = self.steps & 0x7F
        buf = bytearray(4)
        try:
            size, status, latency = self.rpc.call_wait(bytearray([number] * 3), buf, 3)
        except OSError:
            self.late += 1
        else:
            assert (size, status) == (2, number), "another's reply"
            assert buf[0] == buf[1] == number ^ 0x55, "torn"
            self.answered += 1

    def handle(self):
        rpc = self.rpc
        id = rpc.send_request(bytearray(1))
        if m := rpc.recv_request(self.request):
            size, other, latency = m
            number = self.request[0]
            if size == 3:
                rpc.send_status(other, bytearray([number ^ 0x55] * 2), number)
        if id:
            rpc.cancel(id)

    def check(self):
        while self.rpc.recv_request(self.buf):
            pass
        assert self.rpc.pending == 0 and self.rpc.free() == 4, "an entry is leaked"


class Results(Party):
    """recv_word and recv: the handler by an end of its own."""

    stats = False

    def __init__(self):
        Party.__init__(self)
        self.ch = Channel(8, slot_size=4, recv_guard=SoftGuard(), stats=self.stats)
        self.own = self.ch.add_receiver()
        self.sent = 0
        self.got = [0, 0]
        self.sums = [0, 0]
        self.last = [-1, -1]

    def took(self, who, value):
        assert value > self.last[who], "doubled or out of order"
        self.last[who] = value
        self.got[who] += 1
        self.sums[who] += value

    def receive(self, who, end):
        if self.got[who] & 1:
            if m := end.recv_word():
                value, priority, latency = m
                assert priority == value % 5, "torn: another's result"
                self.took(who, value)
                return True
        else:
            buf = bytearray(4)
            if m := end.recv(buf):
                size, priority, latency = m
                value = buf[0] | buf[1] << 8 | buf[2] << 16
                assert size == 4 and priority == value % 5, "torn: another's result"
                self.took(who, value)
                return True
        return False

    def step(self):
        for _ in range(2):
            if self.ch.send_word(self.sent, self.sent % 5):
                self.sent += 1
        self.receive(0, self.ch)

    def handle(self):
        self.receive(1, self.own)

    def check(self):
        while self.receive(0, self.ch):
            pass
        assert sum(self.got) == self.sent == self.ch.received, "lost or doubled"
        assert sum(self.sums) == self.sent * (self.sent - 1) // 2, "lost and doubled"


class Stats(Results):
    """reset_stats and stats by the task, where both receive."""

    stats = True

    def step(self):
        Results.step(self)
        if self.steps % 3 == 0:
            self.ch.reset_stats()
        self.count()

    def count(self):
        count, average, p50, p99, most = self.ch.stats()
        assert average <= most and p50 <= p99 <= most

    def check(self):
        Results.check(self)
        count = 0
        for each in self.ch._stats._words[6:]:  # its buckets
            count += each
        assert self.ch.stats()[0] == count, "the count is not that of the buckets"


class Latest(Party):
    """skip_to_latest by the task, which never drops the newest."""

    def __init__(self):
        Party.__init__(self)
        self.ch = MulticastChannel(4, slot_size=4)
        self.end = self.ch.add_receiver()
        self.sent = 0  # the handler's
        self.last = -1
        self.taken = 0

    def step(self):
        newest = self.sent - 1
        self.taken += self.end.skip_to_latest()
        m = self.end.recv_word()
        if m:
            value, priority, latency = m
            assert value > self.last, "doubled or out of order"
            assert value >= newest, "the newest was dropped"
            self.last = value
            self.taken += 1
        else:
            assert newest <= self.last, "the newest was dropped"

    def handle(self):
        if self.ch.send_word(self.sent, NORMAL):
            self.sent += 1

    def check(self):
        while self.end.recv_word():
            self.taken += 1
        assert self.taken == self.sent == self.end.received, "lost or doubled"


class Receivers(Party):
    """add_receiver and close by both, and a send in between."""

    def __init__(self):
        Party.__init__(self)
        self.ch = MulticastChannel(4, slot_size=4, max_receivers=3)
        self.all_along = self.ch.add_receiver()
        self.sent = [0, 0]
        self.got = 0

    def visit(self, who):
        end = self.ch.add_receiver(str(who))
        assert end.id and end.received == 0, "the place of another"
        number = (self.sent[who] << 1 | who) & _MASK
        self.ch.send_word(number, HIGH)
        self.sent[who] += 1
        found = 0
        while m := end.recv_word():
            value, priority, latency = m
            found += value == number
        assert found == 1 or (not found and end.dropped), "lost, doubled or another's"
        end.close()

    def step(self):
        self.visit(0)
        while self.all_along.recv_word():
            self.got += 1

    def handle(self):
        self.visit(1)

    def check(self):
        while self.all_along.recv_word():
            self.got += 1
        assert self.ch.receivers == [self.all_along], "a receiver is left"
        assert self.got + self.all_along.dropped == sum(self.sent), "lost or doubled"


PARTIES = {
    "sends": Sends,
    "requests": Requests,
    "calls": Calls,
    "results": Results,
    "stats": Stats,
    "latest": Latest,
    "receivers": Receivers,
}


class _Sweep:
    # Lets the handler run at the point-th place of the task's step where the scheduler runs.

    def __init__(self, party):
        self.party = party
        self.left = 0  # places to pass by
        self.wrong = None
        self.tick = self._tick  # a bound method as a value is a new object
        self.acts = False

    def _tick(self, arg):
        if self.left:
            self.left -= 1
            micropython.schedule(self.tick, None)  # at the next place
        elif self.acts:
            self.acts = False
            try:
                self.party.handler(arg)
            except Exception as error:  # which the scheduler would only print
                self.wrong = error

    def step(self, point):
        """Make a step of the task; return whether the handler ran before it ended."""
        party = self.party
        before = party.handled
        self.left = point
        self.acts = True
        micropython.schedule(self.tick, None)
        party.task()
        ran = party.handled > before
        self.acts = False
        while self.left:
            pass  # the scheduler comes between bytecodes
        if self.wrong is not None:
            raise self.wrong
        return ran


def visit(party, rounds):
    """Let the handler come at every place of a step where the scheduler runs, so many times.

    Return the number of handlers that came within a step.
    """
    meeting = _Sweep(party)
    visited = 0
    for _ in range(rounds):
        point = 0
        while meeting.step(point):
            point += 1
        visited += point
    party.check()
    return visited


def sweep(name, rounds):
    """Print what visit() returns for the party of that name."""
    print(visit(PARTIES[name](), rounds))


def _run(party, times, ask):
    # `ask(party)` until it is told to stop, in a thread; the task here.
    import _thread

    state = [True, True]
    errors = []

    def work():
        try:
            while state[0]:
                ask(party)
        except Exception as error:
            errors.append(error)
        state[1] = False

    _thread.start_new_thread(work, ())
    end = time.ticks_add(time.ticks_ms(), PATIENCE_MS)
    try:
        while party.steps < times or party.handled < times:
            party.task()
            assert not errors, "in the thread: %r" % errors[0]
            assert time.ticks_diff(end, time.ticks_ms()) > 0, "no end"
    finally:
        state[0] = False
        while state[1]:
            time.sleep_ms(1)
    for _ in range(2):
        time.sleep_ms(1)  # what is scheduled still runs
    assert not errors, "in the thread: %r" % errors[0]
    party.check()
    print(party.steps, party.handled)


def storm(name, times=1000):
    """Let a thread ask for the soft handler as fast as it can; the task runs meanwhile."""
    party = PARTIES[name]()
    # An error of a scheduled function is only printed, so it is kept.
    wrong = []

    def handler(arg):
        if not wrong:
            try:
                party.handler(arg)
            except Exception as error:
                wrong.append(error)

    def ask(party):
        try:
            micropython.schedule(handler, None)
        except RuntimeError:
            pass  # it has enough to do
        if wrong:
            raise wrong[0]

    _run(party, times, ask)


def threads(name, times=1000):
    """Let the handler be a thread, under a GIL."""
    run_threads(PARTIES[name](), times)


def run_threads(party, times):
    """Let the handler of a party be a thread, under a GIL."""
    assert sys.implementation._thread == "GIL", "these threads need a GIL"

    def ask(party):
        party.handler(None)

    _run(party, times, ask)
