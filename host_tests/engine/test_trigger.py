"""A trigger that interrupts, and one that is interrupted: what it sends comes whole, in order."""

import ringlane
from ringlane_host.explore import interrupts

START, END = 2, 1000  # cycles from the marker to the interrupt

# A pin interrupts the receiving verbs at another cycle each time.
ON_CHIP = """
from machine import Pin
from ringlane import HIGH, PriorityChannel
ch = PriorityChannel(4, 4)
marker, pin = Pin(3, Pin.OUT, value=0), Pin(2, Pin.IN)
pin.irq(ch.trigger(HIGH), Pin.IRQ_RISING, hard=True)
got = []
for _ in range(%d):
    marker(1)
    for _ in range(4):
        m = ch.recv_word()
        if m:
            got.append(m[0])
    marker(0)
pin.irq(None)
while m := ch.recv_word():
    got.append(m[0])
print(got == list(range(1, len(got) + 1)), len(got), ch.dropped)
"""


def met(trigger_first, before):
    def scenario():
        ch = ringlane.PriorityChannel(2, 4)
        trigger = ch.trigger(ringlane.HIGH)
        for _ in range(before):
            trigger(None)
        got = []

        def fire():
            trigger(None)

        def receive():
            m = ch.recv_word()
            if m:
                assert m[1] == ringlane.HIGH
                got.append(m[0])

        def check():
            while len(ch):
                receive()
            assert got == list(range(1, before + 2 - ch.dropped))
            assert ch.dropped <= (before == 2) and ch.sent == ch.received == len(got)

        return (fire, receive, check) if trigger_first else (receive, fire, check)

    return scenario


def test_at_every_access_of_the_other_it_loses_nothing(visited):
    points = sum(
        interrupts(met(first, before), merge=False).points
        for first in (True, False)
        for before in (0, 1, 2)
    )
    assert points > 100
    visited(points=points)


def test_a_hard_interrupt_of_a_pin_on_an_emulated_rp2040(pico, visited):
    pico.reset()
    delays = list(range(START, END, 7))
    stop = pico.interrupt_after(3, 2, delays)
    try:
        in_order, count, dropped = pico.exec(ON_CHIP % len(delays)).split()
    finally:
        stop()
    assert in_order == "True" and int(dropped) == 0
    assert int(count) == len(delays)
    visited(interrupts=int(count))
