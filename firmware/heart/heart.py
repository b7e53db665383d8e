"""A heart signal, from a sampling interrupt to tasks: what ringlane is for, on one page.

    interrupt, 360 Hz --samples--> detect --uplink--> transmit, 400 bytes/s
                       REALTIME            HIGH       beats, stamped with their R peak's own time
                                           NORMAL     a status every second
                                   (status)LOW        log lines
                                           BULK       the raw signal: 720 bytes/s, so it loses

Nothing but BULK may lose: a class has its own lane and never takes another's room. main() runs it,
prints what it measured and raises DemoFailed if that is wrong.

`samples` joins two contexts, the handler and the tasks; `uplink` joins tasks only. A task sleeps
until there is something for it, and ends when the channel that it receives from is closed.
"""

import asyncio
import gc
import struct
from array import array

import ringlane.link
import ringlane.waiting  # at set-up: it takes as long as 100 samples
from detector import Detector
from ringlane import BULK, HIGH, LOW, NORMAL, REALTIME, PriorityChannel, Recorder
from ringlane.checks import check_int
from ringlane.latency import LatencyHistogram
from sampling import NUMBER_MASK, Sampler
from summary import MINUTE_S, faults, print_table, verdict

RECORDING = "ecg_mitdb208_360hz_60s.u16le"
RATE = 360
UPLINK_BYTES_S = 400

# For so long no task may come to the samples, and none is lost. On a Pico that takes a garbage
# collection of 10 ms (4 samples), or a print that nobody reads, 0.5 s over USB (180). On the
# virtual board the host may stop the tasks for 0.1 s and let the sampling thread go on: at 8 times
# real time 288 samples. A second is twice the worst of these.
SAMPLES_S = 1
# A block of BULK takes the uplink 0.64 s, in which come 2 beats, a status and a log line at most.
# The rest is for that second: at 8 times real time it holds 16 beats, which come in one go.
UPLINK_CAPACITY = (0, 16, 8, 8, 4)
BLOCK = 256

_STAMPS = 1024  # the age, in samples, up to which a beat finds its R peak's time; a power of two
_STATUS = "<IHHHH"  # samples, beats, beats per minute, high water of samples, BULK dropped
_PATIENCE_MS = 5000


class DemoFailed(Exception):
    """The run showed something that must not be; the text says what."""


