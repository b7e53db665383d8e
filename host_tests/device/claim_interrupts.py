"""A hard interrupt at a chosen cycle of a claim, a peek or a guarded verb, on an RP2040.

As interrupts.py, whose marker and run() these meetings use. A claim is claim, fill and commit, a
peek is peek, copy and release: the interrupt comes anywhere in that.
"""

import micropython
from interrupts import Meeting, _call_1, _pin
from machine import Pin
from payload import fill, holds
from ringlane import NORMAL, Channel, IrqGuard

CAPACITY = 2
SIZE = 20


@micropython.viper
def _copy(to, source, size: int):
    target = ptr8(to)
    data = ptr8(source)
    for i in range(size):
        target[i] = data[i]


class Party:
    """One context: `verb` of `end`, or of both its halves; keeps what came of it."""

    def __init__(self, end, verb):
        self.end = end
        self.buf = bytearray(SIZE)  # what it sends, or has received
        self.number = 0
        self.outcome = -1  # 1: sent or received, 0: not, -1: not run
        self.sends = verb in ("send", "claim")
        self.act = getattr(self, "_" + verb)

    def _send(self, pin):
        self.outcome = 1 if self.end.send(self.buf, NORMAL) else 0

    def _claim(self, pin):
        view = self.end.claim(NORMAL)
        if view is None:
            self.outcome = 0
        else:
            fill(view, self.number, SIZE)
            self.outcome = 1 if self.end.commit(NORMAL, SIZE) else 0

    def _recv(self, pin):
        self.outcome = 1 if self.end.recv(self.buf) else 0

    def _peek(self, pin):
        end = self.end
        self.outcome = 0
        if end.peek():
            _copy(self.buf, end.view, SIZE)
            self.outcome = 1 if end.release() else 0


class Claims(Meeting):
    """`task`, a party in a task, interrupted by `handler`, one in a hard handler.

    `shared`: what the two contexts share, "" (nothing: two senders, or a sender and a receiver),
    "guard" (one sender or the receiver, under an IrqGuard) or "bare" (the same without). With
    `hard` False the handler is a soft one: asked for at that cycle, run by the scheduler.
    """

    def __init__(self, task, handler, shared="", hard=True):
        senders = (
            2 if not shared and task in ("send", "claim") and handler in ("send", "claim") else 1
        )
        guard = IrqGuard() if shared == "guard" else None
        self.channel = ch = Channel(
            CAPACITY,
            SIZE,
            senders,
            guard=guard,
            recv_guard=guard,
            views=not shared,
        )
        other = ch
        if senders == 2:
            other = ch.add_sender()
        elif shared == "guard" and handler == "recv":
            other = ch.add_receiver()
        self.task = Party(ch, task)
        self.handler = Party(other, handler)
        self.received = bytearray(SIZE)
        self.number = 0
        self.dropped = 0
        _pin.irq(self.handler.act, Pin.IRQ_RISING, hard=hard)

    def trial(self, level):
        """Let the task act on a lane of `level` messages; return whether it was interrupted."""
        ch, task, handler = self.channel, self.task, self.handler
        expected = []
        number = self.number
        for _ in range(level):
            number += 1
            fill(self.received, number, SIZE)
            ch.send(self.received, NORMAL)
            expected.append(number)
        for party in (task, handler):
            number += 1
            party.number = number
            party.outcome = -1
            fill(party.buf, number, SIZE)
        self.number = number
        _call_1(task.act, None)
        for _ in range(2):
            pass  # the scheduler comes between: a soft handler runs here
        got = []
        for party in (task, handler):
            if party.sends and party.outcome == 1:
                expected.append(party.number)
            elif party.sends and party.outcome == 0:
                assert level == CAPACITY, "dropped at %d queued" % level
                self.dropped += 1
        for party in (task, handler):
            if not party.sends and party.outcome == 1:
                got.append(self._which(expected, party.buf))
        taken = len(got)
        while ch.recv(self.received):
            got.append(self._which(expected, self.received))
        assert len(set(got)) == len(got), "doubled: %r" % got
        assert len(got) == len(expected), "lost: %r of %r" % (got, expected)
        before = [number for number in got[taken:] if number in expected[:level]]
        assert before == sorted(before), "out of order: %r" % got
        return handler.outcome >= 0

    def _which(self, expected, buf):
        for number in expected:
            if holds(buf, number, SIZE):
                return number
        raise AssertionError("torn: %r is none of %r" % (buf, expected))
