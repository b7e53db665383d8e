"""An alarm panel: a button before telemetry, commands beside both, and everything ends at close().

A button's interrupt sends HIGH, a task sends telemetry as BULK, and a PriorityChannel always gives
the panel a button first. The two may interrupt each other, so each has a sender of its own.
Commands come by a channel of their own, and select() is fair between the two: neither a chattering
button nor a flood of commands keeps the other waiting.

Needs    a button between GPIO 0 and GND; the pull-up is inside. (It is the BOOT button of boards
         with an ESP32 or -S3.) A terminal of 9600 baud at GPIO 5 for commands, if you like. One
         core.
Prints   each press with the time it took to arrive, each command, and the sums at the command off.
"""

import asyncio
import struct
import sys

from machine import UART, Pin
from ringlane import BULK, HIGH, NORMAL, Channel, PriorityChannel, select

HARD = {} if sys.platform == "esp32" else {"hard": True}  # an ESP32 has soft handlers only

events = PriorityChannel((0, 64, 0, 0, 8), slot_size=8, senders=2, name="events")
commands = Channel(4, slot_size=16, name="commands")


class Button:
    """Button(): its on_press is the handler; it sends the number of each press."""

    def __init__(self):
        self._presses = 0  # Owner: the handler

    def on_press(self, pin):
        """Send a press, as a hard handler must: without allocating or raising."""
        self._presses += 1
        events.send_word(self._presses, HIGH)


async def measure(sender):
    """Send telemetry until the channel is closed; return how much was sent."""
    packed = bytearray(8)
    sent = 0
    while not events.closed:
        struct.pack_into("<II", packed, 0, sent, events.dropped)
        sent += sender.send(packed, BULK)
        await asyncio.sleep_ms(20)
    return sent


async def listen(uart):
    """Pass on lines as commands until the channel is closed."""
    reader = asyncio.StreamReader(uart)
    while await commands.asend((await reader.readline()).strip()[:16], NORMAL):
        pass


async def serve():
    """Serve whoever has something, until both channels are closed and empty."""
    buf = bytearray(16)
    telemetry = 0
    while end := await select(events, commands):
        size, priority, latency = end.recv(buf)
        if end is commands:
            print("command: %s" % str(buf[:size], "utf-8"))
            if buf[:size] == b"off":
                events.close()
                commands.close()
        elif priority == HIGH:
            press = struct.unpack_from("<I", buf)[0]
            print("button: press %d, %d us ago" % (press, events.clock.us(latency)))
        else:
            telemetry += 1
    return telemetry


async def main():
    """Run all three until close() has ended each."""
    button = Pin(0, Pin.IN, Pin.PULL_UP)
    button.irq(Button().on_press, Pin.IRQ_FALLING, **HARD)
    uart = UART(1, 9600, tx=Pin(4), rx=Pin(5))
    measuring = asyncio.create_task(measure(events.add_sender()))
    listening = asyncio.create_task(listen(uart))
    received = await serve()
    button.irq(None)
    listening.cancel()
    print("off: %d of %d telemetry, %d dropped" % (received, await measuring, events.dropped))


asyncio.run(main())
