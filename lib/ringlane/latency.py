"""LatencyHistogram: how long messages waited, in constant memory.

    from ringlane import REALTIME, PriorityChannel
    from ringlane.latency import LatencyHistogram

    waits = LatencyHistogram()
    while m := ch.recv_word():
        value, priority, latency = m
        waits.add(latency)
    print(waits.percentile(50), waits.percentile(99), waits.max, ch.clock.name)

Count, average and maximum are exact. A percentile is never too small and too large by less than a
sixteenth: values below 32 have a bucket each, and from there every octave has 16 buckets of one
width, up to 2**30 - 1. That takes 1.7 KiB, however many values there are.

Full, from 2**30 - 1 values or a sum of 2**50 - 2**30 on, a histogram counts nothing more until
reset(): what it says stays exact. At a thousand messages a second that is 12 days.

Another context may read while one adds. The figures of one stats() then fit each other: the
percentiles are ranks among as many values as its count says, p50 <= p99 <= max and average <= max.
The average is exact, of the values at one instant; values added meanwhile may be in one figure and
not yet in another.
"""

from array import array
from collections import namedtuple

import micropython
from micropython import const

from .checks import check_words, error

_COUNT = const(0)  # values counted
_MAX = const(1)
# The sum stands twice: here while _COUNT is even, two words further while it is odd.
_SUM_LOW = const(2)  # its low 20 bits
_SUM_HIGH = const(3)  # the sum >> 20, below 2**30
_BUCKETS = const(6)  # from here on, the buckets
_WORDS = const(438)  # 32 buckets for 0..31, 16 for each octave up to 2**30

# Latencies in ticks; average and maximum exact, p50 and p99 too large by less than a sixteenth.
LatencyStats = namedtuple(
    "LatencyStats", ("count", "avg_latency", "p50_latency", "p99_latency", "max_latency")
)


def make_add(words):
    """Return the add of the histogram whose words are `words`."""

    @micropython.viper
    def add(ticks: int):
        """Count a latency of `ticks`, 0..2**30 - 1; of any other value, its low 30 bits.

        Context: any handler or task, one per histogram | alloc: none | time: O(1) | blocks: never
        """
        own = ptr32(words)
        ticks &= 0x3FFFFFFF
        count = own[_COUNT]
        part = ptr32(int(own) + ((count & 1) << 3))
        low = part[_SUM_LOW] + ticks
        high = part[_SUM_HIGH]
        count += 1
        # Bound: a value adds 1024 to high at most, so it fits. Full for one value is full for all.
        if (count | high + 1024) >> 30:
            return
        if ticks > own[_MAX]:
            own[_MAX] = ticks  # Order: before the bucket, so that no percentile is above it.
        # Order: the other sum before _COUNT, so that what a reader finds is never half written.
        part = ptr32(int(own) + ((count & 1) << 3))
        part[_SUM_LOW] = low & 0xFFFFF
        part[_SUM_HIGH] = (low >> 20) + high
        # Halve until below 32. Each step leaves at least 16, so the last leaves 16..31.
        bucket = 0
        if ticks >= 1 << 20:
            ticks >>= 16
            bucket += 256
        if ticks >= 1 << 12:
            ticks >>= 8
            bucket += 128
        if ticks >= 1 << 8:
            ticks >>= 4
            bucket += 64
        if ticks >= 1 << 6:
            ticks >>= 2
            bucket += 32
        if ticks >= 1 << 5:
            ticks >>= 1
            bucket += 16
        part = ptr32(int(own) + (bucket + ticks << 2))
        part[_BUCKETS] = part[_BUCKETS] + 1
        own[_COUNT] = count

    return add


def make_average(words):
    """Return the average of the histogram whose words are `words`."""

    @micropython.viper
    def average() -> int:
        # The exact mean, rounded down; 0 if there is no value.
        own = ptr32(words)
        while True:
            count = own[_COUNT]
            sums = ptr32(int(own) + ((count & 1) << 3))
            low = sums[_SUM_LOW]
            high = sums[_SUM_HIGH]
            if count == own[_COUNT]:  # else values were added, and perhaps over this sum
                break
        if not count:
            return 0
        # 50 bits by 30, a bit at a time. The rest stays below the count.
        mean = high // count
        rest = high % count
        bit = 20
        while bit:
            bit -= 1
            rest = rest + rest + (low >> bit & 1)
            mean += mean
            if rest >= count:
                rest -= count
                mean += 1
        return mean

    return average


