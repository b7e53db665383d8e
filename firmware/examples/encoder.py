"""A rotary encoder: pin interrupts to a task, position and speed without a missed step.

The handler looks at both pins and sends the position it has counted, one word a step. The time of
the step travels with it, so the task gets the speed right however late it comes, and nothing is
scheduled, so no queue overflows.

Needs    an encoder: A to GPIO 4, B to 5, C to GND; the pull-ups are inside. One core.
Prints   the position and the speed, five times a second while it turns.
"""

import asyncio
import sys

from machine import Pin
from ringlane import NORMAL, Channel

HARD = {} if sys.platform == "esp32" else {"hard": True}  # an ESP32 has soft handlers only
PRINT_US = 200000
# By the two pins before and now: the step that was made. 0: a bounce, or both pins have moved.
STEP = (0, 1, -1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 0, -1, 1, 0)


class Encoder:
    """Encoder(a, b, send_word): counts the steps of two pins and sends the position after each."""

    def __init__(self, a, b, send_word):
        self._a = a
        self._b = b
        self._send_word = send_word
        self._pins = a.value() << 1 | b.value()
        self._position = 0  # Owner: the handler

    def on_edge(self, pin):
        """Note what has moved, as a hard handler must: without allocating or raising."""
        pins = self._a.value() << 1 | self._b.value()
        step = STEP[self._pins << 2 | pins]
        self._pins = pins
        if step:
            self._position += step
            self._send_word(self._position, NORMAL)


async def main():
    """Print where the knob is, and how fast it turns."""
    ch = Channel(256, slot_size=4, name="steps")
    a, b = Pin(4, Pin.IN, Pin.PULL_UP), Pin(5, Pin.IN, Pin.PULL_UP)
    encoder = Encoder(a, b, ch.send_word)
    for pin in (a, b):
        pin.irq(encoder.on_edge, Pin.IRQ_RISING | Pin.IRQ_FALLING, **HARD)
    since, start = ch.clock.ticks(), 0
    while m := await ch.arecv_word():
        position = m[0]
        us = ch.clock.us(ch.clock.diff(ch.timestamp(), since))
        if us >= PRINT_US:
            speed = (position - start) * 1000000 // us
            print("position %4d, %5d steps/s, %d lost" % (position, speed, ch.dropped))
            since, start = ch.timestamp(), position


asyncio.run(main())
