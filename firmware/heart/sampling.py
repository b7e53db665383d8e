"""Where the samples come from: a recorded heart signal, read out at the rate it was taken.

In a product this is the interrupt of an ADC. Here on_tick reads a recording instead, and so is the
same on every board; what calls it is all that differs:

    board                  on_tick is called by       it interrupts the tasks
    Raspberry Pi Pico, 2   a Timer's hard interrupt   between any two instructions
    ESP32 family           a Timer's soft handler     between any two bytecodes
    virtual board          a thread, for a hard one   never: it runs beside them

An ESP32 queues at most 8 soft handlers. A task that keeps Python busy for longer than 8 sample
periods costs ticks there: the signal then takes longer, but no sample is lost.
"""

import sys

from machine import Timer
from ringlane import REALTIME

# A sample's word: its number's low 14 bits, then 16 bits of signal. Together they stay below 2**30
# and are a small int on every board, so the handler can make one without allocating.
NUMBER_MASK = 0x3FFF


class Sampler:
    """Sampler(recording, count, rate, channel)

    Sends the first `count` samples of `recording` (a bytearray, two bytes each, the low one first)
    to `channel` as REALTIME words, `rate` of them a second, and closes it after the last. Nothing
    happens before start().
    """

    def __init__(self, recording, count, rate, channel):
        self._recording = recording
        self._count = count
        self._rate = rate
        self._channel = channel
        self._on_tick = self.on_tick  # taking a method as a value allocates: here, once
        self._timer = None
        self.taken = 0  # samples so far. Owner: the handler

    def start(self):
        """Begin to sample. `taken` follows; stop() ends it."""
        esp32 = sys.platform == "esp32"  # soft handlers only, numbered Timers
        self._timer = Timer(0 if esp32 else -1)
        hard = {} if esp32 else {"hard": True}
        self._timer.init(freq=self._rate, mode=Timer.PERIODIC, callback=self._on_tick, **hard)

    def stop(self):
        """End sampling; harmless when it has ended."""
        self._count = self.taken
        if self._timer is not None:
            self._timer.deinit()

    def on_tick(self, timer):
        """Send one sample, as a hard handler must: without allocating, printing or raising."""
        number = self.taken
        if number < self._count:
            at = number + number
            sample = self._recording[at] | self._recording[at + 1] << 8
            self._channel.send_word((number & NUMBER_MASK) << 16 | sample, REALTIME)
            self.taken = number + 1
            if self.taken == self._count:
                self._channel.close()
