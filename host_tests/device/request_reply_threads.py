"""Threads without a GIL: this one is the client, another the server; every reply is checked.

Both sides run under a locked heap. The client keeps several requests outstanding and gives some
up; the server answers in another order than it was asked, and some requests much later, when the
client has long given them up and uses their entries for others.
"""

import _thread
import time

import micropython
import ringlane.waiting  # noqa: F401  before there are threads
from harness import PATIENCE_MS
from payload import fill, holds, pieces
from ringlane import RequestReplyChannel

_CAPACITY = 6
_SLOT = 48
_HELD = 3  # requests that the server keeps while it answers others
_OLD = 5  # ids that it answers once more


def size_of(number):
    return 4 + (number * 37 + (number >> 6)) % (_SLOT - 3)


def reply_size_of(number):
    return (number * 11 + (number >> 5)) % (_SLOT + 1)


def status_of(number):
    return (number * 5 + (number >> 7)) & 0xFF


def given_up(number):
    return number % 4 == 1


@micropython.viper
def _put_number(buf, number: int):
    data = ptr8(buf)
    for i in range(4):
        data[i] = number >> 8 * i


@micropython.viper
def _number(buf) -> int:
    data = ptr8(buf)
    return data[0] | data[1] << 8 | data[2] << 16 | data[3] << 24


def _breathe(idle):
    # The machine may have other work, and the other thread need this core.
    if not idle & 15:
        time.sleep_us(1)


class Server:
    """Answers in a thread of its own until told to stop; a request is `number` and a pattern."""

    def __init__(self, channel):
        self.done = self.stop = False
        self.torn = None
        self.read = 0  # requests
        self.empty = 0  # how often there was none
        self.accepted = 0  # replies
        self.rejected = 0  # replies that nobody waited for any more, or twice
        recv_request, send_status = channel.recv_request, channel.send_status
        buf = bytearray(_SLOT)
        views = pieces(_SLOT)
        ids, numbers = [0] * _HELD, [0] * _HELD
        old = [0] * _OLD

        def answer(id, number):
            size = reply_size_of(number)
            fill(views[size], number + 1, size)
            if send_status(id, views[size], status_of(number)):
                self.accepted += 1
            else:
                self.rejected += 1

        def run():
            micropython.heap_lock()
            turn = 0
            # The client begins once nothing was found; then it is let find no room.
            recv_request(buf)
            self.empty += 1
            while not channel.dropped and not self.stop:
                time.sleep_us(1)
            while not self.stop:
                m = recv_request(buf)
                if m is None:
                    self.empty += 1
                    _breathe(self.empty)
                    # What is kept is answered before the client can run dry.
                    turn = (turn + 1) % _HELD
                    if ids[turn]:
                        answer(ids[turn], numbers[turn])
                        ids[turn] = 0
                    continue
                size, id, _ = m
                number = _number(buf)
                fill_from = views[size]
                fill(fill_from, number, size)
                _put_number(fill_from, number)
                if size != size_of(number) or not _same(buf, fill_from, size):
                    self.torn = number
                    break
                self.read += 1
                at = number % _HELD
                if ids[at]:
                    answer(ids[at], numbers[at])
                ids[at], numbers[at] = id, number
                if number % 4 == 0:
                    # Once more, or for the first time if the server had dropped it: a reply to
                    # an id that is answered, taken, given up, or by now another request's.
                    at = number % _OLD
                    if old[at] and old[at] not in ids:
                        send_status(old[at], b"once more", 1) and self._fail(number)
                        self.rejected += 1
                    old[at] = id
            micropython.heap_unlock()
            self.done = True

        _thread.start_new_thread(run, ())

    def _fail(self, number):
        self.torn = number
        self.stop = True


@micropython.viper
def _same(a, b, size: int) -> bool:
    one, two = ptr8(a), ptr8(b)
    for i in range(size):
        if one[i] != two[i]:
            return False
    return True