def make_summarise(words, average):
    """Return the summarise of the histogram whose words are `words`."""

    @micropython.viper
    def summarise(to):
        # Write the five figures to `to`, an array of five words or more.
        own = ptr32(words)
        out = ptr32(to)
        # The count is that of the buckets themselves, which may be ahead of _COUNT.
        count = 0
        at = _BUCKETS
        while at < _WORDS:
            count += own[at]
            at += 1
        # The values whose ranks are 50 % and 99 % of the count, rounded up.
        half = count - (count >> 1)
        most = count - count // 100
        middle = 0
        top = 0
        seen = 0
        at = _BUCKETS
        while seen < most and at < _WORDS:  # fewer than `most` are there after a reset meanwhile
            here = own[at]
            if here:
                top = at - _BUCKETS
                if top >= 32:
                    shift = (top >> 4) - 1
                    top = ((top - (shift << 4) + 1) << shift) - 1
                if seen < half:
                    middle = top
                seen += here
            at += 1
        mean = int(average())
        largest = own[_MAX]  # Order: last, so nothing that was counted is above it.
        if not count:
            mean = largest = 0
        out[0] = count
        out[1] = mean if mean < largest else largest
        out[2] = middle if middle < largest else largest
        out[3] = top if top < largest else largest
        out[4] = largest

    return summarise


def make_reset(words):
    """Return the reset of the histogram whose words are `words`."""

    @micropython.viper
    def reset():
        """Forget every value.

        A soft handler or a task of the same core never meets it half done; it is not for while a
        hard handler or another core adds.

        Context: the adding context | alloc: none | time: O(buckets) | blocks: never
        """
        own = ptr32(words)
        at = 0
        while at < _WORDS:
            word = ptr32(int(own) + (at << 2))  # own[at] is spoilt by MicroPython 1.26 and 1.27
            word[0] = 0
            at += 1

    return reset


class LatencyHistogram:
    """LatencyHistogram(): counts latencies by size.

    Attributes: `add`, `reset` (viper, positional arguments only), of one context. The rest may be
    called by any other too.
    """

    def __init__(self):
        self._words = words = array("I", bytes(4 * _WORDS))
        self.add = make_add(words)
        self.reset = make_reset(words)
        self._average = make_average(words)
        self._summarise = make_summarise(words, self._average)

    @property
    def count(self):
        """How many values were added; at most 2**30 - 1, then the histogram is full."""
        return self._words[_COUNT]

    @property
    def max(self):
        """The largest value, exact; 0 if there is none."""
        return self._words[_MAX]

    @property
    def average(self):
        """The exact mean, rounded down; 0 if there is no value."""
        return self._average()

    def percentile(self, percent):
        """Return what `percent` of the values are at most, too large by less than 1/16 of it.

        The value whose rank is `percent` of the count, rounded up; 0 if there is no value.
        Raises ValueError unless 0 < percent <= 100.

        Context: a task | alloc: a view, a number at times | time: O(buckets) | blocks: never
        """
        if not 0 < percent <= 100:
            raise ValueError("percent must be above 0 and up to 100, not %r" % (percent,))
        buckets = memoryview(self._words)[_BUCKETS:]
        rank = -int(-sum(buckets) * percent // 100)
        for bucket in range(_WORDS - _BUCKETS):
            rank -= buckets[bucket]
            if rank <= 0:
                return min(_top(bucket), self.max)
        return self.max

    def stats(self):
        """Return a LatencyStats: (count, avg_latency, p50_latency, p99_latency, max_latency)."""
        figures = array("I", bytes(20))
        self._summarise(figures)
        return LatencyStats(*figures)

    def stats_into(self, words):
        """Write the five figures of stats() into `words`, an array of 'i' or 'I'.

        Raises TypeError if it is not one, ValueError if it has fewer than five items.

        Context: any handler or task | alloc: none | time: O(buckets) | blocks: never
        """
        check_words(words)
        if len(words) < 5:
            raise error(ValueError, "words must have 5 items, not %d", len(words))
        self._summarise(words)


def _top(bucket):
    # The largest value that the bucket counts.
    if bucket < 32:
        return bucket
    shift = (bucket >> 4) - 1
    return ((bucket - (shift << 4) + 1) << shift) - 1


def hang(end):
    """Give `end` a histogram and the verbs that tell of it; return it."""
    end._stats = histogram = LatencyHistogram()
    end.stats, end.stats_into = histogram.stats, histogram.stats_into
    end.reset_stats = histogram.reset
    return histogram
