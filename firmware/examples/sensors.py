"""A sensor hub: one reading to a display, a logger and an uplink, none of which holds up another.

The handler sends once, and a MulticastChannel gives each receiver that is open a copy of its own.
The display wants the newest reading and skips the rest. The logger wants every one, but only while
its file is open: it comes later and leaves again. The uplink is too slow: it may lag by 4 readings
and misses what comes then, it alone, and knows how many.

Wiring   none on a Pico: it reads the temperature of the chip. Else a sensor to an ADC.
Run      .venv/bin/python firmware/examples/run.py sensors [--target /dev/ttyACM0 [--wired]]
         To keep it: mpremote cp board.py sensors.py : with ringlane in :/lib, and in main.py
             import sensors
             sensors.main(wired=True)
         Without `wired` the readings are made up, and checked at the other end.
Prints   what the display shows, then what each receiver got and missed.
"""

import asyncio

from board import PATIENCE_MS, Failed, Sawtooth, Ticker, expect
from ringlane import NORMAL, MulticastChannel

_RATE = 200
_STEP = 7  # from reading to reading of those made up
_LAG = 4  # of the uplink


def hardware(wired):
    """Return what to call for a reading, of 16 bits."""
    if not wired:
        return Sawtooth(_STEP).read_u16
    from machine import ADC

    return ADC(4).read_u16  # an RP2040's own temperature; ADC(8) is a Pico 2's


class Sensor:
    """Sensor(read, send_word, count): sends `count` readings, numbered, one at each tick.

    A word is the reading's number, 14 bits, and its value, 16 bits: together a small int anywhere.
    """

    def __init__(self, read, send_word, count):
        self._read = read
        self._send_word = send_word
        self._count = count
        self.taken = 0  # Owner: the handler

    @property
    def finished(self):
        """Whether all readings have been sent."""
        return self.taken == self._count

    def on_tick(self, timer):
        """Send one reading, as a hard handler must: without allocating or raising."""
        number = self.taken
        if number < self._count:
            self._send_word((number & 0x3FFF) << 16 | self._read(), NORMAL)
            self.taken = number + 1


class Hub:
    """The receivers' tasks, and what they found wrong."""

    def __init__(self, bus, sensor, known):
        self._bus = bus
        self._sensor = sensor
        self._known = known
        self.shown = 0
        self.logged = 0
        self.uplinked = 0

    def _open(self, word):
        number, value = word >> 16, word & 0xFFFF
        if self._known:
            expect("reading %d" % number, value, number * _STEP & 0xFFFF)
        return number, value

    async def display(self, end):
        """Show the newest reading, ten times a second."""
        last = -1
        while await end.ready(PATIENCE_MS):
            newest = self._sensor.taken - 1
            end.skip_to_latest()
            number, value = self._open(end.recv_word()[0])
            if number <= last or number < newest:
                raise Failed("the display shows %d, not %d" % (number, max(last + 1, newest)))
            last = number
            self.shown += 1
            print("display: reading %3d is %5d" % (number, value))
            await asyncio.sleep_ms(100)
        if not end.closed:
            raise Failed("no reading for the display since number %d" % last)

    async def logger(self, first, count):
        """Open when `first` readings have been taken, log `count` one after another, and close."""
        while self._sensor.taken < first:
            await asyncio.sleep_ms(5)
        end = self._bus.add_receiver("logger")
        expected = None
        while self.logged < count:
            if not await end.ready(PATIENCE_MS):
                raise Failed("%d readings logged, then none came" % self.logged)
            word = end.recv_word()[0]
            number = self._open(word)[0]
            expect("next to log", number, number if expected is None else expected)
            if number < first:
                raise Failed("reading %d is from before the logger came" % number)
            expected = number + 1
            self.logged += 1
        expect("logger's dropped", end.dropped, 0)
        unread = end.close()
        print("logger:  closed after %d, %d more were waiting" % (self.logged, unread))

    async def uplink(self, end):
        """Send on what comes, each in 25 ms: five readings come in that time."""
        last = -1
        skipped = 0
        while await end.ready(PATIENCE_MS):
            number = self._open(end.recv_word()[0])[0]
            skipped += number - last - 1
            last = number
            self.uplinked += 1
            await asyncio.sleep_ms(25)
        # What it missed, no more and no less: between what came, and after the last.
        skipped += self._sensor.taken - last - 1
        expect("uplink's gaps and its dropped", skipped, end.dropped)

    async def run(self, display, uplink, first, count):
        """Run all three until the readings are over."""
        await asyncio.gather(
            self.display(display), self.logger(first, count), self.uplink(uplink), self.end()
        )

    async def end(self):
        """Close when all have been taken: who receives gets what is left, then None."""
        while not self._sensor.finished:
            await asyncio.sleep_ms(5)
        self._bus.close()


def main(readings=200, wired=False):
    """Take `readings` readings. Raises Failed unless each receiver got what it is due."""
    bus = MulticastChannel(128, slot_size=4, max_receivers=3, name="readings")
    display = bus.add_receiver("display")
    uplink = bus.add_receiver("uplink", max_lag=_LAG)
    sensor = Sensor(hardware(wired), bus.send_word, readings)
    hub = Hub(bus, sensor, not wired)
    ticker = Ticker(_RATE, sensor.on_tick)
    try:
        asyncio.run(hub.run(display, uplink, readings // 4, readings // 2))
    finally:
        ticker.stop()
    if not uplink.dropped:
        raise Failed("the uplink missed nothing, though it is too slow")
    expect("display's dropped", display.dropped, 0)
    expect("all that were dropped", bus.dropped, uplink.dropped)
    print("display: showed %d of %d, skipped the others" % (hub.shown, readings))
    print("uplink:  sent %d, missed %d, it alone" % (hub.uplinked, uplink.dropped))
