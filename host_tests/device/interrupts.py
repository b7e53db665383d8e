"""A hard handler meets a task on a PriorityChannel: see meetings.py.

Nothing is lost, torn, doubled or out of order, whatever the handler interrupted.
"""

from array import array

import micropython
from meetings import CAPACITY, SIZE, WORDS, Meeting, call_0, call_1, call_2, call_3
from payload import stamp, stamped
from ringlane import NORMAL, PriorityChannel


class Lane(Meeting):
    """`task`, a verb of a task, interrupted by `handler`, one of a hard handler."""

    def __init__(self, task, handler):
        self.channel = ch = PriorityChannel(CAPACITY, slot_size=SIZE, senders=2)
        self.task = task
        self.words = "word" in task
        self.at = task[-3:] == "_at"  # the task's message is stamped with its number
        self.unseen = task in ("skip", "clear")
        self.task_sends, self.handler_sends = task[:4] == "send", handler[:4] == "send"
        # Two sending contexts have a lane each; a receiver meets the sender of the lane it reads.
        self.both = both = self.task_sends and self.handler_sends
        own = ch.add_sender() if both else ch
        self.verb = getattr(ch, task)
        self.fill = ch.send_word if self.words else ch.send
        self.drain = ch.recv_word if self.words else ch.recv
        self.sent = bytearray(SIZE)
        self.received = received = bytearray(SIZE)
        self.array = words = array("i", [0] * 4)
        self.handler_sent = argument = bytearray(SIZE) if both else self.sent
        self.number = 0
        self.dropped = 0
        self.seen = seen = [None]  # the handler's outcome
        verb = getattr(own, handler)

        # Each closes over few enough cells to be called without allocating.
        def on_send(pin):
            seen[0] = verb(argument, NORMAL)

        def on_send_word(pin):
            seen[0] = verb(words[3], NORMAL)

        def on_recv(pin):
            seen[0] = verb(received) is not None

        def on_recv_word(pin):
            m = verb()
            seen[0] = m is not None
            if m:
                words[0] = m[0]

        def on_recv_words(pin):
            seen[0] = verb(words)

        handlers = {
            "send": on_send,
            "send_word": on_send_word,
            "recv": on_recv,
            "recv_word": on_recv_word,
            "recv_words": on_recv_words,
        }
        self.handle(handlers[handler])

    @micropython.native
    def trial(self, level):
        task, seen, words = self.task, self.seen, self.words
        sent, received = self.sent, self.received
        expected = []
        number = self.number
        fill = self.fill
        for _ in range(level):
            number += 1
            if words:
                fill(number, NORMAL)
            else:
                stamp(sent, number, WORDS)
                fill(sent, NORMAL)
            expected.append(number)
        mine = number + 1
        its = number + 2
        self.number = its
        if words:
            self.array[3] = its
        else:
            stamp(sent, mine if self.task_sends else its, WORDS)
            if self.both:
                stamp(self.handler_sent, its, WORDS)
        seen[0] = None
        if task == "send":
            outcome = call_2(self.verb, sent, NORMAL)
        elif task == "send_word":
            outcome = call_2(self.verb, mine, NORMAL)
        elif self.at:
            outcome = call_3(self.verb, mine if words else sent, NORMAL, mine)
        elif task == "recv":
            outcome = call_1(self.verb, received) is not None
        elif task == "recv_words":
            outcome = call_1(self.verb, self.array)
        elif task == "skip" or task == "clear":
            outcome = call_0(self.verb)
        else:
            m = call_0(self.verb)
            outcome = m is not None
            if m:
                self.array[0] = m[0]
        ran = seen[0] is not None
        # What was queued, in the order of the lane, and what the two received of it.
        if self.task_sends:
            self._add(outcome, mine, expected, level)
        if ran and self.handler_sends:
            self._add(seen[0], its, expected, level)
        if not self.task_sends:
            self._take(outcome, expected)
        elif ran and not self.handler_sends:
            self._take(seen[0], expected)
        drain = self.drain
        while True:
            m = drain() if words else drain(received)
            if not m:
                break
            got = m[0] if words else stamped(received, WORDS)
            if got == its and expected == [mine, its]:
                expected.reverse()  # two senders: their lanes are merged by age
            self._check(got, expected)
            if self.at:
                timestamp = self.channel.timestamp()
                assert (timestamp == mine) == (got == mine), "another's stamp: %d" % timestamp
        assert not expected, "lost: %r" % expected
        return ran

    @micropython.native
    def _add(self, outcome, number, expected, level):
        # Whether the message `number` was sent.
        if outcome:
            expected.append(number)
        else:
            assert level == CAPACITY, "dropped at %d queued" % level
            self.dropped += 1

    @micropython.native
    def _take(self, outcome, expected):
        for i in range(int(outcome)):
            if self.unseen:
                expected.pop(0)
            else:
                got = self.array[i] if self.words else stamped(self.received, WORDS)
                self._check(got, expected)

    @micropython.native
    def _check(self, got, expected):
        assert expected, "doubled: %d" % got
        number = expected.pop(0)
        assert got == number, "torn or out of order: %d is not message %d" % (got, number)

    def check_counters(self):
        assert self.channel.dropped == self.dropped, "dropped and not counted"
