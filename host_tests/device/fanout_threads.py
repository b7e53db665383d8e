"""Multicast and anycast between threads without a GIL: every message is checked.

Senders and receivers run under a locked heap. A message tells its number, so that a receiver that
gets only some of them can check each: it is whole, it has its class, and it is newer than the one
before.

That a lane is found empty and full is not left to luck: now and then one side waits for it.
"""

import _thread
import time
from array import array

import micropython
from harness import PATIENCE_MS
from payload import pieces
from ringlane import (
    AFFINITY_FIRST,
    LEAST_LOADED,
    RANDOM,
    ROUND_ROBIN,
    AnycastChannel,
    MulticastChannel,
)

_CAPACITY = 16
_SLOT = 48
_SPINS = 40  # then give the core to another thread: there may be fewer cores than threads
_LINGER_AT = 500, 900  # of a receiver's messages it waits after these until the lanes are full ...
_LINGER_EVERY = 20000  # ... and after so many more
_REST_EVERY = 64  # of a sender's, until it sees nothing queued


@micropython.viper
def fill(buf, number: int, size: int):
    """Write message `number` of `size` bytes, 4 and more, into `buf`."""
    data = ptr8(buf)
    i = 0
    while i < 4:
        data[i] = number >> 8 * i
        i += 1
    while i < size:
        data[i] = number * 31 + (number >> 8) * 17 + i * 7 + 1
        i += 1


@micropython.viper
def number_in(buf, size: int) -> int:
    """Return the number of the message of `size` bytes in `buf`, -1 if it is torn."""
    data = ptr8(buf)
    number = data[0] | data[1] << 8 | data[2] << 16 | data[3] << 24
    i = 4
    while i < size:
        if data[i] != (number * 31 + (number >> 8) * 17 + i * 7 + 1) & 0xFF:
            return -1
        i += 1
    return number


def size_of(number):
    return 4 + (number * 37 + (number >> 6)) % (_SLOT - 3)


def wait(idle):
    """Called after `idle` turns in which nothing could be done; return how many are next."""
    if idle < _SPINS:
        return idle + 1
    time.sleep_us(1)
    return 0


def class_of(number):
    return (number * 3 + (number >> 4)) % 5


class Source:
    """Calls one sender's verb with one message after the other."""

    def __init__(self, end, words):
        self._verb = end.send_word if words else end.send
        self._words = words
        self._views = pieces(_SLOT)

    def send(self, number):
        """Send message `number`; return what the verb returned."""
        if self._words:
            return self._verb(number, class_of(number))
        size = size_of(number)
        view = self._views[size]
        fill(view, number, size)
        return self._verb(view, class_of(number))


