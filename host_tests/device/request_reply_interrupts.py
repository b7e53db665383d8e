"""A hard handler as the server or as the client meets the other side's verb: see meetings.py."""

import micropython
from meetings import CAPACITY, SIZE, WORDS, Meeting, call_1, call_2, call_3
from payload import stamp, stamped
from ringlane import RequestReplyChannel


class Exchange(Meeting):
    """`task`, a verb of a task, interrupted by `handler`, what a hard handler does.

    Tasks: send_request, recv_response, cancel; recv_request, send_response, send_status.
    Handlers: serve (recv_request and send_response), answer (send_response to what was read
    before); ask (send_request), take (recv_response), cancel, reuse (cancel and send_request).

    A reply is its request, sent back from the buffer that it was read into.
    """

    def __init__(self, task, handler):
        self.channel = ch = RequestReplyChannel(CAPACITY, slot_size=SIZE)
        self.task = task
        self.handler = handler
        self.of_client = task in ("send_request", "recv_response", "cancel")
        self.number = self.dropped = self.late = self.answered = 0
        self.request = request = bytearray(SIZE)
        self.taken = taken = bytearray(SIZE)
        self.read = read = bytearray(SIZE)
        self.status = 7 if task == "send_status" else 0  # of the task's reply
        # The handler's: whether it ran, the id it got or was given, what came of it, its status.
        self.seen = seen = [0, 0, 0, 0]
        send_request, recv_response, cancel = ch.send_request, ch.recv_response, ch.cancel
        recv_request, send_response = ch.recv_request, ch.send_response

        # Each closes over few enough cells to be called without allocating.
        def serve(pin):
            m = recv_request(read)
            seen[0] = 1
            if m:
                seen[1] = m[1]
                seen[2] = send_response(m[1], read)

        def answer(pin):
            seen[0] = 1
            seen[2] = send_response(seen[1], read)

        def ask(pin):
            seen[0] = 1
            seen[1] = send_request(request)

        def take(pin):
            seen[0] = 1
            m = recv_response(seen[1], taken)
            seen[2] = m[0] if m else -1
            seen[3] = m[1] if m else 0

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
        self.handle(handlers[handler])

    @micropython.native
    def _ask(self, outstanding):
        # A request of the client, in the dict {id: its number}.
        number = self.number + 1
        self.number = number
        stamp(self.request, number, WORDS)
        id = self.channel.send_request(self.request)
        assert id and id not in outstanding, "id doubled"
        outstanding[id] = number
        return id

    @micropython.native
    def _check(self, buf, size, number):
        found = stamped(buf, WORDS)
        right = found == number and size == SIZE
        assert right, "torn or of another request: %d is not %d" % (found, number)

    @micropython.native
    def _take(self, outstanding, id, status=0):
        # The reply is there, with that status.
        m = self.channel.recv_response(id, self.taken)
        assert m is not None, "lost: a reply"
        assert m[1] == status, "torn: status %d is not %d" % (m[1], status)
        self._check(self.taken, m[0], outstanding.pop(id))
        self.answered += 1

    @micropython.native
    def _finish(self, outstanding, held, given_up):
        # The server serves all that is left, the client takes all: nothing is lost or doubled.
        ch, read = self.channel, self.read
        recv_request, send_response = ch.recv_request, ch.send_response
        while True:
            m = recv_request(read)
            if m is None:
                break
            id = m[1]
            assert id in outstanding and id not in held, "doubled"
            self._check(read, m[0], outstanding[id])
            held.append(id)
        for id in held:
            stamp(read, outstanding.get(id, 0), WORDS)
            sent = send_response(id, read)
            assert sent == (id in outstanding), "accepted or rejected wrongly"
            if not sent:
                self.late += 1
        for id in given_up:
            assert send_response(id, read) is False, "accepted, and it was given up"
            self.late += 1
        for id in list(outstanding):
            self._take(outstanding, id)

    def trial(self, level):
        """Call the task's verb with `level` requests before; return whether it was hit."""
        return self._client(level) if self.of_client else self._server(level)

    @micropython.native
    def _client(self, level):
        ch, seen, task = self.channel, self.seen, self.task
        answers = self.handler == "answer"
        outstanding, held, given_up = {}, [], []
        seen[0] = seen[1] = seen[2] = 0
        for _ in range(level):
            self._ask(outstanding)
        if answers:
            # Read before; if the task sends, the client has given it up and uses its entry again.
            if not level:
                self._ask(outstanding)
            m = ch.recv_request(self.read)
            id = seen[1] = m[1]
            self._check(self.read, m[0], outstanding[id])
            held.append(id)
            if task == "send_request":
                ch.cancel(id)
                del outstanding[id]
                given_up.append(id)
        mine = 0
        if task == "send_request":
            number = self.number + 1
            self.number = number
            stamp(self.request, number, WORDS)
            mine = call_1(ch.send_request, self.request)
            if mine:
                assert mine not in outstanding, "id doubled"
                outstanding[mine] = number
            else:
                assert len(outstanding) == CAPACITY, "dropped with %d" % len(outstanding)
                self.dropped += 1
        else:
            mine = min(outstanding)
            number = outstanding[mine]
            if task == "recv_response":
                m = call_2(ch.recv_response, mine, self.taken)
                if m:
                    self._check(self.taken, m[0], number)
                    self.answered += 1
            else:
                m = call_1(ch.cancel, mine)
                assert m is True, "not outstanding"
                given_up.append(mine)
            if m:
                del outstanding[mine]
        ran = seen[0]
        id = seen[1]
        if ran and answers:
            if id in held:
                held.remove(id)
            if not seen[2]:
                assert id in given_up, "rejected, and it was outstanding"
                self.late += 1
            elif id in outstanding:
                self._take(outstanding, id)
        elif ran and id:
            if id in outstanding:
                self._check(self.read, SIZE, outstanding[id])
                assert seen[2], "rejected, and it was outstanding"
                self._take(outstanding, id)
            else:
                assert id == mine and task != "send_request", "a request that nobody sent"
                self._check(self.read, SIZE, number)
                if not seen[2]:
                    assert task == "cancel", "rejected, and it was outstanding"
                    self.late += 1
        if given_up and held:
            # _finish answers those once more, and must be rejected.
            held = [id for id in held if id not in given_up]
        self._finish(outstanding, held, given_up)
        return ran

    @micropython.native
    def _server(self, level):
        ch, seen, handler = self.channel, self.seen, self.handler
        reads = self.task == "recv_request"
        outstanding, held, given_up = {}, [], []
        seen[0] = seen[1] = seen[2] = 0
        for _ in range(level):
            seen[1] = self._ask(outstanding)
        asks = handler in ("ask", "reuse")
        if asks:
            self.number += 1
            stamp(self.request, self.number, WORDS)
        its = self.number
        before = dict(outstanding)  # ids that the handler gives up, too
        target = seen[1]
        if reads:
            m = call_1(ch.recv_request, self.read)
            got = m[1] if m else 0
            size = m[0] if m else 0
        else:
            m = ch.recv_request(self.read)
            got = m[1]
            self._check(self.read, m[0], outstanding[got])
            target = got
            if handler != "ask":
                seen[1] = got
            if self.status:
                sent = call_3(ch.send_status, got, self.read, self.status)
            else:
                sent = call_2(ch.send_response, got, self.read)
        ran = seen[0]
        if ran:
            new = 0
            if handler == "ask":
                new = seen[1]
            elif handler == "reuse":
                new = seen[2]
            if handler in ("cancel", "reuse"):
                if handler == "cancel":
                    assert seen[2] is True, "not outstanding"
                del outstanding[target]
                given_up.append(target)
            if new:
                assert new not in before, "id doubled"
                outstanding[new] = before[new] = its
            elif asks:
                assert level == CAPACITY, "dropped"
                self.dropped += 1
        if reads:
            if got:
                self._check(self.read, size, before[got])
                if got in outstanding:
                    held.append(got)
            else:
                assert not level or (ran and not outstanding), "lost"
        else:
            if not sent:
                assert got in given_up, "rejected, and it was outstanding"
                self.late += 1
            if ran and handler == "take" and seen[2] >= 0:
                assert sent, "taken, and never sent"
                self._check(self.taken, seen[2], outstanding.pop(got))
                assert seen[3] == self.status, "torn: status %d" % seen[3]
                self.answered += 1
            if got in outstanding:
                self._take(outstanding, got, self.status)
        self._finish(outstanding, held, given_up)
        return ran

    def check_counters(self):
        ch = self.channel
        assert ch.pending == 0 and len(ch) == 0 and ch.free() == CAPACITY, ch
        assert ch.late == self.late and ch.dropped == self.dropped, (ch, self.late, self.dropped)
        assert ch.answered == self.answered and ch.rejected == 0, (ch, self.answered)
