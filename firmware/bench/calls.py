"""The bench's device part on single calls: what a program asks of a channel beside messages."""

import json
from collections import deque

import bench
from contenders import note
from ringlane import HIGH, NORMAL, PriorityChannel

QUEUED = 3
STAMP = 1234  # of the message received last


def kinds():
    """Return [(name, function, what it returns)], the first of one that does nothing."""
    ch, full, empty = (PriorityChannel(each, slot_size=16) for each in (8, 1, 8))
    ch.send_word_at(0, HIGH, STAMP)
    ch.recv_word()
    for number in range(QUEUED):
        ch.send_word(number, HIGH)
    queue = deque(range(QUEUED), 8)
    full.send_word(0, NORMAL)
    data, buf = bytes(16), bytearray(16)
    skip, clear = empty.skip, empty.clear

    def send_and(take):
        empty.send_word(1, NORMAL)
        return take()

    return (
        ("nothing", lambda: None, None),
        ("len(ch)", lambda: len(ch), QUEUED),
        ("len() of a deque", lambda: len(queue), QUEUED),
        ("ch.free(HIGH)", lambda: ch.free(HIGH), 8 - QUEUED),
        ("ch.free(), of every class", lambda: ch.free(), 8 - QUEUED),
        ("ch.received", lambda: ch.received, 1),
        ("ch.high_water", lambda: ch.high_water, QUEUED),
        ("ch.timestamp()", lambda: ch.timestamp(), STAMP),
        ("ch.send, the lane is full", lambda: full.send(data, NORMAL), False),
        ("ch.send_word, the lane is full", lambda: full.send_word(1, NORMAL), False),
        ("ch.recv, no message", lambda: empty.recv(buf), None),
        ("ch.recv_word, no message", lambda: empty.recv_word(), None),
        ("send_word, then ch.skip()", lambda: send_and(skip), True),
        ("send_word, then ch.clear()", lambda: send_and(clear), 1),
    )


class Call:
    """A contender that carries no message: the function in the measured loop."""

    carries = False

    def __init__(self, name, function, wanted):
        self.name, self.function, self.wanted = name, function, wanted

    def run(self, data, buf, order, repeat, ticks, last):
        function = self.function
        self.check(function())  # also of what the others have left behind
        start = ticks()
        for _ in range(repeat):
            for _ in order:
                result = function()
        end = ticks()
        note(last, start, end, None, 0, None, None)
        self.check(result)

    def check(self, result):
        if result is not self.wanted and result != self.wanted:
            raise bench.WrongResult("%s: %r, not %r" % (self.name, result, self.wanted))


def calls(repeat, rounds):
    """Measure each call in turn, `rounds` times; print the best of each."""
    fighters = [Call(*each) for each in kinds()]
    measure = bench.Bench(16)
    measure.free_run = 200  # as in sections.py
    best = measure.best(fighters, bench.ONE_CLASS, repeat, rounds)
    print(
        json.dumps(
            {
                "messages": len(bench.ONE_CLASS) * repeat,
                "empty_loop": best[0],
                "times": [(each.name, time) for each, time in zip(fighters, best)][1:],
                "allocated": [
                    (each.name, measure.allocated(each, bench.ONE_CLASS)) for each in fighters
                ],
            }
        )
    )
