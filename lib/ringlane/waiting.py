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

How a task waits: it gives asyncio a *waiter*, a stream whose ioctl is a *look*, a viper closure
that asyncio's poll calls without Python code in between. All waiters of an end have the same look.
A task that was woken takes its message at once. Of several tasks on one end all are woken, and
those that find nothing wait again. A time-out costs those waits only that have one.

A waiting task has a waiter of its own, kept for the next wait if no other task needs it. A wait
allocates on an RP2040: `ready`, `arecv` and `arecv_word` 112 bytes, 160 if they block and 320 if
their time passes, `select` 200 to 400, `asend` 240 to 370; recv_wait nothing after the first time
it blocks. Where the heap lies above 0x3FFFFFFF, asyncio itself allocates more each time a task
blocks, 192 bytes on a 32-bit unix port with its heap up there: it keys streams by id(), which is
too large for a small int there. What is ready is had at once, without a turn for other tasks.

Do not put asyncio.wait_for_ms() round arecv: in MicroPython it may lose a message that comes just
then. `timeout_ms` does not.
"""

import io
import sys
import time

import micropython
from micropython import const

from .checks import check_int, check_message
from .port import fence

if sys.implementation.name == "micropython":
    from select import poll

    def coroutine(function):
        """Make a generator function an `async def`: here, where they are the same, as it is."""
        return function

else:
    from ringlane_host.simulate.event_loop import coroutine, poll

from asyncio import core

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_KNOWN = const(14)  # the message object last checked, as a word. Owner: sender
_ROWS = const(16)  # fan-out: how many receivers there may be
_ROW_STEP = const(17)  # fan-out: bytes from a row's lane to the next row's
_POLICY = const(18)  # fan-out: 0: all receivers, else one, chosen by the policy
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
# with so many queued send looks closer; 0 while claimed. Owner: producer. Fan-out: max_lag or 0 |
# epoch << 16 | core << 24. Owner: the receiver:
_ROOM = const(3)
_CAPACITY = const(4)  # slots; 0: the class is not used
_CLAIMED = const(13)  # 1: a claim is open. Owner: producer
_LANE_BYTES = const(56)
_LAST = const(2)  # in REST
# stamped.

_POLL = const(3)  # MP_STREAM_POLL, the request that asks a stream what it is ready for
_POLLIN = const(1)
_TIMEOUT_MAX = const((1 << 29) - 1)  # where ticks_diff would overflow
_TURNS = const(0x3FFFFFFF)  # select numbers its choices modulo this and 1: always a small int
_turn = 0  # of select's last choice


def make_look(end):
    """Return the look of a receiver, the ioctl of its waiters: ready with a message, or closed.

    It may be ready for nothing, as for a message to an earlier receiver, but never miss something:
    what takes the message decides. All that waits know of how lanes are laid out is here, and of
    asend in make_attempt.
    """
    channel = end._channel
    at = end._receiver
    sender = channel._base + channel._sender_at(0)
    closing = end._closing

    @micropython.viper
    def look(request: int, flags: int) -> int:
        if request != _POLL:
            return -1
        lane = ptr32(int(at) + ptr32(int(at))[_LANES])
        while not lane[_HEAD] - lane[_TAIL]:
            lane = ptr32(int(lane) + _LANE_BYTES)
        if lane[_REST] == _LAST and ptr32(int(sender))[_LIMIT] and not ptr8(closing)[0]:
            return 0
        return flags

    return look


def _look_no_more(request, flags):
    # The look of a waiter whose time is up.
    return flags if request == _POLL else -1


def _make_look_at_all(looks):
    # The look of several ends, that of select: each is asked in turn.
    @micropython.viper
    def look(request: int, flags: int) -> int:
        found = 0
        for each in looks:
            found = int(each(request, flags))
            if found:
                break
        return found

    return look


class Waiter(io.IOBase):
    """Waiter(look, timeout_ms=None): what one task waits on, a stream to asyncio and select.poll.

    `look(request, flags)` is its ioctl. With `timeout_ms`, which begin here, the stream is ready
    when they have passed, too.
    """

    # Not in each object, as most have no use for them.
    deadline = None
    _spare = None
    _poller = None

    def __init__(self, look, timeout_ms=None):
        # In the object, and not a method: nothing is bound, and poll finds it first.
        self.ioctl = look
        if timeout_ms is not None:
            self.deadline = _deadline(timeout_ms)

    def is_late(self):
        """Return whether the time has passed."""
        return self.deadline is not None and _left_ms(self.deadline) == 0

    def take(self):
        """Return a waiter with the same look, for one task: it goes back to `_spare` afterwards.

        One that does not come back, as its task was cancelled, is replaced by the next call.
        """
        waiter = self._spare
        if waiter is None:
            return Waiter(self.ioctl)
        self._spare = None
        return waiter

    def block(self, deadline):
        """Wait without asyncio, until the look is ready or the deadline, None for ever."""
        if self._poller is None:
            self._poller = poll()
            self._poller.register(self, _POLLIN)
        for _ in self._poller.ipoll(-1 if deadline is None else _left_ms(deadline)):
            pass

    def send(self, value):
        """Ring: a waiter with a deadline is the coroutine of the alarm, a task one step long."""
        self.ioctl = _look_no_more


@coroutine
def pause(waiter):
    """Let the loop run other tasks until the waiter is ready: to be awaited."""
    if waiter.deadline is None:
        yield core._io_queue.queue_read(waiter)
        return
    # The loop looks at its streams when something wakes it: this does. It is no task that anyone
    # sees, and it is not cancelled, as that runs it once more, but taken off its queue.
    queue = core._task_queue
    alarm = core.Task(waiter)
    queue.push(alarm, waiter.deadline)
    try:
        yield core._io_queue.queue_read(waiter)
    finally:
        if waiter.ioctl is not _look_no_more:
            queue.remove(alarm)


def _deadline(timeout_ms):
    # In ticks; None if there is none.
    if timeout_ms is None:
        return None
    if type(timeout_ms) is not int or not 0 <= timeout_ms <= _TIMEOUT_MAX:
        check_int("timeout_ms", timeout_ms, 0, _TIMEOUT_MAX)
    return time.ticks_add(time.ticks_ms(), timeout_ms)


def _left_ms(deadline):
    # 0 once it has passed.
    return max(0, time.ticks_diff(deadline, time.ticks_ms()))


def _first(end):
    # The end's first waiter: that of recv_wait, and whose take() gives the tasks theirs.
    waiter = end._waiter
    if waiter is None:
        waiter = end._waiter = Waiter(make_look(end))
    return waiter


def _state(end):
    # True: it has a message; False: closed and drained; None: neither.
    closed = end.closed  # first: what was queued before the close is found below
    if closed and fence:
        fence()
    try:
        if end._next_lane():
            return True
    except ValueError:
        return False  # a fan-out receiver that has closed itself refuses to look
    return False if closed else None


def ready(end, timeout_ms):
    """As Receiver.ready."""
    _deadline(timeout_ms)  # raises at once if it is none
    return _receive(end, _state, False, end, timeout_ms)


def arecv(end, buf, timeout_ms):
    """As Receiver.arecv."""
    return _receive(end, end.recv, False, buf, timeout_ms)


def arecv_word(end, timeout_ms):
    """As Receiver.arecv_word."""
    return _receive(end, end.recv_word, True, None, timeout_ms)


@coroutine
def _receive(end, recv, word, buf, timeout_ms):
    alarm = None if timeout_ms is None else Waiter(_first(end).ioctl, timeout_ms)
    closed = False
    while True:
        try:
            m = recv() if word else recv(buf)
        except ValueError:
            if _state(end) is not False:
                raise
            return False  # the receiver has closed itself
        if m:
            return m
        if closed:
            return False
        if end.closed:
            closed = True  # and once more: what was queued before the close is found now
            if fence:
                fence()
        elif alarm is None:
            first = _first(end)
            waiter = first.take()
            # The loop's own queue, and no call in between when it wakes the task.
            yield core._io_queue.queue_read(waiter)
            first._spare = waiter
        elif alarm.is_late():
            return None
        else:
            yield from pause(alarm)


def recv_wait(end, buf, timeout_ms):
    """As Receiver.recv_wait."""
    deadline = _deadline(timeout_ms)
    closed = late = False
    while True:
        try:
            m = end.recv(buf)
        except ValueError:
            if _state(end) is not False:
                raise
            return False
        if m:
            return m
        if closed:
            return False
        if late:
            return None
        # After the close, and after the time, recv has a last look.
        closed = end.closed
        if closed and fence:
            fence()
        late = deadline is not None and _left_ms(deadline) == 0
        if not closed and not late:
            _first(end).block(deadline)


async def asend(sender, data, priority, timeout_ms):
    """As Sender.asend."""
    channel = sender._channel

    def look(request, flags):
        if request != _POLL:
            return -1
        return flags if channel.closed or sender.free(priority) else 0

    waiter = Waiter(look, timeout_ms)
    check_message(data)
    channel._lane(sender._number, priority)
    if sender._attempt is None:
        sender._attempt = make_attempt(sender)
    while len(data) <= channel.slot_size:
        late = waiter.is_late()
        closed = channel.closed
        sent = sender._attempt(data, priority)
        if sent is not None:
            return sent
        # Closed: by another core perhaps, whose other stores are not seen here yet.
        if closed or late:
            break
        await pause(waiter)  # and try again, as another context may take the room meanwhile
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
        known = data if 1 else 0  # the object as a word: see `Objects as words` in verbs.py
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
    waiter = Waiter(None, timeout_ms)
    if not ends:
        raise ValueError("select needs a channel or a receiver")
    for end in ends:
        if not hasattr(end, "_served"):
            raise TypeError("select takes channels and receivers, not %r" % (end,))
    while True:
        chosen = None
        age = -1
        looks = []
        for end in ends:
            state = _state(end)
            if state:
                since = (_turn - end._served) & _TURNS
                if since > age:
                    age = since
                    chosen = end
            elif state is None:
                looks.append(_first(end).ioctl)
        if chosen is not None:
            _turn = (_turn + 1) & _TURNS
            chosen._served = _turn
            return chosen
        if not looks:
            return False
        if waiter.is_late():
            return None
        waiter.ioctl = _make_look_at_all(looks)  # not at those that are over
        await pause(waiter)
