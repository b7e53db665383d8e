"""A hard handler as the server or as the client, at a chosen cycle of the other side's verb.

As interrupts.py, whose pins and marker these are: the host raises the handler's pin so many cycles
after the marker pin has risen, which is on the instruction before the task calls its verb.
"""

import micropython
from interrupts import _call_1, _call_2, _pin, _usb_interrupt
from machine import Pin
from payload import fill, holds
from ringlane import RequestReplyChannel

CAPACITY = 2
SIZE = 20


@micropython.viper
def _number(buf) -> int:
    # What fill() begins its messages with is not enough to tell thousands apart: this is.
    data = ptr8(buf)
    return data[20] | data[21] << 8 | data[22] << 16


@micropython.viper
def _put_number(buf, number: int):
    data = ptr8(buf)
    data[20] = number
    data[21] = number >> 8
    data[22] = number >> 16


def _write(buf, number):
    fill(buf, number, SIZE)
    _put_number(buf, number)


def _check(buf, size, number):
    right = size == SIZE + 3 and _number(buf) == number and holds(buf, number, SIZE)
    assert right, "torn or of another request: %r is not %d" % (buf, number)


class Meeting:
    """`task`, a verb of a task, interrupted by `handler`, what a hard handler does.

    Tasks: send_request, recv_response, cancel; recv_request, send_response. Handlers: serve
    (recv_request and send_response), answer (send_response to what was read before); ask
    (send_request), take (recv_response), cancel, reuse (cancel and send_request).
    """

    def __init__(self, task, handler):
        self.channel = ch = RequestReplyChannel(CAPACITY, slot_size=SIZE + 3)
        self.task = task
        self.handler = handler
        self.number = self.dropped = self.late = self.answered = 0
        self.request = bytearray(SIZE + 3)  # the task's
        self.reply = bytearray(SIZE + 3)
        self.taken = bytearray(SIZE + 3)
        self.read = bytearray(SIZE + 3)
        self.handler_request = bytearray(SIZE + 3)
        self.handler_reply = bytearray(SIZE + 3)
        self.handler_taken = bytearray(SIZE + 3)
        self.handler_read = bytearray(SIZE + 3)
        # The handler's outcomes: whether it ran, the id it got or was given, and what came.
        self.seen = seen = [0, 0, 0]
        send_request, recv_response, cancel = ch.send_request, ch.recv_response, ch.cancel
        recv_request, send_response = ch.recv_request, ch.send_response
        request, reply = self.handler_request, self.handler_reply
        taken, read = self.handler_taken, self.handler_read

        # Each closes over few enough cells to be called without allocating.
        def serve(pin):
            m = recv_request(read)
            seen[0] = 1
            if m:
                seen[1] = m[1]
                seen[2] = send_response(m[1], read)

        def answer(pin):
            seen[0] = 1
            seen[2] = send_response(seen[1], reply)

        def ask(pin):
            seen[0] = 1
            seen[1] = send_request(request)

        def take(pin):
            seen[0] = 1
            m = recv_response(seen[1], taken)
            seen[2] = m[0] if m else -1

        def give_up(pin):
            seen[0] = 1
            seen[2] = cancel(seen[1])

        def reuse(pin):
            seen[0] = 1
            cancel(seen[1])
            seen[2] = send_request(request)

        handlers = {
            "serve": serve,
            "answer": answer,
            "ask": ask,
            "take": take,
            "cancel": give_up,
            "reuse": reuse,
        }
        _pin.irq(handlers[handler], Pin.IRQ_RISING, hard=True)

    def _ask(self, outstanding):
        # A request of the client, in the dict {id: its number}.
        self.number += 1
        _write(self.request, self.number)
        id = self.channel.send_request(self.request)
        assert id and id not in outstanding, "id doubled"
        outstanding[id] = self.number
        return id

    def _finish(self, outstanding, held, given_up):
        # The server serves all that is left, the client takes all: nothing is lost or doubled.
        ch = self.channel
        while (m := ch.recv_request(self.read)) is not None:
            size, id, _ = m
            assert id in outstanding and id not in held, "doubled"
            _check(self.read, size, outstanding[id])
            held.append(id)
        for id in held:
            _write(self.reply, outstanding.get(id, 0))
            sent = ch.send_response(id, self.reply)
            assert sent == (id in outstanding), "accepted or refused wrongly"
            if not sent:
                self.late += 1
        for id in given_up:
            assert ch.send_response(id, self.reply) is False
            self.late += 1
        for id in outstanding:
            m = ch.recv_response(id, self.taken)
            assert m is not None, "lost: request %d" % outstanding[id]
            _check(self.taken, m[0], outstanding[id])
            self.answered += 1
        assert ch.pending == 0 and len(ch) == 0 and ch.free() == CAPACITY, ch
        assert ch.late == self.late and ch.dropped == self.dropped, (ch, self.late, self.dropped)
        assert ch.answered == self.answered and ch.refused == 0, (ch, self.answered)

    def trial(self, level):
        """Call the task's verb with `level` requests before; return whether it was hit."""
        if self.task in ("send_request", "recv_response", "cancel"):
            return self._client(level)
        return self._server(level)

    def _client(self, level):
        ch, seen = self.channel, self.seen
        outstanding, held, given_up = {}, [], []
        seen[0] = seen[1] = seen[2] = 0
        for _ in range(level):
            self._ask(outstanding)
        if self.handler == "answer":
            # Read before; if the task sends, the client has given it up and uses its entry again.
            if not level:
                self._ask(outstanding)
            size, id, _ = ch.recv_request(self.read)
            _check(self.read, size, outstanding[id])
            seen[1] = id
            _write(self.handler_reply, outstanding[id])
            held.append(id)
            if self.task == "send_request":
                ch.cancel(id)
                del outstanding[id]
                given_up.append(id)
        mine = 0
        if self.task == "send_request":
            self.number += 1
            _write(self.request, self.number)
            mine = _call_1(ch.send_request, self.request)
            if mine:
                assert mine not in outstanding, "id doubled"
                outstanding[mine] = self.number
            else:
                assert len(outstanding) == CAPACITY, "dropped with %d" % len(outstanding)
                self.dropped += 1
        else:
            mine = min(outstanding)
            number = outstanding[mine]
            if self.task == "recv_response":
                m = _call_2(ch.recv_response, mine, self.taken)
                if m:
                    _check(self.taken, m[0], number)
                    self.answered += 1
            else:
                m = _call_1(ch.cancel, mine)
                assert m is True, "not outstanding"
                given_up.append(mine)
            if m:
                del outstanding[mine]
        ran = seen[0]
        if ran and self.handler == "answer":
            id = seen[1]
            if id in held:
                held.remove(id)
            if not seen[2]:
                assert id in given_up, "refused, and it was outstanding"
                self.late += 1
            elif id in outstanding:
                self._take(outstanding, id)
        elif ran and seen[1]:
            id = seen[1]
            if id in outstanding:
                _check(self.handler_read, SIZE + 3, outstanding[id])
                assert seen[2], "refused, and it was outstanding"
                self._take(outstanding, id)
            else:
                assert id == mine and self.task != "send_request", "a request that nobody sent"
                _check(self.handler_read, SIZE + 3, number)
                if not seen[2]:
                    assert self.task == "cancel", "refused, and it was outstanding"
                    self.late += 1
        if self.handler == "answer" and self.task == "send_request":
            # Whatever is held was given up before: _finish answers it once more.
            held = []
        elif given_up and held:
            held = [id for id in held if id not in given_up]
        self._finish(outstanding, held, given_up)
        return ran

    def _take(self, outstanding, id):
        # The reply that the handler sent is there.
        m = self.channel.recv_response(id, self.taken)
        assert m is not None, "lost: a reply"
        _check(self.taken, m[0], outstanding[id])
        self.answered += 1
        del outstanding[id]

    def _server(self, level):
        ch, seen = self.channel, self.seen
        outstanding, held, given_up = {}, [], []
        seen[0] = seen[1] = seen[2] = 0
        for _ in range(level):
            seen[1] = self._ask(outstanding)
        if self.handler in ("ask", "reuse"):
            self.number += 1
            _write(self.handler_request, self.number)
        its = self.number
        before = dict(outstanding)  # ids that the handler gives up, too
        target = seen[1]
        if self.task == "recv_request":
            m = _call_1(ch.recv_request, self.read)
            got = m[1] if m else 0
            size = m[0] if m else 0
        else:
            m = ch.recv_request(self.read)
            got = m[1]
            _check(self.read, m[0], outstanding[got])
            target = got
            if self.handler != "ask":
                seen[1] = got
            _write(self.reply, outstanding[got])
            sent = _call_2(ch.send_response, got, self.reply)
        ran = seen[0]
        if ran:
            new = 0
            if self.handler == "ask":
                new = seen[1]
            elif self.handler == "reuse":
                new = seen[2]
            if self.handler in ("cancel", "reuse"):
                if self.handler == "cancel":
                    assert seen[2] is True, "not outstanding"
                del outstanding[target]
                given_up.append(target)
            if new:
                assert new not in before, "id doubled"
                outstanding[new] = before[new] = its
            elif self.handler in ("ask", "reuse"):
                assert level == CAPACITY, "dropped"
                self.dropped += 1
        if self.task == "recv_request":
            if got:
                _check(self.read, size, before[got])
                if got in outstanding:
                    held.append(got)
            else:
                assert not level or (ran and not outstanding), "lost"
        else:
            if not sent:
                assert got in given_up, "refused, and it was outstanding"
                self.late += 1
            if ran and self.handler == "take":
                if seen[2] >= 0:
                    assert sent, "taken, and never sent"
                    _check(self.handler_taken, seen[2], outstanding[got])
                    self.answered += 1
                    del outstanding[got]
            if got in outstanding:
                self._take(outstanding, got)
        self._finish(outstanding, held, given_up)
        return ran

    def run(self, level, rounds):
        """Make `rounds` trials at `level`; print "+" for each that was interrupted, else "-"."""
        marks = bytearray(rounds)
        _usb_interrupt(0)
        try:
            for i in range(rounds):
                marks[i] = ord("+" if self.trial(level) else "-")
        finally:
            _usb_interrupt(1)
        print(marks.decode())
