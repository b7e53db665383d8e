"""Channel: from one or several senders to one receiver, first in, first out.

A lane for each sender; recv takes the oldest message over the senders. The verbs are those of
PriorityChannel, and so are their arguments: the class travels with the message as a label and
orders nothing, so that one can stand in for the other.

    from ringlane import NORMAL, Channel

    ch = Channel(64, slot_size=4)

    def on_sample(timer):  # a handler, hard or soft
        ch.send_word(adc.read_u16(), NORMAL)

    timer.init(freq=1000, callback=on_sample, hard=True)
    while True:
        while m := ch.recv_word():
            value, priority, latency = m

Who may call what: as in priority.py. A message costs what it costs on a PriorityChannel, less the
look past empty classes; the memory is a fifth.
"""

from .checks import check_int
from .lanes import flatten
from .queue import Queue


class Channel(Queue):
    """Channel(capacity, slot_size=32, senders=1, name=None, clock=None, send_guard=None,
    recv_guard=None, zero_copy=False, stats=False, tap=None)

    `capacity`: messages per sender, 1..65535. The rest as for PriorityChannel.
    """

    @staticmethod
    def _check_capacity(capacity):
        return (check_int("capacity", capacity, 1, 65535),)


flatten(Channel)
