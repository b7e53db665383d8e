"""A hard interrupt sends to tasks that wait, on an RP2040: each message wakes its task.

No other interrupt comes but that of a watchdog: a task that it has to wake, and not the message's
own interrupt, gets its message late, and that is an error.
"""

import asyncio
import time

import meetings
import ringlane.waiting as waiting  # else the first wait does, and messages come meanwhile
from machine import Pin, Timer
from ringlane import NORMAL, Channel

_WATCHDOG_HZ = 10
_LATE_US = 40000  # the watchdog's interrupts are longer apart


class Marked(Channel):
    """A channel that raises the marker after the look number `mark` of a wait has found nothing.

    The looks of a wait that sleeps: as it begins, before the sleep, after it, as it ends. Those of
    the task itself are the first and the last, the others are asyncio's.
    """

    def __init__(self):
        Channel.__init__(self, 2, slot_size=4)
        self.looks = self.mark = 0
        next_lane = self._next_lane
        look = waiting.make_look(self)

        def of_task():
            return self.noted(next_lane())

        def of_asyncio(request, flags):
            found = look(request, flags)
            return self.noted(found) if request == 3 else found

        self._next_lane = of_task
        self._waiter = waiting.Waiter(of_asyncio)

    def noted(self, found):
        self.looks += 1
        if self.looks == self.mark and not found:
            meetings.marker.value(1)
        return found


def _check(m, number):
    value, _, latency = m
    assert value == number, "lost: message %d, not %d" % (value, number)
    assert latency < _LATE_US, "lost a wake-up: message %d after %d us" % (number, latency)


class Sweep:
    """One task or two, each on a channel of its own, to all of which the handler sends."""

    def __init__(self, tasks):
        self.marked = Marked()
        self.other = Channel(2, slot_size=4) if tasks == 2 else None
        self.number = 0
        self.sent = sent = [0]
        send = self.marked.send_word
        send_other = self.other.send_word if self.other else send

        def on_pin_one(pin):
            sent[0] += 1
            send(sent[0], NORMAL)

        def on_pin_two(pin):
            sent[0] += 1
            send_other(sent[0], NORMAL)
            send(sent[0], NORMAL)

        handler = on_pin_two if self.other else on_pin_one
        meetings.pin.irq(handler, Pin.IRQ_RISING, hard=True)

    async def _trials(self, mark, rounds):
        ch = self.marked
        awake = asleep = 0
        for _ in range(rounds):
            self.number += 1
            if self.other:
                second = asyncio.create_task(self._second())
                await asyncio.sleep_ms(0)  # it waits
            ch.looks = 0
            ch.mark = mark
            await ch.ready()
            looks = ch.looks
            m = ch.recv_word()
            meetings.marker.value(0)
            _check(m, self.number)
            if looks > 3:
                asleep += 1
            else:
                awake += 1
            if self.other:
                await second
        assert self.sent[0] == self.number and not len(ch) and not ch.dropped, self.sent
        print("awake", awake, "asleep", asleep)

    async def _second(self):
        await self.other.ready()
        _check(self.other.recv_word(), self.number)

    def run(self, mark, rounds):
        """Make so many trials, the marker at that look; print how the messages found the task."""
        _alone(self._trials(mark, rounds))


def _alone(coroutine):
    watchdog = Timer(freq=_WATCHDOG_HZ, hard=True, callback=_nothing)
    meetings.usb_interrupt(0)
    try:
        asyncio.run(coroutine)
    finally:
        meetings.usb_interrupt(1)
        watchdog.deinit()
        asyncio.new_event_loop()


def _nothing(timer):
    pass


def by_timer(hz, count, tasks):
    """Send `count` messages to so many tasks on one channel from a hard Timer of `hz`."""
    ch = Channel(8, slot_size=4)
    sent = [0]
    seen = [0]
    waits = [0]

    def on_timer(timer):
        if sent[0] < count:
            sent[0] += 1
            ch.send_word(sent[0], NORMAL)

    async def take():
        while seen[0] < count:
            m = ch.recv_word()
            if m is None:
                waits[0] += 1
                await ch.ready()
                continue
            seen[0] += 1
            _check(m, seen[0])
        ch.close()  # which ends the other's wait

    async def run():
        await asyncio.gather(*[take() for _ in range(tasks)])

    timer = Timer(freq=hz, hard=True, callback=on_timer)
    try:
        _alone(run())
    finally:
        timer.deinit()
    assert (ch.received, ch.dropped, len(ch)) == (count, 0, 0), ch
    print("messages", seen[0], "waits", waits[0])


def by_time(rounds, timeout_ms):
    """Let a task wait so often for nothing: it wakes when its time is up."""
    ch = Channel(2, slot_size=4)

    async def run():
        for _ in range(rounds):
            start = time.ticks_ms()
            assert await ch.ready(timeout_ms) is None
            took = time.ticks_diff(time.ticks_ms(), start)
            assert timeout_ms <= took < timeout_ms + _LATE_US // 1000, "%d ms" % took

    _alone(run())
