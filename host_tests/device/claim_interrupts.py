"""A hard or soft handler meets a task at a claim, a peek or a guarded verb: see meetings.py.

A claim is claim, stamp and commit, a peek is peek, copy and release: the interrupt comes anywhere
in that.
"""

import micropython
from meetings import CAPACITY, SIZE, WORDS, Meeting, call_1
from payload import stamp, stamped
from ringlane import NORMAL, Channel, IrqGuard


@micropython.viper
def _copy(to, source, words: int):
    target = ptr32(to)
    data = ptr32(source)
    for i in range(words):
        target[i] = data[i]


class Party:
    """One context: `verb` of `end`, or of both its halves; keeps what came of it.

    `buf` is what it sends, or has received.
    """

    def __init__(self, end, verb, buf):
        self.end = end
        self.buf = buf
        self.number = 0
        self.outcome = -1  # 1: sent or received, 0: not, -1: not run
        self.sends = verb in ("send", "claim")
        self.act = getattr(self, "_" + verb)

    @micropython.native
    def _send(self, pin):
        self.outcome = 1 if self.end.send(self.buf, NORMAL) else 0

    @micropython.native
    def _claim(self, pin):
        view = self.end.claim(NORMAL)
        if view is None:
            self.outcome = 0
        else:
            stamp(view, self.number, WORDS)
            self.outcome = 1 if self.end.commit(NORMAL, SIZE) else 0

    @micropython.native
    def _recv(self, pin):
        self.outcome = 1 if self.end.recv(self.buf) else 0

    @micropython.native
    def _peek(self, pin):
        end = self.end
        self.outcome = 0
        if end.peek():
            _copy(self.buf, end.view, WORDS)
            self.outcome = 1 if end.release() else 0


class Claims(Meeting):
    """`task`, a party in a task, interrupted by `handler`, one in a hard handler.

    `shared`: what the two contexts share, "" (nothing: two senders, or a sender and a receiver),
    "guard" (one sender or the receiver, under an IrqGuard) or "bare" (the same without). With
    `hard` False the handler is a soft one: asked for at that cycle, run by the scheduler.
    """

    def __init__(self, task, handler, shared="", hard=True):
        sends = task in ("send", "claim"), handler in ("send", "claim")
        senders = 2 if not shared and all(sends) else 1
        guard = IrqGuard() if shared == "guard" else None
        self.channel = ch = Channel(
            CAPACITY,
            SIZE,
            senders,
            send_guard=guard,
            recv_guard=guard,
            zero_copy=not shared,
        )
        other = ch
        if senders == 2:
            other = ch.add_sender()
        elif shared == "guard" and handler == "recv":
            other = ch.add_receiver()
        # What the task and the handler share, they use with a buffer each.
        buffers = [bytearray(SIZE) for _ in range(3)]
        self.sent, self.received, handler_buf = buffers
        task_buf = self.sent if sends[0] else self.received
        if sends[0] != sends[1]:
            handler_buf = self.sent if sends[1] else self.received
        self.task = Party(ch, task, task_buf)
        self.handler = Party(other, handler, handler_buf)
        self.one_lane = senders == 1
        self.number = 0
        self.dropped = 0
        self.handle(self.handler.act, hard)

    @micropython.native
    def trial(self, level):
        """Let the task act on a lane of `level` messages; return whether it was interrupted."""
        ch, task, handler = self.channel, self.task, self.handler
        sent, received = self.sent, self.received
        expected = []
        number = self.number
        fill = ch.send
        for _ in range(level):
            number += 1
            stamp(sent, number, WORDS)
            fill(sent, NORMAL)
            expected.append(number)
        for party in (task, handler):
            number += 1
            party.number = number
            party.outcome = -1
            if party.sends:
                stamp(party.buf, number, WORDS)
        self.number = number
        call_1(task.act, None)
        self._let_soft_handlers_run()
        senders = [party for party in (task, handler) if party.sends and party.outcome >= 0]
        queued = [party.number for party in senders if party.outcome == 1]
        if len(queued) < len(senders):
            # Full: by what was there, or on the one lane that they share by the other's message.
            room = CAPACITY - level - (len(queued) if self.one_lane else 0)
            assert not room, "dropped at %d" % level
            self.dropped += len(senders) - len(queued)
        expected += queued
        for party in (task, handler):
            if not party.sends and party.outcome == 1:
                self._find(stamped(party.buf, WORDS), expected)
        drain = ch.recv
        last = 0
        while drain(received):
            found = stamped(received, WORDS)
            self._find(found, expected)
            if found < task.number:  # what was there before; of the two since, any is the first
                assert found > last, "out of order: %d after %d" % (found, last)
                last = found
        assert not expected, "lost: %r" % expected
        return handler.outcome >= 0

    @micropython.native
    def _find(self, found, expected):
        assert found in expected, "torn or doubled: %d is none of %r" % (found, expected)
        expected.remove(found)

    def _let_soft_handlers_run(self):
        for _ in range(2):
            pass  # the scheduler comes between bytecodes

    def check_counters(self):
        assert self.channel.dropped == self.dropped, "dropped and not counted"