def ask_all(channel, server, requests):
    """Make the requests; return (answered, given up, full, pending): counts of what was seen."""
    send_request, recv_response, cancel = (
        channel.send_request,
        channel.recv_response,
        channel.cancel,
    )
    buf = bytearray(_SLOT)
    views = pieces(_SLOT)
    ids, numbers = [0] * _CAPACITY, [0] * _CAPACITY
    outstanding = answered = cancelled = full = pending = number = 0
    wrong = None
    idle_since = time.ticks_ms()
    while not server.empty and time.ticks_diff(time.ticks_ms(), idle_since) < PATIENCE_MS:
        time.sleep_us(1)
    turn = 0
    micropython.heap_lock()
    try:
        while answered + cancelled < requests and wrong is None:
            if number < requests and outstanding < _CAPACITY:
                size = size_of(number)
                fill(views[size], number, size)
                _put_number(views[size], number)
                id = send_request(views[size])
                if id:
                    for at in range(_CAPACITY):
                        if ids[at] == id:
                            wrong = "id doubled"
                    at = 0
                    while ids[at]:
                        at += 1
                    ids[at], numbers[at] = id, number
                    outstanding += 1
                    number += 1
                    if not number & 3:
                        continue  # several at once, then one at a time
                else:
                    full += 1
            # Not in the order of sending.
            turn = (turn + 5) % _CAPACITY
            id = ids[turn]
            if not id:
                continue
            asked = numbers[turn]
            m = recv_response(id, buf)
            if m is None:
                pending += 1
                _breathe(pending)
                if given_up(asked) and number - asked > 1:
                    if not cancel(id) or cancel(id):
                        wrong = "not cancelled"
                    cancelled += 1
                elif time.ticks_diff(time.ticks_ms(), idle_since) > PATIENCE_MS or server.done:
                    wrong = "lost"
                    continue
                else:
                    continue
            else:
                size, status, _ = m
                if size != reply_size_of(asked) or status != status_of(asked):
                    wrong = "answered to the wrong id, or torn"
                elif not holds(buf, asked + 1, size):
                    wrong = "torn"
                answered += 1
            ids[turn] = 0
            outstanding -= 1
            idle_since = time.ticks_ms()
    finally:
        micropython.heap_unlock()
    if wrong or server.torn is not None:
        raise AssertionError(
            "%s: %r of %d, server at %r" % (wrong or "request torn", numbers, number, server.torn)
        )
    return answered, cancelled, full, pending


def main(requests):
    """Make so many requests; print what was seen, or raise AssertionError."""
    channel = RequestReplyChannel(_CAPACITY, slot_size=_SLOT)
    server = Server(channel)
    try:
        answered, cancelled, full, pending = ask_all(channel, server, requests)
        while len(channel):
            time.sleep_ms(1)
    finally:
        server.stop = True
        while not server.done:
            time.sleep_ms(1)
    assert server.torn is None, "torn or answered twice at %d" % server.torn
    assert answered + cancelled == requests and channel.answered == answered, channel
    assert channel.pending == 0 and channel.rejected == 0 and len(channel) == 0, channel
    assert channel.dropped == full, channel
    assert channel.late == server.rejected, (channel, server.rejected)
    assert channel.sent == channel.received == requests, channel
    assert answered <= server.read <= requests, (answered, server.read)
    stats = channel.stats()
    assert stats.count == answered and stats.p50_latency <= stats.max_latency, stats
    print(
        "requests %d answered %d given up %d full %d pending %d empty %d late %d"
        % (requests, answered, cancelled, full, pending, server.empty, server.rejected)
    )


def calls(count):
    """call_wait here, serve_wait in another thread; print what was seen."""
    channel = RequestReplyChannel(2, slot_size=_SLOT, name="two threads")
    served = []

    def handler(request):
        number = int(bytes(request))
        if number % 5 == 0:
            return number % 256
        if number % 5 == 1:
            return None
        reply = b"%d" % (number * 3)
        return reply if number % 5 == 2 else (number % 256, reply)

    def run():
        channel.serve_wait(handler)
        served.append(True)

    _thread.start_new_thread(run, ())
    buf = bytearray(_SLOT)
    try:
        for number in range(count):
            size, status, _ = channel.call_wait(b"%d" % number, buf, PATIENCE_MS)
            text = b"%d" % (number * 3) if number % 5 > 1 else b""
            assert bytes(buf[:size]) == text, (number, bytes(buf[:size]))
            assert status == (0 if number % 5 in (1, 2) else number % 256), (number, status)
    finally:
        channel.close()
        for _ in range(PATIENCE_MS):
            if served:
                break
            time.sleep_ms(1)
    assert served, "serve_wait does not end on close"
    assert channel.answered == count and channel.pending == 0, channel
    assert channel.dropped == channel.rejected == channel.late == 0, channel
    print("calls", count)
