"""What the bench's sections on the patterns compare, beside what a user would write instead.

As in contenders.py, `run` is the measured loop and keeps what is to be checked with `note`. The
contenders of multicast and anycast only send in it; what they have queued is taken, and checked,
after it: `take(place, buf)` gives a receiver's next message, `clear(place)` drops the rest.
"""

import random
import struct
from collections import deque
from time import ticks_diff, ticks_us

from contenders import note
from ringlane import (
    AFFINITY_FIRST,
    LEAST_LOADED,
    RANDOM,
    ROUND_ROBIN,
    AnycastChannel,
    Channel,
    MulticastChannel,
    PriorityChannel,
    RequestReplyChannel,
)

# Who has to get a message.
ALL = "all"
IN_TURN = "in turn"
ANY = "any"
FIRST_HALF = "the first half"  # in turn, the receivers on the sender's core

HALF = 2  # receivers on another core


def pump_sends(send, data, order, repeat, ticks, last):
    """The measured loop round send(data, priority)."""
    start = ticks()
    for _ in range(repeat):
        for priority in order:
            took = send(data, priority)
    end = ticks()
    note(last, start, end, None, took, None, None)


# Multicast and anycast. `count` receivers, `room` messages for each.


class Ends:
    """Receivers of ringlane's; also of one or several PriorityChannels."""

    carries = True
    by_class = False

    def attach(self, send, ends, word):
        self.send = send
        self.ends = ends
        self.word = word

    def take(self, place, buf):
        end = self.ends[place]
        m = end.recv_word() if self.word else end.recv(buf)
        if m is None:
            return None
        return (m[0], 4, m[1], m[2]) if self.word else (buf, m[0], m[1], m[2])

    def clear(self, place):
        return self.ends[place].clear()

    def run(self, data, buf, order, repeat, ticks, last):
        pump_sends(self.send, data, order, repeat, ticks, last)


class OneChannel(Ends):
    name = "one PriorityChannel"
    spread = ALL
    by_class = True  # receives the most urgent class first

    def __init__(self, size, word, count, room):
        channel = PriorityChannel(room, slot_size=size)
        self.attach(channel.send_word if word else channel.send, (channel,), word)


class Multicast(Ends):
    name = "multicast"
    spread = ALL

    def __init__(self, size, word, count, room):
        channel = MulticastChannel(room, slot_size=size, max_receivers=count)
        ends = tuple(channel.add_receiver() for _ in range(count))
        self.attach(channel.send_word if word else channel.send, ends, word)


class ManyChannels(Ends):
    name = "PriorityChannels in a loop, inline"
    spread = ALL
    by_class = True

    def __init__(self, size, word, count, room):
        ends = tuple(PriorityChannel(room, slot_size=size) for _ in range(count))
        self.sends = tuple(end.send_word if word else end.send for end in ends)
        self.attach(self.send_all, ends, word)

    def send_all(self, data, priority):
        took = 0
        for send in self.sends:
            took += send(data, priority)
        return took

    def run(self, data, buf, order, repeat, ticks, last):
        sends = self.sends
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                took = 0
                for send in sends:
                    took += send(data, priority)
        end = ticks()
        note(last, start, end, None, took, None, None)


class Deques:
    """A deque for each receiver, of items (time, class, payload); multicast shares the item."""

    name = "deques in a loop, functions"
    spread = ALL
    carries = True
    by_class = False

    def __init__(self, size, word, count, room):
        self.queues = [deque((), room, 1) for _ in range(count)]
        self.word = word
        self.turn = 0

    def send(self, data, priority):
        item = (ticks_us(), priority, data if self.word else bytes(data))
        for queue in self.queues:
            queue.append(item)

    def take(self, place, buf):
        if not self.queues[place]:
            return None
        sent, priority, payload = self.queues[place].popleft()
        size = 4 if self.word else len(payload)
        return payload, size, priority, ticks_diff(ticks_us(), sent)

    def clear(self, place):
        queue = self.queues[place]
        count = 0
        while queue:
            queue.popleft()
            count += 1
        return count

    def run(self, data, buf, order, repeat, ticks, last):
        pump_sends(self.send, data, order, repeat, ticks, last)


