"""A hard handler that sends meets a task that sends too or receives, by multicast or anycast.

See meetings.py; there are two receivers.
"""

import micropython
import ringlane
from meetings import CAPACITY, SIZE, WORDS, Meeting, call_0, call_1, call_2, call_3
from micropython import const
from payload import stamp, stamped
from ringlane import NORMAL, AnycastChannel, MulticastChannel

# A receiver's marks: a byte for each message of a trial, and one that says which was the last.
_MESSAGES = const(6)  # at the most: 2 * CAPACITY, and one of each context
_MARKS = const(8)


@micropython.viper
def _note(marks, receiver: int, index: int, mine: int) -> bool:
    # Note that a receiver got the message that is so many after the trial's first. False: it is
    # none of them, or doubled, or older than the last one; those from `mine` on have no order.
    own = ptr8(int(ptr8(marks)) + receiver * _MARKS)
    if index < 0 or index >= _MESSAGES or own[index]:
        return False
    if index < mine and index < own[_MESSAGES]:
        return False
    own[index] = 1
    own[_MESSAGES] = index
    return True


@micropython.viper
def _forget(marks):
    words = ptr32(marks)
    for i in range(2 * _MARKS >> 2):
        words[i] = 0


class Fanout(Meeting):
    """`task`, a verb of a task, interrupted by a hard handler that sends.

    `rule`: "multicast", or the name of an anycast policy. The task receives at the second of the
    two receivers, which for AFFINITY_FIRST is the one of the handler's core.
    """

    def __init__(self, rule, task):
        self.multicast = rule == "multicast"
        if self.multicast:
            ch = MulticastChannel(CAPACITY, None, SIZE, 2, 2)
            ends = [ch.add_receiver(), ch.add_receiver()]
        else:
            ch = AnycastChannel(CAPACITY, getattr(ringlane, rule), SIZE, 2, 2)
            ends = [ch.add_receiver(None, 1), ch.add_receiver(None, 0)]
        self.channel = ch
        self.words = words = "word" in task
        self.at = task[-3:] == "_at"
        self.skips = task == "skip_to_latest"
        self.sends = task[:4] == "send"
        self.verb = getattr(ch if self.sends else ends[1], task)
        self.fill = ch.send_word if words else ch.send
        self.drains = [end.recv_word if words else end.recv for end in ends]
        sender = ch.add_sender() if self.sends else ch
        self.number = 0
        self.dropped = 0
        self.sent = bytearray(SIZE)
        self.received = bytearray(SIZE)
        self.marks = bytearray(2 * _MARKS)
        self.handler_sent = bytearray(SIZE) if self.sends else self.sent
        self.seen = seen = [-1, 0]  # the handler's outcome, and the word that it sends
        argument = self.handler_sent
        verb = sender.send_word if words else sender.send

        def on_send(pin):
            seen[0] = verb(argument, NORMAL)

        def on_send_word(pin):
            seen[0] = verb(seen[1], NORMAL)

        self.handle(on_send_word if words else on_send)

    @micropython.native
    def trial(self, level):
        """Let the task act when the first sender has sent `level` messages for each receiver.

        Which of two receivers has how many of them, is up to the policy.
        """
        seen, words, marks = self.seen, self.words, self.marks
        sent, received = self.sent, self.received
        first = number = self.number + 1
        fill = self.fill
        queued = level if self.multicast else 2 * level
        for _ in range(queued):
            if words:
                told = fill(number, NORMAL)
            else:
                stamp(sent, number, WORDS)
                told = fill(sent, NORMAL)
            assert told, "dropped"
            number += 1
        its = number + 1
        self.number = its
        if words:
            seen[1] = its
        elif self.sends:
            stamp(sent, number, WORDS)
            stamp(self.handler_sent, its, WORDS)
        else:
            stamp(sent, its, WORDS)
        seen[0] = -1
        _forget(marks)
        # How many receivers got the task's message and the handler's, as the two senders say, ...
        told = 0
        if self.at:
            told = call_3(self.verb, number if words else sent, NORMAL, number)
        elif self.sends:
            told = call_2(self.verb, number if words else sent, NORMAL)
        elif self.skips:
            for i in range(call_0(self.verb)):
                if not _note(marks, 1, i, queued):
                    self._wrong(first + i, first)
        else:
            m = call_0(self.verb) if words else call_1(self.verb, received)
            if m:
                got = m[0] if words else stamped(received, WORDS)
                if not _note(marks, 1, got - first, queued):
                    self._wrong(got, first)
        ran = seen[0] >= 0
        told_its = seen[0] if ran else 0
        # ... and as the receivers find.
        for i in range(2):
            drain = self.drains[i]
            while True:
                m = drain() if words else drain(received)
                if not m:
                    break
                got = m[0] if words else stamped(received, WORDS)
                if not _note(marks, i, got - first, queued):
                    self._wrong(got, first)
        copies = 2 if self.multicast else 1
        for i in range(queued):
            assert marks[i] + marks[_MARKS + i] == copies, "lost: %r" % marks
        for i, said in ((queued, told), (queued + 1, told_its)):
            assert marks[i] + marks[_MARKS + i] == said, "lost or doubled: %d, %r" % (said, marks)
        missed = (copies if self.sends else 0) + (copies if ran else 0) - told - told_its
        assert not missed or level == CAPACITY, "dropped at %d queued" % level
        self.dropped += missed
        return ran

    def _wrong(self, got, first):
        raise AssertionError(
            "torn, doubled or out of order: %d is none of %d and on: %r" % (got, first, self.marks)
        )

    def check_counters(self):
        assert self.channel.dropped == self.dropped, "dropped and not counted"
