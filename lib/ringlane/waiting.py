"""Waiting: a task sleeps until a message comes, or until there is room.

    async def consume():
        while (m := await ch.arecv(buf)) is not None:  # None: closed and drained
            size, priority, latency = m
            handle(buf, size)

    while True:  # whichever of two has something, in turn if both have
        end = await select(commands, samples)
        m = end.recv(buf)

    m = ch.recv_wait(buf, 100)  # without asyncio, for 100 ms at most

A send does nothing for those who wait: the event loop looks at the lanes itself, whenever an
interrupt or a timer wakes it, so no wake-up can be lost and a handler pays nothing. On rp2 a
sender on the *other* core calls ch.notify() after its send, as nothing else would wake this one.

Where two cores, or threads without a GIL, wait, `import ringlane.waiting` before the second
starts: it is imported at the first wait, which must not happen in both at once.

Each waiting task has a waiter of its own, kept for the next wait if no other task needs it. A wait
allocates: on an RP2040 `ready` 48 bytes, 96 if it blocks and 172 if its time passes, `arecv` 64,
160 and 320, `select` about 300; recv_wait nothing after the first time it blocks. What is ready is
had at once, without a turn for other tasks.

Do not put asyncio.wait_for_ms() round arecv: in MicroPython it may lose a message that comes just
then. `timeout_ms` does not.
"""

import asyncio
import io
import sys
import time

import micropython
from micropython import const

from .lanes import whole

if sys.implementation.name == "micropython":
    from select import poll
else:
    from ringlane_host.event_loop import poll

# As in lanes.py, where they are explained; const folds within a file only.
_LIMIT = const(1)
_OWN_LANES = const(2)
_PLACE_STEP = const(3)
_PLACES = const(10)
_POLICY = const(11)
_HEAD = const(0)
_TAIL = const(1)
_ROOM = const(2)
_CAPACITY = const(3)

_POLL = 3  # MP_STREAM_POLL, the request that asks a stream what it is ready for
_POLLIN = 1
_TIMEOUT_MAX = (1 << 29) - 1  # where ticks_diff would overflow
_turn = 0  # of select: grows with each choice


class Waiter(io.IOBase):
    """Waiter(poll): what one task waits on, a stream to asyncio and to select.poll.

    `poll()` tells, without allocating, whether the wait is over. Awaited, it gives True, or False
    if the time of `begin` has passed; it also passes for a coroutine, to gather() for example.
    """

    def __init__(self, poll):
        self.poll = poll
        self.busy = False
        self._deadline = None
        self._alarm = None
        self._poller = None

    def begin(self, timeout_ms):
        """Start a wait of at most `timeout_ms`, None for ever; return the waiter."""
        self._deadline = None
        if timeout_ms is not None:
            whole("timeout_ms", timeout_ms, 0, _TIMEOUT_MAX)
            self._deadline = time.ticks_add(time.ticks_ms(), timeout_ms)
        self.busy = True
        return self

    def end(self):
        """End the wait: another may begin."""
        self.busy = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def left_ms(self):
        """Return the milliseconds until the deadline, 0 once it has passed; None: no deadline."""
        if self._deadline is None:
            return None
        return max(0, time.ticks_diff(self._deadline, time.ticks_ms()))

    def ioctl(self, request, flags):
        """Answer a poll: `flags` if the wait is over."""
        if request != _POLL:
            return -1
        return flags if self.poll() or self.left_ms() == 0 else 0

    def block(self):
        """Wait without asyncio, until the wait is over."""
        if self._poller is None:
            self._poller = poll()
            self._poller.register(self, _POLLIN)
        left = self.left_ms()
        for _ in self._poller.ipoll(-1 if left is None else left):
            pass

    def __iter__(self):
        return self

    __await__ = __iter__

    def __next__(self):
        ready = bool(self.poll())
        left = self.left_ms()
        if ready or left == 0:
            self.end()
            raise StopIteration(ready)
        self.busy = True
        if left is not None and self._alarm is None:
            # The loop looks at a stream when something wakes it: this does.
            self._alarm = asyncio.create_task(_sleep(left))
        return asyncio.core._io_queue.queue_read(self)  # None; on CPython what its loop wants

    def send(self, value):
        return self.__next__()

    def throw(self, error):
        self.end()
        raise error