class DequesInline(Deques):
    name = "deques in a loop, inline"

    def run(self, data, buf, order, repeat, ticks, last):
        queues, now, word = self.queues, ticks_us, self.word
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                item = (now(), priority, data if word else bytes(data))
                for queue in queues:
                    queue.append(item)
        end = ticks()
        note(last, start, end, None, None, None, None)


class Anycast(Ends):
    spread = IN_TURN

    def __init__(self, size, word, count, room):
        channel = AnycastChannel(room, self.policy, slot_size=size, max_receivers=count)
        ends = tuple(channel.add_receiver(None, place // HALF) for place in range(count))
        self.attach(channel.send_word if word else channel.send, ends, word)


class RoundRobin(Anycast):
    name = "ROUND_ROBIN"
    policy = ROUND_ROBIN


class LeastLoaded(Anycast):
    name = "LEAST_LOADED"
    policy = LEAST_LOADED


class Random(Anycast):
    name = "RANDOM"
    policy = RANDOM
    spread = ANY


class AffinityFirst(Anycast):
    name = "AFFINITY_FIRST"
    policy = AFFINITY_FIRST
    spread = FIRST_HALF


class DequesInTurn(Deques):
    """Not as ringlane, they pass over no queue that is full."""

    name = "deques in turn, functions"
    spread = IN_TURN

    def send(self, data, priority):
        turn = self.turn
        self.queues[turn].append((ticks_us(), priority, data if self.word else bytes(data)))
        turn += 1
        self.turn = turn if turn < len(self.queues) else 0


class DequesInTurnInline(DequesInTurn):
    name = "deques in turn, inline"

    def run(self, data, buf, order, repeat, ticks, last):
        queues, now, word = self.queues, ticks_us, self.word
        turn, count = 0, len(queues)
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                queues[turn].append((now(), priority, data if word else bytes(data)))
                turn += 1
                if turn == count:
                    turn = 0
        end = ticks()
        note(last, start, end, None, None, None, None)


class DequesLeastLoaded(Deques):
    name = "the shortest deque, functions"
    spread = IN_TURN

    def send(self, data, priority):
        queue = min(self.queues, key=len)
        queue.append((ticks_us(), priority, data if self.word else bytes(data)))


class DequesRandom(Deques):
    name = "any deque, functions"
    spread = ANY

    def send(self, data, priority):
        queue = random.choice(self.queues)
        queue.append((ticks_us(), priority, data if self.word else bytes(data)))


MULTICAST = (OneChannel, Multicast, ManyChannels, Deques, DequesInline)
ANYCAST = (
    OneChannel,
    RoundRobin,
    LeastLoaded,
    Random,
    AffinityFirst,
    DequesInTurn,
    DequesInTurnInline,
    DequesLeastLoaded,
    DequesRandom,
)


# Request and reply: a request is sent, received, answered with itself, and the reply received.

ROOM = 8  # requests


class RequestReply:
    """The verbs that do not wait; a histogram of the round trips is among what they do."""

    name = "request-reply"
    carries = True
    verbs = None

    def __init__(self, size):
        self.channel = RequestReplyChannel(ROOM, slot_size=size)
        self.request = bytearray(size)

    def prepare(self, data):
        pass

    def left(self):
        return self.channel.pending or self.channel.late

    def run(self, data, buf, order, repeat, ticks, last):
        channel, request = self.channel, self.request
        send_request, recv_request = channel.send_request, channel.recv_request
        send_response, recv_response = channel.send_response, channel.recv_response
        start = ticks()
        for _ in range(repeat):
            for _ in order:
                id = send_request(data)
                size, asked, latency = recv_request(request)
                send_response(asked, request)
                size, status, latency = recv_response(id, buf)
        end = ticks()
        note(last, start, end, buf, size, None, latency)


class TwoChannels:
    """Two Channels of messages that begin with an id of two bytes; replies come in order.

    No table of what is outstanding, no cancelling and no statistics.
    """

    name = "two Channels, functions"
    carries = True
    verbs = None

    def __init__(self, size):
        self.requests = Channel(ROOM, slot_size=2 + size)
        self.replies = Channel(ROOM, slot_size=2 + size)
        self.tx, self.rx = bytearray(2 + size), bytearray(2 + size)
        self.server_rx, self.server_tx = bytearray(2 + size), bytearray(2 + size)
        self.payload = memoryview(self.rx)[2:]
        self.question = memoryview(self.server_rx)[2:]
        self.id = 0

    def prepare(self, data):
        pass

    def left(self):
        return len(self.requests) + len(self.replies)

    def send_request(self, data):
        self.id = id = self.id + 1 & 0xFFFF
        struct.pack_into("<H", self.tx, 0, id)
        self.tx[2:] = data
        return id if self.requests.send(self.tx, 0) else 0

    def recv_request(self, buf):
        m = self.requests.recv(self.server_rx)
        if m is None:
            return None
        buf[:] = self.question
        return m[0] - 2, self.server_rx[0] | self.server_rx[1] << 8, m[2]

    def send_response(self, id, data):
        struct.pack_into("<H", self.server_tx, 0, id)
        self.server_tx[2:] = data
        return self.replies.send(self.server_tx, 0)

    def recv_response(self, id, buf):
        m = self.replies.recv(self.rx)
        if m is None or self.rx[0] | self.rx[1] << 8 != id:
            return None
        buf[:] = self.payload
        return m[0] - 2, 0, m[2]

    def run(self, data, buf, order, repeat, ticks, last):
        send_request, recv_request = self.send_request, self.recv_request
        send_response, recv_response = self.send_response, self.recv_response
        request = bytearray(len(data))
        start = ticks()
        for _ in range(repeat):
            for _ in order:
                id = send_request(data)
                size, asked, latency = recv_request(request)
                send_response(asked, request)
                size, status, latency = recv_response(id, buf)
        end = ticks()
        note(last, start, end, buf, size, None, latency)


class TwoChannelsInline(TwoChannels):
    """Where nobody copies a payload to or from its place behind the id."""

    name = "two Channels, inline, in place"

    def prepare(self, data):
        self.tx[2:] = data

    def run(self, data, buf, order, repeat, ticks, last):
        ask, take = self.requests.send, self.requests.recv
        answer, collect = self.replies.send, self.replies.recv
        tx, rx, request = self.tx, self.rx, self.server_rx
        number = self.id
        start = ticks()
        for _ in range(repeat):
            for _ in order:
                number = number + 1 & 0xFFFF
                tx[0] = number & 0xFF
                tx[1] = number >> 8
                ask(tx, 0)
                size, got, latency = take(request)
                answer(request, 0)
                size, got, latency = collect(rx)
                if rx[0] | rx[1] << 8 != number:
                    size = 0
        end = ticks()
        self.id = number
        note(last, start, end, self.payload, size - 2, None, latency)


REQUEST_REPLY = (RequestReply, TwoChannels, TwoChannelsInline)


# Zero-copy: without the producer's writing into the slot that it claimed.


class Copied:
    name = "send + recv"
    carries = True
    verbs = None

    def __init__(self, size):
        self.channel = Channel(ROOM, slot_size=size, zero_copy=True)

    def prepare(self, data):
        pass

    def left(self):
        return len(self.channel)

    def run(self, data, buf, order, repeat, ticks, last):
        send, recv = self.channel.send, self.channel.recv
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                send(data, priority)
                size, got, latency = recv(buf)
        end = ticks()
        note(last, start, end, buf, size, got, latency)


class Peeked(Copied):
    name = "send + peek + release"

    def run(self, data, buf, order, repeat, ticks, last):
        channel = self.channel
        send, peek, release = channel.send, channel.peek, channel.release
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                send(data, priority)
                size, got, latency = peek()
                view = channel.view
                release()
        end = ticks()
        note(last, start, end, view, size, got, latency)


class Claimed(Copied):
    name = "claim + commit + peek + release"

    def prepare(self, data):
        # Write into every slot what a producer would write after its claim.
        channel = self.channel
        for _ in range(ROOM):
            channel.claim(0)[:] = data
            channel.commit(0, len(data))
        channel.clear()

    def run(self, data, buf, order, repeat, ticks, last):
        channel = self.channel
        claim, commit = channel.claim, channel.commit
        peek, release = channel.peek, channel.release
        size = len(data)
        start = ticks()
        for _ in range(repeat):
            for priority in order:
                claim(priority)
                commit(priority, size)
                got_size, got, latency = peek()
                view = channel.view
                release()
        end = ticks()
        note(last, start, end, view, got_size, got, latency)


ZERO_COPY = (Copied, Peeked, Claimed)
