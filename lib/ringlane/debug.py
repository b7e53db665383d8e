"""debug(): find, while the firmware runs, which contexts share a sender or a receiver.

    import ringlane

    watch = ringlane.debug()  # at the start, before the channels are made
    ...
    print(watch)  # which contexts have met, so far

An end of a channel, which is a sender, a receiver, a client or a server, is for one context: one
core's tasks, or its hard handlers, or a thread. The verbs of channels that are made from now on
note who is in them, and find

    two contexts in an end's verbs at once, also under a guard that does not keep them apart
    two that take turns at an end without a guard. To hand an end over, once, is no fault, so a
    program may fill a channel before its handler starts

A task that finds it, or that uses the end next, gets a RuntimeError that names both, and its verb
has done nothing. In a hard handler and under a guard nothing is raised or allocated; what is found
there is counted, and the scheduler prints it soon.

A verb takes some 1,800 cycles more (emulated RP2040), each end 0.8 KB of RAM, and this module with
what it imports 10 KB. Without debug() nothing changes. Where memory lies above 0x3FFFFFFF, the
ident of a thread takes 16 bytes at each verb.

Not told apart: soft handlers from the tasks that they interrupt, and on a RISC-V core hard
handlers from tasks. Not watched: close(), the counters, and what waits without taking a message.
"""

from array import array

import micropython
from micropython import const

from .ends import Receiver, SendingEnd
from .facts import CPU_ID, EXCEPTION
from .lanes import Lanes
from .port import address, later

# The words of an end.
_INSIDE = const(0)  # who is in a verb; 0: nobody
_BEFORE = const(1)  # who was in one last
_CHANGES = const(2)  # how often another came than the one before
_ALONE = const(3)  # 1: without a guard
_MET = const(4)  # how often two met
_TOLD = const(5)  # how many of these a task has been told
_ONE = const(6)  # the two that met first
_OTHER = const(7)
_AT_ONCE = const(8)  # 1: in verbs at the same time
_CPUID = const(9)  # address of the register that has the number of the core; 0: none
_EXCEPTION = const(10)  # and of the one whose low 9 bits are not 0 in a hard handler; 0: none
_WATCH_WORDS = const(11)

_HANDLER = const(2)  # added to a core's number, from 1, for its hard handlers

try:
    from _thread import get_ident
except ImportError:

    def get_ident():
        """Return the thread: there is one."""
        return 0


_ADVICE = {
    "sender": "give each its own, by add_sender()",
    "receiver": "give each its own, by recv_guard= and add_receiver()",
    "client": "give each a channel",
    "server": "give each a channel",
}


class Debug:
    """What debug() returns; print it. It names the contexts that have met first, end by end."""

    def __init__(self):
        self._watches = []

    @property
    def met(self):
        """How often two contexts have met in an end: 0 is as it should be."""
        return sum(watch.words[_MET] for watch in self._watches)

    def __repr__(self):
        found = [str(watch) for watch in self._watches if watch.words[_MET]]
        return "\n".join(found) or "no two contexts have met in %d ends" % len(self._watches)


class _Watch:
    # Over one end of a channel.
    def __init__(self, kind, channel):
        self.words = words = array("I", [0] * _WATCH_WORDS)
        words[_ALONE] = 1
        words[_CPUID], words[_EXCEPTION] = CPU_ID, EXCEPTION
        self._kind = kind
        self._channel = channel
        at = address(words)
        self.note = _make_note(at, self)
        self.enter = _make_enter(at, self)
        self.leave = _make_leave(at, self)
        self._print = self._show  # a bound method, which a handler could not make
        _debug._watches.append(self)

    def __str__(self):
        words = self.words
        return "%s: %s and %s %s (%d times): %s" % (
            self._channel._title(),
            _context(words[_ONE]),
            _context(words[_OTHER]),
            ("were in one %s at once" if words[_AT_ONCE] else "take turns at one %s") % self._kind,
            words[_MET],
            _ADVICE[self._kind] if words[_ALONE] else "this guard does not keep them apart",
        )

    def over(self, end, **verbs):
        """Put the verbs of `end`, by name and with their number of arguments, under this watch."""
        for name in verbs:
            setattr(end, name, _watched(self, getattr(end, name), verbs[name]))

    def tell(self):
        """Raise what was found, in a task."""
        try:
            bytearray(1)
        except MemoryError:
            return  # a hard handler that is not known as one
        words = self.words
        words[_TOLD] = words[_MET]
        words[_INSIDE] = 0
        raise RuntimeError(str(self))

    def ask(self):
        """Let the scheduler print what was found. Allocates nothing."""
        try:
            micropython.schedule(self._print, 0)
        except RuntimeError:
            pass  # its queue is full: print(watch) shows it

    def _show(self, _):
        print(self)


def _context(who):
    if CPU_ID:
        core = who - 1 & 1
        return ("hard handlers on core %d" if who > _HANDLER else "tasks on core %d") % core
    return "the thread that called debug()" if who == _first else "another thread"


