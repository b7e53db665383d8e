"""The bench's device part on the patterns: measures the contenders of patterns.py.

As in bench.py, each function prints one line of JSON, times in ticks of the clock that
`conditions` names, with the empty loop's beside them.
"""

import json
import time

import bench
import patterns
from bench import WrongResult
from contenders import EmptyLoop

FREE_RUN = 200  # blocks: beside these modules and channels there is less room than in bench.py
EIGHT = bench.ONE_CLASS[:8]


def multicast(size, word, count, repeat, chunks, rounds):
    """Measure one send to `count` receivers, and one PriorityChannel's."""
    room = len(bench.ONE_CLASS) * repeat
    fighters = [kind(size, word, count, room) for kind in patterns.MULTICAST]
    fight(SendBench(size, word, count, chunks), fighters, repeat, rounds)


def anycast(size, word, count, repeat, chunks, rounds):
    """Measure one send by each policy with `count` receivers, and one PriorityChannel's."""
    room = len(bench.ONE_CLASS) * repeat
    fighters = [kind(size, word, count, room) for kind in patterns.ANYCAST]
    fight(SendBench(size, word, count, chunks), fighters, repeat, rounds)


def flat(kind, count, capacities, chunks, rounds):
    """Print what sending a word costs on a channel of that kind, of each of `capacities`."""
    kind = getattr(patterns, kind)
    fighters = [kind(4, True, count, each) for each in capacities]
    best = SendBench(4, True, count, chunks).best([EmptyLoop()] + fighters, EIGHT, 1, rounds)
    empty = best.pop(0)
    times = list(zip(capacities, best))
    print(
        json.dumps(
            {
                "name": kind.name,
                "messages": len(EIGHT) * chunks,
                "empty_loop": empty,
                "times": times,
            }
        )
    )


def request_reply(size, repeat, rounds):
    """Measure one round trip, without waiting."""
    measure = RoundTripBench(size)
    fighters = [kind(size) for kind in patterns.REQUEST_REPLY]
    measure.check_any_order(fighters[0])
    fight(measure, fighters, repeat, rounds)


def zero_copy(size, repeat, rounds):
    """Measure one message, copied and not."""
    fight(ViewBench(size), [kind(size) for kind in patterns.ZERO_COPY], repeat, rounds)


def fight(measure, fighters, repeat, rounds):
    """Check the contenders, measure them in turn, `rounds` times; print the best of each."""
    order = bench.ONE_CLASS
    for each in fighters:
        measure.check_one_by_one(each)
        measure.check_queue(each)
    best = measure.best([EmptyLoop()] + fighters, order, repeat, rounds)
    empty = best.pop(0)
    names = [each.name for each in fighters]
    print(
        json.dumps(
            {
                "messages": len(order) * repeat * measure.chunks,
                "empty_loop": empty,
                "times": list(zip(names, best)),
                "allocated": [(each.name, measure.allocated(each, order)) for each in fighters],
            }
        )
    )


def prepare(self, contender, data):
    if contender.carries:
        contender.prepare(data)


class RoundTripBench(bench.Bench):
    """Requests and replies."""

    chunks = 1
    free_run = FREE_RUN
    prepare = prepare

    def check_any_order(self, contender):
        """Answer requests in the reverse of their order, and take the replies in another."""
        channel, before = contender.channel, time.ticks_us()
        asked = []
        for _ in range(patterns.ROOM):
            data = self.message()
            asked.append((channel.send_request(data), bytes(data)))
        requests = []
        while channel.recv_request(self.buf):
            requests.append(bytes(self.buf))
        for place in range(patterns.ROOM - 1, -1, -1):
            channel.send_status(asked[place][0], requests[place], place)
        for place in range(1, patterns.ROOM + 1):
            place %= patterns.ROOM
            id, data = asked[place]
            size, status, latency = channel.recv_response(id, self.buf)
            passed = time.ticks_diff(time.ticks_us(), before)
            bench.check(contender.name, data, self.buf, size, place, status, latency, passed)
        bench.check_empty(contender)


class ViewBench(bench.Bench):
    """Messages that may lie in a slot before they are sent."""

    chunks = 1
    free_run = FREE_RUN
    prepare = prepare


