"""PriorityChannel: from one or several senders to one receiver, the most urgent class first.

A lane for each class and sender. recv takes the oldest message of the most urgent class that has
one; a full class drops its own messages and never another's.

    from ringlane import HIGH, LOW, PriorityChannel

    ch = PriorityChannel(16, slot_size=32)

    def on_edge(pin):  # a handler, hard or soft
        ch.send_word(pin.value(), HIGH)

    pin.irq(on_edge, hard=True)
    buf = bytearray(32)
    while True:
        while m := ch.recv(buf):
            size, priority, latency = m
            handle(buf, size, priority)

Who may call what: a sender's verbs belong to one context, `ch.send` to the first and that of
`ch.add_sender()` to each further one; a hard handler is a context, and all tasks and soft handlers
of a core together are one. The receiver's verbs belong to the tasks of one event loop, or to one
handler: its result is reused.
"""

from .checks import check_int
from .lanes import flatten
from .queue import Queue


class PriorityChannel(Queue):
    """PriorityChannel(capacity, slot_size=32, senders=1, name=None, clock=None, send_guard=None,
    recv_guard=None, zero_copy=False, stats=False, tap=None)

    `capacity`: messages per class and sender, 1..65535, or five such numbers, one per class, where
    0 leaves a class out. `slot_size`: the largest message, 1..65535 bytes. `senders`: contexts
    that will send, 1..255. `name`: the channel's in report() and in errors. `clock`: a Clock, by
    default the board's microseconds. `send_guard`, `recv_guard`: let contexts share a sender or
    the receiver, see guard.py. `zero_copy`: claim and peek, see zero_copy.py. `stats`: measure
    latencies, see latency.py. `tap`: a Recorder of all messages, see tap.py. Allocates everything;
    raises TypeError, ValueError or, with the bytes asked and free, MemoryError.
    """

    _by_class = True
    _rows = 5

    @staticmethod
    def _check_capacity(capacity):
        if not isinstance(capacity, (tuple, list)):
            return (check_int("capacity", capacity, 1, 65535),) * 5
        if len(capacity) != 5:
            raise ValueError("capacity must be one int or five, not %r" % (capacity,))
        for each in capacity:
            check_int("capacity", each, 0, 65535)
        if not any(capacity):
            raise ValueError("capacity must be above 0 for a class, not %r" % (capacity,))
        return capacity


flatten(PriorityChannel)