class Taker:
    """Receives from one receiver, each message newer than the one before, and checks them.

    `owners`: where to note who got a message, or None. `step`: how many senders share the numbers;
    each sender's own are in order.
    """

    def __init__(self, end, words, owners=None, step=1):
        self.end = end
        self.count = 0
        self.empty = 0  # how often there was none
        self.wrong = None
        self.done = False
        self.stop = False
        self.until = None  # what a receiver lingers for
        self.lingers = False
        self._words = words
        self._owners = owners
        self._step = step
        self._last = [-1] * step
        self._buf = bytearray(_SLOT)
        self._recv = end.recv_word if words else end.recv

    def take(self):
        """Receive one message; return its number or -1 if there is none. Sets `wrong`."""
        m = self._recv() if self._words else self._recv(self._buf)
        if not m:
            self.empty += 1
            return -1
        value, priority, _ = m
        number = value if self._words else number_in(self._buf, value)
        lane = number % self._step
        if number < 0 or priority != class_of(number):
            self.wrong = "torn"
        elif not self._words and value != size_of(number):
            self.wrong = "torn"
        elif number <= self._last[lane]:
            self.wrong = "out of order or doubled"
        elif self._owners is not None:
            if self._owners[number]:
                self.wrong = "doubled"
            self._owners[number] = self.end.id + 1
        self._last[lane] = number
        self.count += 1
        return number

    def run(self, end):
        """Receive until `end` messages, or told to stop and none is left, or one is wrong."""
        micropython.heap_lock()
        seen = time.ticks_ms()
        idle = 0
        linger_at = _LINGER_AT[self.end.id & 1]
        while self.count < end and not self.wrong:
            stop = self.stop  # first: what was sent before it is found
            if self.count == linger_at and self.until and not stop:
                linger_at += _LINGER_EVERY
                self._linger()
                seen = time.ticks_ms()
            elif self.take() >= 0:
                seen = time.ticks_ms()
            elif stop:
                break
            else:
                idle = wait(idle)
                if time.ticks_diff(time.ticks_ms(), seen) > PATIENCE_MS:
                    self.wrong = "lost"
        micropython.heap_unlock()
        self.done = True

    def _linger(self):
        start = time.ticks_ms()
        self.lingers = True
        until = self.until
        before = until()
        while until() == before and not self.stop:
            time.sleep_us(1)
            if time.ticks_diff(time.ticks_ms(), start) > PATIENCE_MS:
                self.wrong = "never full"
                break
        self.lingers = False

    def start(self, end):
        """Run in a thread of its own."""
        _thread.start_new_thread(self.run, (end,))

    def join(self):
        """Wait until it has run; raise what it found."""
        while not self.done:
            time.sleep_ms(1)
        self.check()

    def check(self):
        """Raise if a message was wrong."""
        assert not self.wrong, "%s: message %r of receiver %d, after %d" % (
            self.wrong,
            self._last,
            self.end.id,
            self.count,
        )


def _dropped_of(end):
    return lambda: end.dropped


def _wait_until_empty(takers):
    # Until each runs, and has found nothing.
    start = time.ticks_ms()
    for taker in takers:
        while not taker.empty and time.ticks_diff(time.ticks_ms(), start) < PATIENCE_MS:
            time.sleep_us(1)


