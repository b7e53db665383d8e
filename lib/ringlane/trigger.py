"""trigger: a handler in viper, which sends a word at each interrupt.

    from machine import Pin
    from ringlane import HIGH, Channel

    ch = Channel(16, slot_size=4)
    edge = ch.trigger(HIGH, 0xD0000004)  # GPIO_IN of the RP2040: all pins at that instant
    Pin(2).irq(edge, hard=True)

The whole interrupt takes 1,218 cycles, with ch.send_word in a handler of yours 2,629, and with an
empty handler in Python 1,297 (emulated RP2040, MicroPython 1.28).
"""

from array import array

import micropython
from micropython import const

from .checks import check_int
from .port import address

#: words(cog.inFile) :#
_CLOCK = const(8)  # as RX_CLOCK, but 0 while AT_SET. Owner: sender
_LIMIT = const(9)  # slot_size + 1; 0 once closed. Owner: whoever closes
_TX_STRIDE = const(10)  # bytes of a slot
_REGISTER = const(11)  # as RX_CLOCK
_AT_SET = const(12)  # 1: the next message is stamped AT. Owner: sender
_AT = const(13)
_TX_FENCED = const(15)  # as FENCED
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
# with so many queued send looks closer; 0 while claimed. Owner: producer. Fan-out: max_lag or 0 |
# epoch << 16 | core << 24. Owner: the receiver:
_ROOM = const(3)
_WRITE = const(5)  # bytes from here to the slot to write next. Owner: producer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
# stamped.

# A trigger's words.
_META_OF = const(0)  # what its messages have as META
_LANE_OF = const(1)  # bytes from the sender's words to its lane
_SOURCE = const(2)  # address of the register to send, 0: none
_COUNT_BY = const(3)  # 1: send how often it was called; 0: send the clock
_CALLS = const(4)
_TRIGGER_WORDS = const(5)


def make_trigger(end, priority, source=None):
    """Return a handler that sends a word of class `priority` whenever it is called.

    `source`: the address of a 32-bit register, whose content at that instant is sent; None:
    how often it was called, 1 first; the channel's clock: the time, as the stamp. Outcomes are
    counted as those of send_word. It takes one argument, what the interrupt passes, and is the
    handler itself: Pin(2).irq(ch.trigger(HIGH), hard=True).

    Raises ValueError for a multicast or anycast channel, under send_guard and beside a tap.

    Context: set-up; what it returns belongs to this sender's context | alloc: the handler
    """
    channel = end._channel
    if hasattr(channel, "_ends") or channel._send_guard or channel._tap:
        raise ValueError("%s has no trigger" % channel._title())
    lane = channel._lane(end._number, priority)
    register = 0
    if hasattr(source, "ticks"):
        if source is not channel.clock:
            raise ValueError(
                "the clock of %s is %r, not %r" % (channel._title(), channel.clock, source)
            )
    elif source is not None:
        register = check_int("address", source, 4, 0xFFFFFFFF)
        if register & 3:
            raise ValueError("address must be a multiple of 4, not %r" % (source,))
    own = array("I", [0] * _TRIGGER_WORDS)
    own[_META_OF] = 4 | int(priority) << 16
    own[_LANE_OF] = lane * 4 - channel._sender_at(end._number)
    own[_SOURCE] = register
    own[_COUNT_BY] = source is None
    end._triggers = (own, end._triggers)  # kept, as the handler knows but its address
    return _make_trigger(end._sender, address(own), end)


def _make_trigger(at, own_at, cold):
    here = at >> 2
    mine = own_at >> 2

    @micropython.viper
    def trigger(source):
        #: step("part") :#
        part = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # stamped.
        own = ptr32((mine if 1 else 0) - 1 << 1)
        #: step("stamp") :#
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(cold._ticks())
        # stamped.
        value = now
        if own[_SOURCE]:
            value = ptr32(own[_SOURCE])[0]
        elif own[_COUNT_BY]:
            value = own[_CALLS] + 1
            own[_CALLS] = value
        lane = ptr32(int(part) + own[_LANE_OF])
        head = lane[_HEAD]
        # Bound: tail may move meanwhile, so what is queued can only be fewer.
        if ((head - lane[_TAIL]) & 0x3FFFFFFF) >= lane[_ROOM] or 4 >= part[_LIMIT]:
            if not cold._admit(own[_META_OF] >> 16, 4):
                return
        #: step("slot", meta="own[_META_OF]") :#
        slot = ptr32(int(lane) + lane[_WRITE])
        slot[_META] = own[_META_OF]
        slot[_TIME] = now
        # stamped.
        slot[2] = value
        #: step("publish") :#
        write = lane[_WRITE] + part[_TX_STRIDE]
        if not write - lane[_END]:
            write = lane[_FIRST]
        lane[_WRITE] = write
        if part[_TX_FENCED]:
            cold._fence()
        # Order: slot before head, so the consumer sees no half-written message.
        lane[_HEAD] = head + 1
        # stamped.

    return trigger
