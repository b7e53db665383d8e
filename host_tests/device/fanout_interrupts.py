"""A hard interrupt at a chosen cycle of a multicast or anycast verb, on an RP2040.

As interrupts.py, whose marker and run() these meetings use: two receivers, and a handler that
sends while a task sends too or receives.
"""

import ringlane
from interrupts import CAPACITY, SIZE, Meeting, _call_0, _call_1, _call_2, _pin
from machine import Pin
from payload import fill, holds
from ringlane import NORMAL, AnycastChannel, MulticastChannel


class Fanouts(Meeting):
    """`task`, a verb of a task, interrupted by a hard handler that sends.

    `rule`: "multicast", or the name of an anycast policy. The task receives at the second of the
    two receivers, which for AFFINITY_FIRST is the one of the handler's core.
    """

    def __init__(self, rule, task):
        self.multicast = rule == "multicast"
        if self.multicast:
            ch = MulticastChannel(CAPACITY, None, SIZE, 2, 2)
            self.ends = [ch.add_receiver(), ch.add_receiver()]
        else:
            ch = AnycastChannel(CAPACITY, getattr(ringlane, rule), SIZE, 2, 2)
            self.ends = [ch.add_receiver(None, 1), ch.add_receiver(None, 0)]
        self.channel = ch
        self.task = task
        self.words = words = "word" in task
        self.verb = getattr(ch if task[:4] == "send" else self.ends[1], task)
        sender = ch.add_sender() if task[:4] == "send" else ch
        self.number = 0
        self.dropped = 0
        self.sent = bytearray(SIZE)
        self.received = bytearray(SIZE)
        self.argument = argument = [0] if words else bytearray(SIZE)
        self.seen = seen = [-1]  # the handler's outcome
        verb = sender.send_word if words else sender.send

        def on_send(pin):
            seen[0] = verb(argument, NORMAL)

        def on_send_word(pin):
            seen[0] = verb(argument[0], NORMAL)

        _pin.irq(on_send_word if words else on_send, Pin.IRQ_RISING, hard=True)

    def trial(self, level):
        """Call the task's verb with `level` messages for each receiver; return whether it was hit.

        They are the first sender's, as the second's lanes are empty.
        """
        ch, ends, seen, words = self.channel, self.ends, self.seen, self.words
        number = self.number
        queues = [[], []]
        # By chance the second receiver may get none of the first ones.
        while len(queues[0]) + len(queues[1]) < 2 * level or len(queues[1]) < level:
            number += 1
            before = len(ends[0])
            fill(self.sent, number, SIZE)
            assert ch.send_word(number, NORMAL) if words else ch.send(self.sent, NORMAL)
            if len(ends[0]) > before:
                queues[0].append(number)
                if not self.multicast:
                    continue
            queues[1].append(number)
        mine, its = number + 1, number + 2
        self.number = its
        fill(self.sent, mine, SIZE)
        if words:
            self.argument[0] = its
        else:
            fill(self.argument, its, SIZE)
        seen[0] = -1
        # How many receivers got the task's message and the handler's, as the two senders say, ...
        told = [0, 0]
        found = [0, 0]
        sends = 1
        if self.task == "send":
            told[0] = _call_2(self.verb, self.sent, NORMAL)
        elif self.task == "send_word":
            told[0] = _call_2(self.verb, mine, NORMAL)
        else:
            sends = 0
            m = _call_0(self.verb) if words else _call_1(self.verb, self.received)
            if m:
                self._find(queues[1], mine, its, found, m)
        ran = seen[0] >= 0
        if ran:
            told[1] = seen[0]
            sends += 1
        # ... and as the receivers find.
        for i in range(2):
            recv = ends[i].recv_word if words else ends[i].recv
            while True:
                m = recv() if words else recv(self.received)
                if not m:
                    break
                self._find(queues[i], mine, its, found, m)
            assert not queues[i], "lost: %r" % queues
        assert found == told, "lost or doubled: %r sent, %r received" % (told, found)
        missed = 2 * sends - sum(told) if self.multicast else sends - sum(told)
        assert not missed or level == CAPACITY, "dropped at %d queued" % level
        self.dropped += missed
        return ran

    def _find(self, queue, mine, its, found, m):
        # Which message was received: the oldest queued, or one of the two that were sent since.
        for number in queue[:1] or (mine, its):
            if m[0] == number if self.words else holds(self.received, number, SIZE):
                if queue:
                    del queue[0]
                else:
                    found[number - mine] += 1
                return
        raise AssertionError("torn or out of order: %r, %r queued" % (m, queue))
