"""Waiting: a task sleeps until a message comes, or until there is room.

    async def consume():
        while m := await ch.arecv(buf):  # False: closed and drained
            size, priority, latency = m
            handle(buf, size)

    while end := await select(commands, samples):  # in turn, if both have something
        m = end.recv(buf)

    m = ch.recv_wait(buf, 100)  # without asyncio, for 100 ms at most; then None

Each wait tells three outcomes apart: what it waited for, which is true; None, `timeout_ms` have
passed; False, it is over for good: every message is read and none will come. A channel ends by
close(), a receiver of a fan-out channel also by its own close().

A send does nothing for those who wait: the event loop looks at the lanes itself, whenever an
interrupt or a timer wakes it, so no wake-up can be lost and a handler pays nothing. On rp2 a
sender on the *other* core calls ch.notify() after its send, as nothing else would wake this one.

Where two cores, or threads without a GIL, wait, `import ringlane.waiting` before the second
starts: it is imported at the first wait, which must not happen in both at once.

Each waiting task has a waiter of its own, kept for the next wait if no other task needs it. A wait
allocates: on an RP2040 `ready` 48 bytes, 96 if it blocks and about 200 if its time passes, `arecv`
64, 160 and about 300, `select` about 300; recv_wait nothing after the first time it blocks. Where
the heap lies above 0x3FFFFFFF, asyncio itself allocates more each time a task blocks: it keys
streams by id(), which there is too large for a small int (288 bytes, not 96, for a `ready` that
blocks, on a 32-bit unix port with its heap up there; not measured on a board). What is ready is
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

from .checks import check_int

if sys.implementation.name == "micropython":
    from select import poll
else:
    from ringlane_host.event_loop import poll

#: words(cog.inFile) :#
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_KNOWN = const(14)  # the message object last checked, as a word. Owner: sender
_ROWS = const(15)  # fan-out: how many receivers there may be
_ROW_STEP = const(16)  # fan-out: bytes from a row's lane to the next row's
_POLICY = const(17)  # fan-out: 0: all receivers, else one, chosen by the policy
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
# with so many queued send looks closer; 0 while claimed. Owner: producer. Fan-out: max_lag or 0 |
# epoch << 16 | core << 24. Owner: the receiver:
_ROOM = const(3)
_CAPACITY = const(4)  # slots; 0: the class is not used
_CLAIMED = const(13)  # 1: a claim is open. Owner: producer
# stamped.

_POLL = 3  # MP_STREAM_POLL, the request that asks a stream what it is ready for
_POLLIN = 1
_TIMEOUT_MAX = (1 << 29) - 1  # where ticks_diff would overflow
_TURNS = 0x3FFFFFFF  # select numbers its choices modulo this and 1: always a small int
_turn = 0  # of select's last choice


class Waiter(io.IOBase):
    """Waiter(poll): what one task waits on, a stream to asyncio and to select.poll.

    `poll()` tells, without allocating, whether the wait is over; with `end`, a receiver, it is its
    _poll. Awaited, it gives what poll gave, or of an `end` True, a message, or False, closed and
    drained; None if the time of `begin` has passed. It also passes for a coroutine, to gather()
    for example.
    """

    def __init__(self, poll, end=None):
        self.poll = poll
        self.busy = False
        self._of = end
        self._deadline = None
        self._alarm = None
        self._poller = None

    def begin(self, timeout_ms):
        """Start a wait of at most `timeout_ms`, None for ever; return the waiter."""
        self._deadline = None
        if timeout_ms is not None:
            _vet_timeout(timeout_ms)
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
        result = self.poll() or None
        if result is not None and self._of is not None:
            # Mostly it is the lane that has a message, which needs no second look.
            result = _state(self._of) if result is True else True
        left = self.left_ms()
        if result is not None or left == 0:
            self.end()
            raise StopIteration(result)
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


def _vet_timeout(timeout_ms):
    if timeout_ms is not None:
        check_int("timeout_ms", timeout_ms, 0, _TIMEOUT_MAX)


def _state(end):
    # True: it has a message; False: closed and drained; None: neither.
    closed = end.closed  # first: what was queued before the close is found below
    try:
        if end._next_lane():
            return True
    except ValueError:
        return False  # a fan-out receiver that has closed itself refuses to look
    return False if closed else None


def ready(end, timeout_ms):
    """As Receiver.ready."""
    _vet_timeout(timeout_ms)
    # The end's own waiter, unless a task waits on that. Tasks of one event loop take turns at
    # awaits only, and no handler waits, so nobody takes it between the look at `busy` and begin.
    waiter = end._waiter
    if waiter is None or waiter.busy:
        waiter = end._waiter = Waiter(end._poll, end)
    return waiter.begin(timeout_ms)


async def arecv(end, buf, timeout_ms):
    """As Receiver.arecv."""
    _vet_timeout(timeout_ms)
    waiter = None
    while True:
        closed = end.closed  # first: what was queued before the close is found by recv
        if closed and _state(end) is False:
            return False  # without recv, which raises if it is a receiver that closed itself
        m = end.recv(buf)
        if m is not None:
            return m
        if closed:
            return False
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
            late = waiter.left_ms() == 0  # before recv, so that the last look is after the time
            closed = end.closed  # and so for the close, as in arecv
            if closed and _state(end) is False:
                return False
            m = end.recv(buf)
            if m is not None:
                return m
            if closed:
                return False
            if late:
                return None
            waiter.block()
    finally:
        waiter.end()


async def asend(sender, data, priority, timeout_ms):
    """As Sender.asend."""
    _vet_timeout(timeout_ms)
    channel = sender._channel
    sender._vet(data, priority)

    def room():
        return channel.closed or sender.free(priority)

    waiter = None
    while len(data) <= channel.slot_size:
        closed = channel.closed
        sent = sender._try(data, priority)
        if sent is not None:
            return sent
        if closed:
            break  # another core closed it, and its other stores are not seen here yet
        if waiter is None:
            waiter = Waiter(room).begin(timeout_ms)
        elif waiter.left_ms() == 0:
            break
        await waiter  # and try again, as another context may take the room meanwhile
    return sender.send(data, priority)  # which counts it, dropped or rejected


def make_attempt(cold):
    """Return what sends as `cold.send` does, but None, and nothing counted, where it is full.

    Full: the lane of the class; for multicast, that of an open receiver; for anycast, of all. It
    is one viper function, under the sender's guard, so that nobody takes the room in between.
    """
    guarded = cold._channel._send_guard is not None
    send = cold._put if guarded else cold.send
    at = cold._sender

    @micropython.viper
    def attempt(data, priority):
        part = ptr32(int(at))
        # As in send, which then runs no Python code after the look.
        #: step("known message", known="part[_TX_KNOWN]", kept="0") :#
        known = data if 1 else 0  # the object as a word: see `Objects as words` in lanes.py
        if (known - part[_TX_KNOWN]) & 0x3FFFFFFF:
            if cold._check_message(data):
                cold._kept[0] = data
                part[_TX_KNOWN] = known
        # stamped.
        lane = ptr32(int(part) + ptr32(int(part) + ((int(priority) & 7) << 2))[_CARDS])
        full = 0
        free = 0
        if part[_ROWS]:
            left = part[_ROWS]
            while left:
                room = lane[_ROOM] & 0xFFFF
                if room:  # else no receiver is open there
                    if ((lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF) < room:
                        free = 1
                    else:
                        full = 1
                lane = ptr32(int(lane) + part[_ROW_STEP])
                left -= 1
        elif ((lane[_HEAD] - lane[_TAIL]) & 0x3FFFFFFF) >= lane[_CAPACITY] or lane[_CLAIMED]:
            full = 1
        if full and part[_LIMIT] and not (free and part[_POLICY]):
            return None
        return send(data, priority)

    if guarded:
        from .guard import guard_attempt

        return guard_attempt(cold, attempt)
    return attempt


async def select(*ends, timeout_ms=None):
    """Wait until one of `ends`, channels or receivers, has a message; return it.

    Of several, the one that select returned longest ago, so that a busy one keeps none waiting.
    None: `timeout_ms` have passed. False: all are closed and drained; one that is closed and
    drained beside others that are not is passed over. It takes no message: call recv of what it
    returns, which may give None if another task or context was faster.

    Context: a task | alloc: a coroutine, a waiter | blocks: its task only
    """
    global _turn
    _vet_timeout(timeout_ms)
    if not ends:
        raise ValueError("select needs a channel or a receiver")
    for end in ends:
        if not hasattr(end, "_poll"):
            raise TypeError("select takes channels and receivers, not %r" % (end,))

    def choose():
        # An end with a message; True: all are closed and drained; None: nothing yet.
        chosen = None
        age = -1
        over = True
        for end in ends:
            found = end._poll() or None
            if found is True:  # closed; else the lane that has a message
                found = _state(end)
            if found:
                since = (_turn - end._served) & _TURNS
                if since > age:
                    age = since
                    chosen = end
            elif found is None:
                over = False
        return chosen or over or None

    chosen = await Waiter(choose).begin(timeout_ms)
    if chosen is True:
        return False
    if chosen is not None:
        _turn = (_turn + 1) & _TURNS
        chosen._served = _turn
    return chosen
