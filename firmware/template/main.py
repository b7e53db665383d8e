"""A button that switches an LED: an interrupt sends, a task waits, debounces and switches.

Copy this folder and begin here. On a Pico or Pico 2 with a button from GP2 to GND it runs as it
is; an ESP32 has soft handlers only, and there `hard=True` goes and the pins are others.
"""

import asyncio

from machine import Pin
from ringlane import HIGH, Channel

SETTLE_MS = 20  # a contact that has been quiet for so long has settled

edges = Channel(16, slot_size=4, name="edges")
button = Pin(2, Pin.IN, Pin.PULL_UP)
led = Pin("LED", Pin.OUT, value=0)


def on_edge(pin):  # hard: it interrupts anything, so it only sends
    edges.send_word(pin.value(), HIGH)


async def switch():
    """Switch the LED at each press, however the contact bounces."""
    pressed = False
    while await edges.ready():
        await asyncio.sleep_ms(SETTLE_MS)
        edges.clear()
        before, pressed = pressed, not button.value()
        if pressed and not before:
            led.toggle()
            print("led", led.value())


button.irq(on_edge, hard=True)
asyncio.run(switch())