class Demo:
    """The channels, the tasks on either side of them, and what the tasks counted."""

    def __init__(self, recording, seconds, speed):
        self.seconds = seconds
        self.count = seconds * RATE
        self._recording = recording
        self._speed = speed
        rate = RATE * speed
        # For who watches: the events of the last 0.7 s, at real time.
        self.samples = PriorityChannel(
            (rate * SAMPLES_S, 0, 0, 0, 0), 4, name="samples", tap=Recorder(events=256, head=4)
        )
        self.uplink = PriorityChannel(
            UPLINK_CAPACITY, BLOCK, name="uplink", tap=Recorder(events=32, head=4)
        )
        self.sampler = Sampler(recording, self.count, rate, self.samples)
        self.waits = [LatencyHistogram() for _ in range(5)]
        self._offered = [0] * 5
        self._last_peak = 0
        self._usual = RATE * 60 // 110  # samples between beats, a running mean

        self.received = 0  # samples: how many, gaps in their order, wrong values
        self.gaps = 0
        self.wrong = 0
        self.beats = []  # numbers of the samples that are R peaks, as the uplink got them

    def offered(self, priority):
        """Return how many messages of the class the program has tried to send."""
        return self.sampler.taken if priority == REALTIME else self._offered[priority]

    async def run(self, watched=False):
        """Run until the signal is over and the uplink has sent what was left.

        `watched`: begin when somebody watches.
        """
        link = asyncio.create_task(ringlane.link.serve())  # for `ringlane top`
        if watched:
            await ringlane.link.attached()
        transmit = asyncio.create_task(self.transmit())
        status = asyncio.create_task(self.status())
        self.sampler.start()
        try:
            await self.detect()
        finally:
            self.sampler.stop()
        await _end(status)
        self.uplink.close()
        await transmit
        await _end(link)

    async def detect(self):
        """Receive the samples: check each, find the beats, collect the raw signal in blocks."""
        recv_word = self.samples.recv_word
        timestamp = self.samples.timestamp
        add_wait = self.waits[REALTIME].add
        feed = Detector(RATE).feed
        recording = self._recording
        stamps = array("I", bytes(4 * _STAMPS))
        block = bytearray(BLOCK)
        filled = 0
        number = 0  # of the sample to come
        self._log("sampling begins")
        while True:
            closed = self.samples.closed  # first: what is sent from here on, is found later
            while m := recv_word():
                word, _, latency = m
                add_wait(latency)
                sample = word & 0xFFFF
                skipped = (word >> 16) - number & NUMBER_MASK
                if skipped:
                    self.gaps += 1
                    number = min(number + skipped, self.count - 1)
                if sample != recording[2 * number] | recording[2 * number + 1] << 8:
                    self.wrong += 1
                self.received += 1

                stamps[number & _STAMPS - 1] = timestamp()
                ago = feed(sample)
                if ago:
                    peak = number - ago
                    stamp = stamps[number - min(ago, _STAMPS - 1) & _STAMPS - 1]
                    self._offered[HIGH] += 1
                    self.uplink.send_word_at(peak, HIGH, stamp)
                    self._note_rhythm(peak)

                struct.pack_into("<H", block, filled, sample)
                filled += 2
                if filled == BLOCK:
                    self._send(block, BULK)
                    filled = 0
                number += 1
            if closed or not await self.samples.ready(_PATIENCE_MS):
                break  # the verdict says how far it came
            # A sample that is there already is had at once: near the most that the chip can do
            # there always is one, and the other tasks would never have a turn.
            await asyncio.sleep_ms(0)
        if filled:
            self._send(memoryview(block)[:filled], BULK)

    async def status(self):
        """Send a status each second of the signal."""
        packed = bytearray(struct.calcsize(_STATUS))
        while True:
            await asyncio.sleep_ms(1000 // self._speed)
            struct.pack_into(
                _STATUS,
                packed,
                0,
                self.received,
                len(self.beats),
                self._beats_per_minute(),
                self.samples.high_water,
                self.uplink.counters(BULK)[3],
            )
            self._send(packed, NORMAL)

    async def transmit(self):
        """Receive from the uplink, most urgent first, as slowly as its line would send."""
        buf = bytearray(BLOCK)
        statuses = 0
        while m := await self.uplink.arecv(buf):
            size, priority, latency = m
            self.waits[priority].add(latency)
            if priority == HIGH:
                self.beats.append(struct.unpack_from("<I", buf)[0])
            elif priority == NORMAL:
                statuses += 1
                if statuses % max(1, self.seconds // 12) == 0:
                    _print_status(buf)
            elif priority == LOW:
                print("log: %s" % str(buf[:size], "utf-8"))
            if not self.uplink.closed:  # what is left at the end goes in one go
                await asyncio.sleep_ms(size * 1000 // (UPLINK_BYTES_S * self._speed))

    def _send(self, data, priority):
        self._offered[priority] += 1
        self.uplink.send(data, priority)  # False if its lane is full: counted there

    def _log(self, text):
        self._send(text.encode(), LOW)

    def _note_rhythm(self, peak):
        # Log a beat that comes after less than 3/4 of the usual interval.
        interval = peak - self._last_peak
        if self._last_peak:
            if interval * 4 < self._usual * 3:
                tenths = peak * 10 // RATE
                self._log("early beat at %d.%d s" % (tenths // 10, tenths % 10))
            self._usual += (interval - self._usual) >> 3
        self._last_peak = peak

    def _beats_per_minute(self):
        # Over the last 8 intervals, or as many as there are.
        intervals = min(len(self.beats) - 1, 8)
        if intervals < 1:
            return 0
        return 60 * RATE * intervals // (self.beats[-1] - self.beats[-1 - intervals])


async def _end(task):
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass


def _print_status(packed):
    samples, beats, rate, high_water, dropped = struct.unpack_from(_STATUS, packed)
    print(
        "{:>3} s {:>7,} samples {:>4} beats {:>4} bpm  queued up to {:<4}  BULK dropped {}".format(
            (samples + RATE // 2) // RATE, samples, beats, rate, high_water, dropped
        )
    )


def load(path, size):
    """Return the first `size` bytes of the file in one bytearray; ValueError if it is shorter."""
    data = bytearray(size)
    with open(path, "rb") as file:
        found = file.readinto(data)
    if found != size:
        raise ValueError("%s holds %d bytes, not %d" % (path, found, size))
    return data


def main(seconds=MINUTE_S, speed=1, watched=False):
    """Run over the first `seconds` of the recording, 3..60, at `speed` times real time, 1..100.

    `watched`: begin when somebody watches.
    Raises DemoFailed unless every sample came in order, the beats are those of the recording and
    BULK alone lost.
    """
    check_int("seconds", seconds, 3, MINUTE_S)
    check_int("speed", speed, 1, 100)
    demo = Demo(load(RECORDING, seconds * RATE * 2), seconds, speed)
    clock = demo.samples.clock
    print(
        "%d s of a heart signal, %d samples/s, %d x real time; latency by %s"
        % (seconds, RATE, speed, clock.name)
    )
    gc.collect()
    asyncio.run(demo.run(watched))
    print_table(demo)
    found = faults(demo)
    if found:
        raise DemoFailed("; ".join(found))
    print(verdict(demo))
