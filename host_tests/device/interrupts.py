"""A hard interrupt at a chosen cycle of a verb, on an RP2040.

The host raises the handler's pin so many cycles after the marker pin has risen, which is on the
instruction before the task calls its verb; the marker falls on the one after. Meeting.run() makes
one trial for each rise and checks it: nothing lost, torn, doubled or out of order, whatever the
handler interrupted.
"""

from array import array

import micropython
from machine import Pin
from payload import fill, holds
from ringlane import NORMAL, PriorityChannel

MARKER = 2
HANDLER = 3
CAPACITY = 2
SIZE = 20  # a message: the unrolled copy, and a rest

_marker = Pin(MARKER, Pin.OUT, value=0)
_pin = Pin(HANDLER, Pin.IN)

# The marker by the set and clear registers of the chip's GPIO, 1 << MARKER.


@micropython.viper
def _call_2(verb, first, second):
    ptr32(int(0xD0000014))[0] = 4
    outcome = verb(first, second)
    ptr32(int(0xD0000018))[0] = 4
    return outcome


@micropython.viper
def _call_1(verb, first):
    ptr32(int(0xD0000014))[0] = 4
    outcome = verb(first)
    ptr32(int(0xD0000018))[0] = 4
    return outcome


@micropython.viper
def _call_0(verb):
    ptr32(int(0xD0000014))[0] = 4
    outcome = verb()
    ptr32(int(0xD0000018))[0] = 4
    return outcome


@micropython.viper
def _usb_interrupt(on: int):
    # The interrupt of the USB port, number 5, enabled or disabled: its task runs between the
    # bytecodes of a trial, and on an emulator it takes most of the time.
    ptr32(int(0xE000E100) if on else int(0xE000E180))[0] = 1 << 5


class Meeting:
    """`task`, a verb of a task, interrupted by `handler`, one of a hard handler."""

    def __init__(self, task, handler):
        self.channel = ch = PriorityChannel(CAPACITY, slot_size=SIZE, senders=2)
        self.task = task
        self.handler = handler
        self.words = "word" in task
        self.sends = task[:4] == "send", handler[:4] == "send"
        # Two sending contexts have a lane each; a receiver meets the sender of the lane it reads.
        own = ch.add_sender() if self.sends[0] == self.sends[1] else ch
        self.verb = getattr(ch, task)
        self.sent = bytearray(SIZE)
        self.received = bytearray(SIZE)
        self.number = 0
        self.dropped = 0
        self.handler_sent = bytearray(SIZE)
        self.handler_received = bytearray(SIZE)
        self.task_array = array("i", [0] * 4)
        self.handler_array = array("i", [0] * 4)
        self.seen = seen = [None, 0]  # the handler's outcome, and its word's value
        verb = getattr(own, handler)
        if handler == "send":
            argument = self.handler_sent
        elif handler == "recv":
            argument = self.handler_received
        else:
            argument = self.handler_array

        # Each closes over few enough cells to be called without allocating.
        def on_send(pin):
            seen[0] = verb(argument, NORMAL)

        def on_send_word(pin):
            seen[0] = verb(argument[0], NORMAL)

        def on_recv(pin):
            seen[0] = verb(argument) is not None

        def on_recv_word(pin):
            m = verb()
            seen[0] = m is not None
            if m:
                argument[0] = m[0]

        def on_recv_words(pin):
            seen[0] = verb(argument)

        handlers = {
            "send": on_send,
            "send_word": on_send_word,
            "recv": on_recv,
            "recv_word": on_recv_word,
            "recv_words": on_recv_words,
        }
        _pin.irq(handlers[handler], Pin.IRQ_RISING, hard=True)

    @micropython.native
    def trial(self, level):
        """Call the task's verb on a lane of `level` messages; return whether it was hit."""
        ch, seen, words, task = self.channel, self.seen, self.words, self.task
        expected = []
        number = self.number
        for _ in range(level):
            number += 1
            fill(self.sent, number, SIZE)
            ch.send_word(number, NORMAL) if words else ch.send(self.sent, NORMAL)
            expected.append(number)
        mine, its = number + 1, number + 2
        self.number = its
        fill(self.sent, mine, SIZE)
        fill(self.handler_sent, its, SIZE)
        if self.handler == "send_word":
            self.handler_array[0] = its
        seen[0] = None
        if task == "send":
            outcome = _call_2(self.verb, self.sent, NORMAL)
        elif task == "send_word":
            outcome = _call_2(self.verb, mine, NORMAL)
        elif task == "recv":
            outcome = _call_1(self.verb, self.received) is not None
        elif task == "recv_words":
            outcome = _call_1(self.verb, self.task_array)
        else:
            m = _call_0(self.verb)
            outcome = m is not None
            if m:
                self.task_array[0] = m[0]
        ran = seen[0] is not None
        # What was queued, in the order of the lane, and what the two received of it.
        sends = self.sends
        queued = 0
        if sends[0]:
            queued += self._add(outcome, mine, expected, level)
        if ran and sends[1]:
            queued += self._add(seen[0], its, expected, level)
        if not sends[0]:
            self._take(outcome, expected, task == "recv", self.received, self.task_array)
        if ran and not sends[1]:
            by_bytes = self.handler == "recv"
            self._take(seen[0], expected, by_bytes, self.handler_received, self.handler_array)
        while True:
            m = ch.recv_word() if words else ch.recv(self.received)
            if not m:
                break
            if queued == 2 and len(expected) == 2:
                # Two senders: their lanes are merged by age.
                if m[0] == its if words else holds(self.received, its, SIZE):
                    expected.reverse()
            self._check(expected, not words, self.received, m[0])
        assert not expected, "lost: %r" % expected
        return ran

    @micropython.native
    def _add(self, outcome, number, expected, level):
        # Whether the message `number` was sent.
        if outcome:
            expected.append(number)
            return 1
        assert level == CAPACITY, "dropped at %d queued" % level
        self.dropped += 1
        return 0

    @micropython.native
    def _take(self, outcome, expected, by_bytes, buf, words):
        for i in range(int(outcome)):
            self._check(expected, by_bytes, buf, words[i])

    @micropython.native
    def _check(self, expected, by_bytes, buf, word):
        assert expected, "doubled"
        number = expected.pop(0)
        right = holds(buf, number, SIZE) if by_bytes else word == number
        assert right, "torn or out of order: %r is not message %d" % (buf or word, number)

    def run(self, level, rounds):
        """Make `rounds` trials at `level`; print "+" for each that was interrupted, else "-"."""
        marks = bytearray(rounds)
        _usb_interrupt(0)
        try:
            for i in range(rounds):
                marks[i] = ord("+" if self.trial(level) else "-")
        finally:
            _usb_interrupt(1)
        assert self.channel.dropped == self.dropped, "dropped and not counted"
        print(marks.decode())