async def _sleep(ms):
    await asyncio.sleep_ms(ms)


def ready(end, timeout_ms):
    """As Receiver.ready."""
    # The end's own waiter, unless a task waits on that.
    waiter = end._waiter
    if waiter is None or waiter.busy:
        waiter = end._waiter = Waiter(end._poll)
    return waiter.begin(timeout_ms)


async def arecv(end, buf, timeout_ms):
    """As Receiver.arecv."""
    waiter = None
    while True:
        closed = end.closed  # first: what is queued from here on, is found by recv
        m = end.recv(buf)
        if m is not None or closed:
            return m
        if waiter is None:
            waiter = ready(end, timeout_ms)
        elif waiter.left_ms() == 0:
            return None
        await waiter


def recv_wait(end, buf, timeout_ms):
    """As Receiver.recv_wait."""
    waiter = ready(end, timeout_ms)
    try:
        while True:
            late = waiter.left_ms() == 0
            closed = end.closed
            m = end.recv(buf)
            if m is not None or closed or late:
                return m
            waiter.block()
    finally:
        waiter.end()


async def asend(sender, data, priority, timeout_ms):
    """As Sender.asend."""
    channel = sender._channel
    sender._vet(data, priority)

    def room():
        return channel.closed or sender.free(priority)

    waiter = None
    while len(data) <= channel.slot_size:
        if room():
            sent = sender.send(data, priority)
            if sent or channel.closed or channel._guard is None:
                return sent
            # Under the guard another context has taken the room meanwhile.
        if waiter is None:
            waiter = Waiter(room).begin(timeout_ms)
        if not await waiter:
            return False
    return sender.send(data, priority)  # refused, and counted


def make_attempt(sender):
    """Return what sends as `sender.send` does, but None, and nothing counted, where it is full.

    Full: the lane of the class; for multicast, that of an open receiver; for anycast, of all. It
    is one viper function, under the sender's guard, so that nobody takes the room in between.
    """
    guarded = sender._channel._guard is not None
    send = sender._put if guarded else sender.send
    block = sender._block

    @micropython.viper
    def attempt(data, priority):
        part = ptr32(block)
        lane = int(part) + part[_OWN_LANES]
        left = part[_PLACES]
        if not left:
            left = 1
            lane += int(priority) * part[_PLACE_STEP]
        full = 0
        free = 0
        while left:
            header = ptr32(lane)
            room = header[_ROOM] & 0xFFFF
            if room or not part[_PLACES]:  # else no receiver is open there
                used = header[_HEAD] - header[_TAIL]
                if used < 0:
                    used += header[_CAPACITY] + header[_CAPACITY]
                if used < room:
                    free += 1
                else:
                    full += 1
            lane += part[_PLACE_STEP]
            left -= 1
        if full and part[_LIMIT] and not (free and part[_POLICY]):
            return None
        return send(data, priority)

    if guarded:
        from .guard import guard_attempt

        return guard_attempt(sender, attempt)
    return attempt


async def select(*ends, timeout_ms=None):
    """Wait until one of `ends`, channels or receivers, has a message or is closed; return it.

    Of several, the one that select returned longest ago, so that a busy one keeps none waiting.
    None if `timeout_ms` pass before. It takes no message: call recv of what it returns. A closed
    end is returned again and again: leave it out once it is drained.

    Context: a task | alloc: a coroutine, a waiter | blocks: its task only
    """
    global _turn
    if not ends:
        raise ValueError("select needs a channel or a receiver")
    for end in ends:
        if not hasattr(end, "_poll"):
            raise TypeError("select takes channels and receivers, not %r" % (end,))

    def choose():
        chosen = None
        for end in ends:
            if end._poll() and (chosen is None or end._served < chosen._served):
                chosen = end
        return chosen

    waiter = Waiter(choose).begin(timeout_ms)
    chosen = None
    while chosen is None:
        if not await waiter:
            return None
        chosen = choose()  # None if under a recv_guard another context has taken it meanwhile
    _turn += 1
    chosen._served = _turn
    return chosen