def _make_note(at, cold):
    @micropython.viper
    def note(one: int, other: int, at_once: int):
        words = ptr32(int(at))
        met = words[_MET]
        if not met:
            words[_ONE] = one
            words[_OTHER] = other
            words[_AT_ONCE] = at_once
        words[_MET] = (met + 1) & 0x3FFFFFFF
        if not met:
            if not words[_ALONE] or (words[_CPUID] and other > _HANDLER):
                cold.ask()  # else a task is told at once

    return note


def _make_enter(at, cold):
    ident = get_ident

    @micropython.viper
    def enter() -> int:
        words = ptr32(int(at))
        handler = 0
        if words[_CPUID]:
            me = ptr32(words[_CPUID])[0] + 1
            if words[_EXCEPTION]:
                if ptr32(words[_EXCEPTION])[0] & 0x1FF:
                    handler = _HANDLER
                    me += handler
        else:
            me = (int(ident()) & 0x1FFFFFFF) + 1
        inside = words[_INSIDE]
        last = words[_BEFORE]
        words[_INSIDE] = me
        words[_BEFORE] = me
        if inside and inside - me:
            cold.note(inside, me, 1)
        elif last and last - me:
            words[_CHANGES] = words[_CHANGES] + 1
            if words[_ALONE] and words[_CHANGES] > 1:
                cold.note(last, me, 0)
        if words[_ALONE] and words[_MET] - words[_TOLD] and not handler:
            cold.tell()
        return me

    return enter


def _make_leave(at, cold):
    @micropython.viper
    def leave(me: int):
        words = ptr32(int(at))
        inside = words[_INSIDE]
        if inside == me:
            words[_INSIDE] = 0
        elif inside:  # it came after this one, in parallel
            cold.note(inside, me, 1)

    return leave


def _watched(watch, inner, count):
    # Cells and arguments of a closure are five at most, or its call allocates.
    enter, leave = watch.enter, watch.leave

    @micropython.viper
    def none():
        me = enter()
        try:
            result = inner()
        finally:
            leave(me)
        return result

    @micropython.viper
    def one(a):
        me = enter()
        try:
            result = inner(a)
        finally:
            leave(me)
        return result

    @micropython.viper
    def two(a, b):
        me = enter()
        try:
            result = inner(a, b)
        finally:
            leave(me)
        return result

    @micropython.viper
    def three(a, b, c):
        me = watch.enter()
        try:
            result = inner(a, b, c)
        finally:
            watch.leave(me)
        return result

    return (none, one, two, three)[count]


def _attach_sender(end, channel, number):
    watch = _Watch("sender", channel)
    if channel._send_guard is not None:
        watch.words[_ALONE] = 0
    make = type(channel)._make

    def make_watched(at, cold):
        send, send_word = make(at, cold)
        return _watched(watch, send, 2), _watched(watch, send_word, 2)

    channel._make = make_watched  # beneath a guard, as that is what is to keep them apart
    _plain_sender(end, channel, number)
    if channel._views is not None:
        watch.over(end, claim=1, commit=2, abort=1)
    end._watch = watch


def _attach_receiver(end, at, several):
    point_at = _plain_receiver(end, at, several)
    channel = end if isinstance(end, Lanes) else end._channel
    end._watch_in = watch = _Watch("receiver", channel)
    watch.over(end, recv=1, recv_word=0, recv_words=1, skip=0, clear=0)
    return point_at


def _register(channel):
    # Last in a constructor.
    if getattr(channel, "_recv_guard", None) is not None:
        channel._watch_in.words[_ALONE] = 0
    elif hasattr(channel, "_table"):
        _Watch("client", channel).over(channel, send_request=1, recv_response=2, cancel=1)
        server = _Watch("server", channel)
        server.over(channel, recv_request=1, send_response=2, send_status=3)
        channel.recv = channel.recv_request
    elif channel._views is not None:
        channel._watch_in.over(channel, peek=0, release=0)
    _plain_register(channel)


def _trigger(end, priority, source=None):
    handler = later("ringlane.trigger").make_trigger(end, priority, source)
    return _watched(end._watch, handler, 1)


_debug = None


def debug():
    """Watch who uses the ends of the channels that are made from now on; return a Debug.

    Called again it returns the same one. It stays on until the board is reset, and keeps those
    channels.

    Context: set-up, before channels are made | alloc: this module | blocks: never
    """
    global _debug, _first, _plain_sender, _plain_receiver, _plain_register
    if _debug is None:
        _debug = Debug()
        _first = (get_ident() & 0x1FFFFFFF) + 1
        _plain_sender = SendingEnd._attach_sender
        _plain_receiver = Receiver._attach_receiver
        _plain_register = Lanes._register
        SendingEnd._attach_sender = _attach_sender
        Receiver._attach_receiver = _attach_receiver
        Lanes._register = _register
        for kind in SendingEnd, later("ringlane.sender").Sender:
            kind.trigger = _trigger
    return _debug