class SendBench(bench.Bench):
    """Messages that are sent in the measured loop, and taken from every receiver after it.

    A run is `chunks` loops, so that what a loop sends has room.
    """

    checks = 5  # one of each class, to every receiver
    free_run = FREE_RUN

    def __init__(self, size, word, count, chunks):
        bench.Bench.__init__(self, size, word)
        self.count = count
        self.chunks = chunks

    def checked_run(self, contender, order, repeat):
        """Run the loop and take what it sent, `chunks` times; return the ticks of the loops."""
        spent = 0
        for _ in range(self.chunks):
            data = self.message()
            before = time.ticks_us()
            state = bench.disable_irq()
            try:
                contender.run(data, self.buf, order, repeat, self.ticks, self.last)
            finally:
                bench.enable_irq(state)
            spent += self.diff(self.last[1], self.last[0])
            if contender.carries:
                sent = len(order) * repeat
                self.check_sent(contender, data, order[0], before, sent)
        return spent

    def check_one_by_one(self, contender):
        chunks, self.chunks = self.chunks, 1
        bench.Bench.check_one_by_one(self, contender)
        self.chunks = chunks

    def check_sent(self, contender, data, priority, before, sent):
        """Check each receiver's first message, and who got how many of the `sent` ones."""
        name = contender.name
        got = []
        for place in range(self.receivers(contender)):
            taken = 0
            item = contender.take(place, self.buf)
            if item is not None:
                payload, size, its_class, latency = item
                passed = time.ticks_diff(time.ticks_us(), before)
                bench.check(name, data, payload, size, priority, its_class, latency, passed)
                taken = 1 + contender.clear(place)
            got.append(taken)
        if not spread_right(contender.spread, got, sent):
            raise WrongResult("%s: sent %d, the receivers got %r" % (name, sent, got))
        took = self.last[3]
        if took is not None and took != (len(got) if contender.spread == patterns.ALL else 1):
            raise WrongResult("%s: send returned %r, the receivers got %r" % (name, took, got))

    def check_queue(self, contender):
        """Send unlike messages of every class, take them all, and check who got which."""
        name = contender.name
        before = time.ticks_us()
        sent = []
        for number in range(len(EIGHT)):
            data = self.message()
            priority = (len(EIGHT) - number) % 5
            contender.run(data, self.buf, (priority,), 1, time.ticks_us, self.last)
            sent.append((priority, data if self.word else bytes(data)))
        if contender.by_class:
            sent = [each for level in range(5) for each in sent if each[0] == level]
        takers = [0] * len(sent)
        for place in range(self.receivers(contender)):
            at = 0  # a receiver gets what it gets in the order of sending
            while True:
                item = contender.take(place, self.buf)
                if item is None:
                    break
                payload, size, its_class, latency = item
                got = payload if self.word else bytes(payload[:size])
                while at < len(sent) and sent[at][1] != got:
                    at += 1
                if at == len(sent):
                    raise WrongResult("%s: receiver %d got %r out of turn" % (name, place, got))
                priority, data = sent[at]
                passed = time.ticks_diff(time.ticks_us(), before)
                bench.check(name, data, payload, size, priority, its_class, latency, passed)
                takers[at] += 1
                at += 1
        wanted = self.receivers(contender) if contender.spread == patterns.ALL else 1
        if takers != [wanted] * len(sent):
            raise WrongResult("%s: %r receivers each got a message" % (name, takers))

    def receivers(self, contender):
        return 1 if isinstance(contender, patterns.OneChannel) else self.count

    def settle(self, contender):
        if contender.carries:
            for place in range(self.receivers(contender)):
                contender.clear(place)


def spread_right(spread, got, sent):
    """Tell whether receivers that `got` so many of `sent` messages got what they should."""
    if spread == patterns.ALL:
        return got == [sent] * len(got)
    if spread == patterns.FIRST_HALF:
        if any(got[patterns.HALF :]):
            return False
        got = got[: patterns.HALF]
    return sum(got) == sent and (spread == patterns.ANY or max(got) - min(got) <= 1)
