"""An alarm panel: buttons before telemetry, commands beside both, and everything ends at close().

A button's interrupt sends HIGH, a task sends telemetry as BULK, and a PriorityChannel always gives
the panel a button first. The two may interrupt each other, so each has a sender of its own.
Commands come by a channel of their own, and select() is fair between the two: neither a chattering
button nor a flood of commands keeps the other waiting.

Wiring   a button between GP15 and GND; the pull-up is inside.
Run      .venv/bin/python firmware/examples/run.py console [--target /dev/ttyACM0 [--wired]]
         To keep it: mpremote cp board.py console.py : with ringlane in :/lib, and in main.py
             import console
             console.main(wired=True)
         Without `wired` a timer presses a button that is not there.
Prints   every fifth press with the time it took to arrive, the commands, and the sums.
"""

import asyncio
import struct
import time

from board import PATIENCE_MS, Failed, Ticker, Wire, expect, on_interrupt
from ringlane import BULK, HIGH, NORMAL, Channel, PriorityChannel, select

_PRESSES_HZ = 50  # of the button that is not there
_TELEMETRY = "<II"


def hardware(wired):
    """Return the button's pin and what its interrupt is to be triggered by."""
    if not wired:
        return Wire(1), 0
    from machine import Pin

    return Pin(15, Pin.IN, Pin.PULL_UP), Pin.IRQ_FALLING


class Button:
    """Button(pin, send_word): its on_edge is the handler; it sends the number of each press."""

    def __init__(self, pin, send_word):
        self._pin = pin
        self._send_word = send_word
        self.presses = 0  # Owner: the handler

    def on_edge(self, pin):
        """Send a press, as a hard handler must: without allocating or raising."""
        if not pin.value():  # pressed is low
            self.presses += 1
            self._send_word(self.presses, HIGH)


class Finger:
    """Finger(pin, presses): presses and lets go, at each other tick."""

    def __init__(self, pin, presses):
        self._pin = pin
        self._left = presses * 2

    def tap(self, timer):
        """Press or let go."""
        if self._left:
            self._left -= 1
            self._pin.value(self._left & 1 ^ 1)


class Panel:
    """Panel(events, commands, count, patience): receives both, closes after so many presses.

    `patience`: how long none may come, in ms; None: as long as it takes.
    """

    def __init__(self, events, commands, count, patience):
        self._events = events
        self._commands = commands
        self._count = count
        self._patience = patience
        self._pressed = time.ticks_ms()
        self._event = bytearray(events.slot_size)
        self._command = bytearray(commands.slot_size)
        self.presses = []
        self.telemetry = 0
        self.obeyed = 0

    async def run(self):
        """Serve whoever has something, until both channels are closed and empty."""
        before = None
        while True:
            both = len(self._events) and len(self._commands)
            end = await select(self._events, self._commands, timeout_ms=self._patience)
            if end is False:
                return
            since = time.ticks_diff(time.ticks_ms(), self._pressed)
            if end is None or self._patience is not None and since > self._patience:
                raise Failed("no press has come since number %d" % len(self.presses))
            if both and end is before:
                raise Failed("select chose one twice, while the other waited")
            before = end
            if end is self._events:
                self._take_event()
            else:
                self._take_command()

    def _take_event(self):
        urgent = self._events.counters(HIGH)[0]
        _, priority, latency = self._events.recv(self._event)
        if priority == BULK:
            expect("buttons that telemetry overtook", urgent, 0)
            self.telemetry += 1
            return
        press = struct.unpack_from("<I", self._event)[0]
        self.presses.append(press)
        self._pressed = time.ticks_ms()
        if press % 5 == 0:
            print("button: press %2d, %d us ago" % (press, self._events.clock.us(latency)))
        if len(self.presses) == self._count:
            self._events.close()
            self._commands.close()

    def _take_command(self):
        size = self._commands.recv(self._command)[0]
        self.obeyed += 1
        if self.obeyed % 20 == 0:
            print("command: %s" % self._command[:size].decode())


async def measure(events, sender):
    """Send telemetry until the channel is closed; return (sent, dropped)."""
    packed = bytearray(struct.calcsize(_TELEMETRY))
    sent = dropped = 0
    while True:
        struct.pack_into(_TELEMETRY, packed, 0, sent, dropped)
        if sender.send(packed, BULK):
            sent += 1
        elif events.closed:
            return sent, dropped
        else:
            dropped += 1
        await asyncio.sleep_ms(2)


async def command(commands):
    """Type commands until the channel is closed; return how many were taken."""
    typed = 0
    while await commands.asend(b"arm zone %d" % (typed % 4), NORMAL):
        typed += 1
        await asyncio.sleep_ms(5)
    return typed


async def run(panel, events, commands):
    """Run all three until close() has ended each; return what the senders counted."""
    measuring = asyncio.create_task(measure(events, events.add_sender()))
    commanding = asyncio.create_task(command(commands))
    await panel.run()
    return await measuring, await commanding


def main(presses=20, wired=False):
    """Take `presses` presses. Raises Failed unless all came, in order, and first."""
    events = PriorityChannel((0, 64, 0, 0, 8), slot_size=8, senders=2, name="events")
    commands = Channel(4, slot_size=16, name="commands")
    pin, falling = hardware(wired)
    button = Button(pin, events.send_word)
    on_interrupt(pin, falling, button.on_edge)
    ticker = None if wired else Ticker(2 * _PRESSES_HZ, Finger(pin, presses).tap)
    panel = Panel(events, commands, presses, None if wired else PATIENCE_MS)
    try:
        (sent, dropped), typed = asyncio.run(run(panel, events, commands))
    finally:
        pin.irq(handler=None)
        if ticker is not None:
            ticker.stop()
    expect("presses", panel.presses, list(range(1, presses + 1)))
    expect("telemetry received", panel.telemetry, sent)
    expect("commands obeyed", panel.obeyed, typed)
    if not (sent and typed):
        raise Failed("%d telemetry, %d commands: a button keeps them waiting" % (sent, typed))
    print(
        "%d presses, %d telemetry (%d dropped), %d commands; all ended"
        % (presses, sent, dropped, typed)
    )
