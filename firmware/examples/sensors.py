"""A sensor hub: one reading to a display, a logger and an uplink, none of which holds up another.

The handler sends once, and a MulticastChannel gives each receiver that is open a copy of its own.
The display wants the newest reading and skips the rest. The logger wants every one, but only for a
while: it comes later and leaves again. The uplink is too slow: it may lag by 4 readings and misses
what comes then, it alone, and knows how many.

Needs    a sensor at GPIO 26 (a Pico's ADC0), on an ESP32 at GPIO 4, 0 to 3.3 V. One core.
Prints   what the display shows, what the logger has logged, and what the uplink has missed.
"""

import asyncio
import sys

from machine import ADC, Pin, Timer
from ringlane import NORMAL, MulticastChannel

ESP32 = sys.platform == "esp32"  # it has soft handlers only, and its Timers are numbered
HARD = {} if ESP32 else {"hard": True}
RATE = 200
LAG = 4  # of the uplink
LOGGED = 100

bus = MulticastChannel(128, slot_size=4, max_receivers=3, name="readings")
adc = ADC(Pin(4 if ESP32 else 26))


def on_tick(timer):
    """Send one reading, as a hard handler must: without allocating or raising."""
    bus.send_word(adc.read_u16(), NORMAL)


async def display(end):
    """Show the newest reading, ten times a second."""
    while await end.ready():
        skipped = end.skip_to_latest()
        print("display: %5d, skipped %d" % (end.recv_word()[0], skipped))
        await asyncio.sleep_ms(100)


async def logger():
    """Open later, log so many readings one after another, and close."""
    await asyncio.sleep_ms(250)
    end = bus.add_receiver("logger")
    low, high, count = 65535, 0, 0
    while count < LOGGED and (m := await end.arecv_word()):
        low, high, count = min(low, m[0]), max(high, m[0]), count + 1
    unread = end.close()
    print("logger:  %d to %d in %d readings" % (low, high, count), end="")
    print(", %d lost, %d unread" % (end.dropped, unread))


async def uplink(end):
    """Send on what comes, each in 25 ms: five readings come in that time."""
    while await end.arecv_word():
        await asyncio.sleep_ms(25)
        if end.received % 20 == 0:
            print("uplink:  sent %d, missed %d" % (end.received, end.dropped))


async def main():
    """Serve all three."""
    ends = bus.add_receiver("display"), bus.add_receiver("uplink", max_lag=LAG)
    timer = Timer(0 if ESP32 else -1, freq=RATE, callback=on_tick, **HARD)
    await asyncio.gather(display(ends[0]), logger(), uplink(ends[1]))
    timer.deinit()


asyncio.run(main())
