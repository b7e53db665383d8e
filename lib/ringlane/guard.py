"""Guards: let contexts share a sender or a receiver, where memory for lanes of their own is short.

    from ringlane import HIGH, Channel, IrqGuard

    ch = Channel(8, send_guard=IrqGuard())

    def on_edge(pin):  # a hard handler
        ch.send_word(1, HIGH)

    ch.send_word(2, HIGH)  # a task, with the same verb: the handler waits meanwhile

send_guard= is for senders, recv_guard= for receivers: each further receiving context takes an end
of its own from ch.add_receiver(), since a result belongs to one context. Whatever can raise comes
before the guard is taken, or gives it back.

    guard        excludes                                           from
    IrqGuard()   on rp2 hard handlers, and the other core if it     any handler or task
                 uses the guard too; elsewhere the port's interrupts
    LockGuard()  other threads                                      threads; never a handler, hard
                                                                    or soft: it would wait for
                                                                    the task that it interrupts
    SoftGuard()  nobody: recv_guard= for contexts that cannot       tasks and soft handlers of one
                 interrupt a verb, but need results of their own    core, threads under a GIL

    ch = Channel(8, recv_guard=SoftGuard())
    of_handler = ch.add_receiver()  # a soft handler's; the tasks receive with ch.recv

A guarded send takes 6,000 to 7,500 cycles (emulated RP2040, MicroPython 1.28), a plain one 1,800.

A guard is any object with enter(), which returns a state, and leave(state); neither may allocate
or raise. They should be builtin or viper functions: in Python code a Ctrl-C can come before the
guard is given back.
"""

import sys

import micropython
from micropython import const

from .checks import check_buffer, check_words, error
from .ends import Receiver
from .port import later

#: words(cog.inFile) :#
_MASK = const(3)  # the clock's period - 1
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
_CARDS = const(0)  # 8 words, by class: bytes from here to its lane, or to an end mark
_CLOCK = const(8)  # as RX_CLOCK, but 0 while AT_SET. Owner: sender
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_AT_SET = const(12)  # 1: the next message is stamped AT. Owner: sender
_AT = const(13)
_CAPACITY = const(4)  # slots; 0: the class is not used
# stamped.


class IrqGuard:
    """IrqGuard(): masks interrupts, for as long as one verb takes.

    Attributes: `enter`, `leave`. Raises ValueError on a board that cannot mask them.
    """

    def __init__(self):
        try:
            from machine import disable_irq, enable_irq
        except ImportError:
            if sys.implementation.name == "micropython":
                raise ValueError("this board cannot mask interrupts: use LockGuard()")
            from ringlane_host.simulate.masking import disable_irq, enable_irq
        self.enter = disable_irq
        self.leave = enable_irq


class LockGuard:
    """LockGuard(): a lock of _thread. Not for handlers."""

    def __init__(self):
        try:
            from _thread import allocate_lock
        except ImportError:
            raise ValueError("this MicroPython has no _thread: use IrqGuard()")
        lock = allocate_lock()
        self.enter = lock.acquire
        self.leave = _make_release(lock.release)


class SoftGuard:
    """SoftGuard(): excludes nobody. For contexts that take turns between verbs, never in one."""

    def __init__(self):
        self.enter = _enter_nothing
        self.leave = _leave_nothing


def _make_release(release):
    @micropython.viper
    def leave(state):
        release()

    return leave


@micropython.viper
def _enter_nothing():
    pass


@micropython.viper
def _leave_nothing(state):
    pass


def check_guards(send_guard, recv_guard, zero_copy):
    """Raise TypeError for what is no guard, ValueError for one beside zero_copy=True."""
    for what, each in (("send_guard", send_guard), ("recv_guard", recv_guard)):
        if each is not None and not (hasattr(each, "enter") and hasattr(each, "leave")):
            raise TypeError("%s must have enter and leave, not %r" % (what, each))
        if each is not None and zero_copy:
            raise ValueError("zero_copy=True needs a context each, not %s=%r" % (what, each))


def share_sender(end, guard):
    """Put the sending verbs of `end`, a SendingEnd, under `guard`."""
    end._put, end._put_word = end.send, end.send_word
    end._enter, end._leave = guard.enter, guard.leave
    end._check = end._check_message
    verbs = _guarded_sends(end._sender, end)
    end.send, end.send_word, end.send_at, end.send_word_at, end._check_message = verbs


def _guarded_sends(at, cold):
    # What could raise under the guard is tried before, and no Python code runs under it, in which
    # a Ctrl-C or a soft handler could come. A call may have five arguments and cells.
    size_of = len

    @micropython.viper
    def is_kept(data) -> bool:
        # The verb itself only remembers.
        return int(size_of(data)) < ptr32(int(at))[_LIMIT]

    @micropython.viper
    def send(data, priority: int) -> bool:
        if data is not cold._kept[0]:  # else it has been checked
            cold._check(data)
        part = ptr32(int(at))
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        if priority & -8 or not lane[_CAPACITY]:
            cold._no_lane(priority)
        state = cold._enter()
        sent = cold._put(data, priority)
        cold._leave(state)
        return bool(sent)

    @micropython.viper
    def send_word(value, priority: int) -> bool:
        int(value)  # and as an int it would be made an object again, which may take memory
        part = ptr32(int(at))
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        if priority & -8 or not lane[_CAPACITY]:
            cold._no_lane(priority)
        state = cold._enter()
        sent = cold._put_word(value, priority)
        cold._leave(state)
        return bool(sent)

    @micropython.viper
    def send_at(data, priority: int, ticks: int) -> bool:
        if data is not cold._kept[0]:
            cold._check(data)
        part = ptr32(int(at))
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        if priority & -8 or not lane[_CAPACITY]:
            cold._no_lane(priority)
        state = cold._enter()
        part[_AT] = ticks
        part[_AT_SET] = 1
        part[_CLOCK] = 0
        sent = cold._put(data, priority)
        cold._leave(state)
        return bool(sent)

    @micropython.viper
    def send_word_at(value, priority: int, ticks: int) -> bool:
        int(value)
        part = ptr32(int(at))
        #: step("lane of class") :#
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        # stamped.
        if priority & -8 or not lane[_CAPACITY]:
            cold._no_lane(priority)
        state = cold._enter()
        part[_AT] = ticks
        part[_AT_SET] = 1
        part[_CLOCK] = 0
        sent = cold._put_word(value, priority)
        cold._leave(state)
        return bool(sent)

    return send, send_word, send_at, send_word_at, is_kept