def multicast(deliveries, words=False):
    """A sender, and two receivers in threads of their own, until each got half of the deliveries.

    What a receiver missed is counted for it, and nothing else is missing.
    """
    channel = MulticastChannel(_CAPACITY, None, _SLOT, 3)
    takers = [Taker(channel.add_receiver(), words) for _ in range(2)]
    source = Source(channel, words)
    for taker in takers:
        taker.until = _dropped_of(taker.end)
        taker.start(deliveries // 2)
    _wait_until_empty(takers)
    number = total = idle = 0
    micropython.heap_lock()
    while not (takers[0].done and takers[1].done):
        took = source.send(number)
        total += took
        number += 1
        if not took:
            idle = wait(idle)
    micropython.heap_unlock()
    for taker in takers:
        taker.join()
        taker.stop = True
        taker.run(number)  # what is left
        taker.check()
        end = taker.end
        assert end.received == taker.count and end.lag == 0, end
        assert end.received + end.dropped == number, (end, end.dropped, number)
    count = takers[0].count + takers[1].count
    assert total == count == channel.sent and channel.rejected == 0, (total, channel)
    assert channel.dropped == takers[0].end.dropped + takers[1].end.dropped
    empties = [taker.empty for taker in takers]
    print(
        "deliveries", count, "empty", min(empties), "dropped", min(t.end.dropped for t in takers)
    )


def reopening(sessions):
    """A receiver that opens and closes all the time, while a thread sends and another receives.

    It never sees a message whose send had ended when it opened, nor a torn one, nor an old one.
    """
    channel = MulticastChannel(_CAPACITY, None, _SLOT, 2)
    steady = Taker(channel.add_receiver(), False)
    source = Source(channel, False)
    begun = array("i", [0])  # the message that is being sent
    state = [False, False, 0]  # stop, stopped, taken by receivers

    def send_all():
        micropython.heap_lock()
        number = idle = 0
        while not state[0]:
            begun[0] = number
            took = source.send(number)
            state[2] += took
            number += 1
            if not took:
                idle = wait(idle)
        micropython.heap_unlock()
        state[1] = True

    _thread.start_new_thread(send_all, ())
    steady.start(1 << 30)
    seen = unread = gaps = used = 0
    try:
        for session in range(sessions):
            floor = begun[0]
            end = channel.add_receiver(None, 1 + session % _CAPACITY)
            taker = Taker(end, False)
            assert end.id == 1 and end.received == 0
            first = -1
            idle = 0
            start = time.ticks_ms()
            # One message comes for sure, two if it waits for as many, then those that come soon.
            while taker.count < session % 9 and (taker.count < 2 or taker.empty < 10 * _SPINS):
                number = taker.take()
                if number < 0:
                    idle = wait(idle)
                    waited = time.ticks_diff(time.ticks_ms(), start)
                    assert waited < PATIENCE_MS, "nothing comes"
                    continue
                taker.check()
                if first < 0:
                    first = number
                    used += 1
                    assert number >= floor, "an old message: %d, after %d" % (number, floor)
                missed = number - first + 1 - taker.count
                assert missed <= end.dropped, "lost: %d, %d counted" % (missed, end.dropped)
            gaps += end.dropped
            assert end.received == taker.count
            while not session & 63 and not len(end):  # so that something is left unread
                time.sleep_us(1)
            seen += taker.count
            left = end.close()
            assert left <= 1 + session % _CAPACITY, left
            unread += left
            if steady.wrong:
                break
    finally:
        state[0] = True
        while not state[1]:
            time.sleep_ms(1)
        steady.stop = True
    steady.join()
    assert channel.received == steady.count + seen, channel
    # Beside what receivers left, a message that was on its way to one that closed: one a session.
    assert unread <= channel.unread <= unread + sessions, (channel, channel.unread, unread)
    number = begun[0] + 1
    assert steady.end.received + steady.end.dropped == number, (steady.end, number)
    assert state[2] == channel.sent, (state[2], channel)
    print("sessions", sessions, "used", used, "received", seen, "unread", unread, "dropped", gaps)


def anycast(policy, messages):
    """A sender to two receivers in threads of their own: each message once, shares by the policy.

    Before and after each send it notes how many wait at each: what was queued when the sender
    chose is between the two, as receivers only take.
    """
    channel = AnycastChannel(_CAPACITY, policy, _SLOT, 2, 2)
    sender = channel.add_sender(core=1)
    owners = bytearray(messages)
    before = [bytearray(messages), bytearray(messages)]
    after = [bytearray(messages), bytearray(messages)]
    ends = [channel.add_receiver(None, core) for core in range(2)]
    takers = [Taker(end, False, owners) for end in ends]
    source = Source(sender, False)
    times_full = [0]
    for taker in takers:
        taker.until = lambda: times_full[0]
        taker.start(messages)
    _wait_until_empty(takers)
    number = full = idle = 0
    last = time.ticks_ms()
    micropython.heap_lock()
    while number < messages:
        if not number % _REST_EVERY:  # so that the policy has a choice
            while (len(ends[0]) or len(ends[1])) and not (
                takers[0].lingers or takers[1].lingers or takers[0].wrong or takers[1].wrong
            ):
                idle = wait(idle)
            last = time.ticks_ms()
        before[0][number] = len(ends[0])
        before[1][number] = len(ends[1])
        if source.send(number):
            after[0][number] = len(ends[0])
            after[1][number] = len(ends[1])
            number += 1
            last = time.ticks_ms()
        else:
            full += 1
            times_full[0] = full
            idle = wait(idle)
            if takers[0].wrong or takers[1].wrong:
                break
            if time.ticks_diff(time.ticks_ms(), last) > PATIENCE_MS:
                break
    micropython.heap_unlock()
    for taker in takers:
        taker.stop = True
    for taker in takers:
        taker.join()
    counts = [taker.count for taker in takers]
    assert sum(counts) == messages == number, "lost: %r of %d" % (counts, number)
    assert counts == [owners.count(b"\x01"), owners.count(b"\x02")] and not owners.count(b"\0")
    assert [end.processed for end in ends] == counts
    assert channel.sent == messages and len(channel) == 0 and channel.rejected == 0, channel
    assert sender.dropped == channel.dropped == full
    chosen, forced = _check_choices(policy, owners, before, after)
    empties = [taker.empty for taker in takers]
    print("messages", messages, "empty", min(empties), "full", full, end=" ")
    print("chosen", chosen, "passed", forced, "shares", counts[0], counts[1])


def _check_choices(policy, owners, before, after):
    """Raise if one choice was not the policy's; return (free choices, passes over a full one)."""
    free = forced = first = 0
    previous = 1  # so that the first message's turn is that of receiver 0
    for number in range(len(owners)):
        mine = owners[number] - 1
        other = 1 - mine
        was_full = before[other][number] == _CAPACITY
        if policy == ROUND_ROBIN:
            right = mine != previous or was_full
            forced += mine == previous
        elif policy == LEAST_LOADED:
            least = after[mine][number] - 1  # what waited here when it was chosen, at least
            right = least <= before[other][number] or was_full
            forced += was_full
        elif policy == AFFINITY_FIRST:
            right = mine == 1 or was_full
            forced += mine == 0
        else:
            right = True
            if not was_full and before[mine][number] < _CAPACITY:
                first += mine == 0
                free += 1
            forced += was_full
        assert right, "message %d: receiver %d chosen, with %d and %d queued" % (
            number,
            mine,
            before[mine][number],
            before[other][number],
        )
        previous = mine
    if policy == RANDOM:
        # Five standard deviations of so many throws of a coin.
        assert (2 * first - free) ** 2 < 25 * free, (first, free)
        return free, forced
    return len(owners) - forced, forced


def senders(policy, messages):
    """Two senders in threads of their own, to two receivers of this one."""
    channel = AnycastChannel(_CAPACITY, policy, _SLOT, 2, 2)
    ends = [channel, channel.add_sender()]
    owners = bytearray(messages)
    takers = [Taker(channel.add_receiver(), False, owners, 2) for _ in range(2)]
    full = [0, 0]
    done = [False, False]
    stop = [False]
    empty = [False]
    half = messages // 2

    def send_all(which):
        source = Source(ends[which], False)
        micropython.heap_lock()
        number = which
        idle = 0
        while number < messages and not stop[0]:
            if source.send(number):
                number += 2
            else:
                full[which] += 1
                idle = wait(idle)
            # Once both wait until nothing is queued any more.
            while half - 2 < number <= half and not stop[0] and not empty[0]:
                idle = wait(idle)
        micropython.heap_unlock()
        done[which] = True

    for which in range(2):
        _thread.start_new_thread(send_all, (which,))
    last = time.ticks_ms()
    while not (full[0] and full[1]) and time.ticks_diff(time.ticks_ms(), last) < PATIENCE_MS:
        time.sleep_us(1)
    micropython.heap_lock()
    count = idle = 0
    while count < messages and not takers[0].wrong and not takers[1].wrong:
        if takers[0].take() >= 0 or takers[1].take() >= 0:
            count += 1
            last = time.ticks_ms()
        else:
            empty[0] = count >= half - 2
            idle = wait(idle)
            if time.ticks_diff(time.ticks_ms(), last) > PATIENCE_MS:
                break
    micropython.heap_unlock()
    stop[0] = True
    while not (done[0] and done[1]):
        time.sleep_ms(1)
    for taker in takers:
        taker.check()
    assert count == messages and not owners.count(b"\0"), "lost: %d of %d" % (count, messages)
    assert channel.sent == channel.received == messages and len(channel) == 0, channel
    assert channel.dropped == sum(full)
    print("messages", count, "empty", min(t.empty for t in takers), "full", sum(full), end=" ")
    print("shares", takers[0].count, takers[1].count)