def guard_attempt(end, attempt):
    """Return the sender's attempt, made of its unguarded put, under its guard."""

    @micropython.viper
    def guarded(data, priority):
        state = end._enter()
        sent = attempt(data, priority)
        end._leave(state)
        return sent

    return guarded


def add_receiver(channel):
    """Return the receiver of a further context: recv_guard lets it share the lanes.

    It has the channel's receiving verbs, and results of its own. Raises ValueError for a
    channel without recv_guard.

    Context: set-up | alloc: the receiver | time: O(1) | blocks: never
    """
    if channel._recv_guard is None:
        raise ValueError("%s has no recv_guard, so one receiver" % channel._title())
    return GuardedReceiver(channel)


class GuardedReceiver(Receiver):
    """One of several receiving contexts of a channel with recv_guard: what add_receiver() returns.

    The verbs of the channel, and results of its own. `recv` wants a buffer of slot_size bytes, so
    that under the guard no message can be too large for it.
    """

    def __init__(self, channel):
        self._channel = channel
        self._waiter = None
        self._served = 0  # when select() last chose it
        self._stamp = [0]
        self._kept = [b"", None, None]
        guard = channel._recv_guard
        self._enter, self._leave = guard.enter, guard.leave
        self._next_lane = channel._next_lane
        self._receiver = channel._receiver
        # Beneath the channel's methods, as no Python code may run under the guard.
        self._take_words = Receiver.recv_words
        self._drop_of = Receiver._drop
        if channel._stats is not None:
            measure = channel._stats
            self.stats, self.stats_into = measure.stats, measure.stats_into
            self.reset_stats = measure.reset
        verbs = _guarded(self, *channel._unguarded)
        self.recv, self.recv_word, self.recv_words, self.skip, self.clear = verbs

    @property
    def closed(self):
        """Whether the channel is closed."""
        return self._channel.closed

    def __len__(self):
        """Messages queued: exact for a receiver or too small, else a guess."""
        return len(self._channel)

    def __bool__(self):
        return True  # else __len__ would make an empty receiver false

    def __repr__(self):
        return "receiver of %s" % self._channel

    def __getattr__(self, name):
        return later("ringlane.cold").fetch(self, name)

    def _title(self):
        return self._channel._title()

    def timestamp(self):
        """As the channel's, of the message that this receiver took last with recv or recv_word."""
        return self._stamp[0]

    def _vet_words(self, words):
        if words is None or words is not self._kept[2]:  # else it has been checked
            if check_words(words):
                self._kept[2] = words

    def _vet(self, buf):
        if buf is None or buf is not self._kept[1]:
            if check_buffer(buf):
                self._kept[1] = buf
        if len(buf) < self._channel.slot_size:
            raise error(
                ValueError,
                "receive buffer of %d bytes, under recv_guard slot_size=%d",
                len(buf),
                self._channel.slot_size,
            )


@micropython.viper
def _is_checked(buf) -> bool:
    return True


def share_receiver(channel):
    """Put the receiving verbs of `channel` under its recv_guard."""
    channel._unguarded = channel.recv, channel.recv_word
    # The guarded verbs check, before the guard is taken.
    channel._check_buffer = channel._check_words = _is_checked
    first = GuardedReceiver(channel)
    channel.recv, channel.recv_word, channel.recv_words = (
        first.recv,
        first.recv_word,
        first.recv_words,
    )
    channel.skip, channel.clear, channel.timestamp = first.skip, first.clear, first.timestamp


def _guarded(cold, take, take_word):
    result = [0, 0, 0]

    @micropython.viper
    def recv(buf):
        cold._vet(buf)
        state = cold._enter()
        try:
            m = take(buf)
            if m:
                result[0] = m[0]
                result[1] = m[1]
                result[2] = m[2]
                part = ptr32(int(cold._receiver))
                cold._stamp[0] = part[_STAMP] & part[_MASK]
                m = result
        finally:  # should the buffer have shrunk since
            cold._leave(state)
        return m

    # These raise for a message that is no word, which only the next message itself tells.

    @micropython.viper
    def recv_word():
        state = cold._enter()
        try:
            m = take_word()
            if m:
                result[0] = m[0]
                result[1] = m[1]
                result[2] = m[2]
                part = ptr32(int(cold._receiver))
                cold._stamp[0] = part[_STAMP] & part[_MASK]
                m = result
        finally:
            cold._leave(state)
        return m

    @micropython.viper
    def recv_words(words) -> int:
        cold._vet_words(words)
        state = cold._enter()
        try:
            count = int(cold._take_words(cold._channel, words))
        finally:
            cold._leave(state)
        return count

    @micropython.viper
    def skip() -> bool:
        state = cold._enter()
        dropped = cold._drop_of(cold._channel, False)
        cold._leave(state)
        return bool(dropped)

    @micropython.viper
    def clear() -> int:
        state = cold._enter()
        count = int(cold._drop_of(cold._channel, True))
        cold._leave(state)
        return count

    return recv, recv_word, recv_words, skip, clear
