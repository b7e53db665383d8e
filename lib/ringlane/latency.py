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
"""

from array import array
from collections import namedtuple

import micropython
from micropython import const

from .lanes import _error, check_words

_COUNT = const(0)
_MAX = const(1)
_SUM_LOW = const(2)  # the sum's low 20 bits
_SUM_HIGH = const(3)  # the sum >> 20: enough for 2**50, that is 35 years of microseconds
_BUCKETS = const(4)  # from here on, the buckets
_WORDS = const(436)  # 32 buckets for 0..31, 16 for each octave up to 2**30

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
        own[_COUNT] += 1
        if ticks > own[_MAX]:
            own[_MAX] = ticks
        total = own[_SUM_LOW] + ticks
        own[_SUM_LOW] = total & 0xFFFFF
        own[_SUM_HIGH] += total >> 20
        # Halve until below 32. Each step leaves at least 16, so the last leaves 16..31.
        bucket = _BUCKETS
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
        own[bucket + ticks] += 1

    return add


def make_summarise(words):
    """Return the summarise of the histogram whose words are `words`."""

    @micropython.viper
    def summarise(to):
        # Write the five figures to `to`, an array of five words or more.
        own = ptr32(words)
        out = ptr32(to)
        count = own[_COUNT]
        out[0] = count
        out[1] = out[2] = out[3] = 0
        out[4] = own[_MAX]
        if not count:
            return
        # The average: 50 bits by 30, a bit at a time. The rest stays below the count.
        low = own[_SUM_LOW]
        average = own[_SUM_HIGH] // count
        rest = own[_SUM_HIGH] % count
        bit = 20
        while bit:
            bit -= 1
            rest = rest + rest + (low >> bit & 1)
            average += average
            if rest >= count:
                rest -= count
                average += 1
        out[1] = average
        # The values whose ranks are 50 % and 99 % of the count, rounded up.
        half = count - (count >> 1)
        most = count - count // 100
        seen = 0
        bucket = 0
        while seen < most:
            before = seen
            seen += own[_BUCKETS + bucket]
            top = bucket
            if bucket >= 32:
                shift = (bucket >> 4) - 1
                top = ((bucket - (shift << 4) + 1) << shift) - 1
            if top > own[_MAX]:
                top = own[_MAX]
            if before < half and seen >= half:
                out[2] = top
            if seen >= most:
                out[3] = top
            bucket += 1

    return summarise


def measure(end):
    """Let `end`, a receiver, add the latency of what recv and recv_word take to `end._stats`.

    recv_words counts none: it has no latencies.
    """
    end._stats = histogram = LatencyHistogram()
    add = histogram.add
    take, take_word = end.recv, end.recv_word

    @micropython.viper
    def recv(buf):
        m = take(buf)
        if m:
            add(m[2])
        return m

    @micropython.viper
    def recv_word():
        m = take_word()
        if m:
            add(m[2])
        return m

    end.recv, end.recv_word = recv, recv_word


class LatencyHistogram:
    """LatencyHistogram(): counts latencies by size.

    `add` belongs to one context. The rest is for tasks: read while another context adds, a figure
    may be one value behind the other figures.
    """

    def __init__(self):
        self._words = array("I", bytes(4 * _WORDS))
        self.add = make_add(self._words)
        self._summarise = make_summarise(self._words)

    @property
    def count(self):
        """How many values were added, up to 2**30."""
        return self._words[_COUNT]

    @property
    def max(self):
        """The largest value, exact; 0 if there is none."""
        return self._words[_MAX]

    @property
    def average(self):
        """The exact mean, rounded down; 0 if there is no value. May allocate."""
        words = self._words
        total = (words[_SUM_HIGH] << 20) + words[_SUM_LOW]
        return total // words[_COUNT] if words[_COUNT] else 0

    def percentile(self, percent):
        """Return what `percent` of the values are at most, too large by less than 1/16 of it.

        The value whose rank is `percent` of the count, rounded up; 0 if there is no value.
        Raises ValueError unless 0 < percent <= 100.

        Context: a task | alloc: an int or float at times | time: O(buckets) | blocks: never
        """
        if not 0 < percent <= 100:
            raise ValueError("percent must be above 0 and up to 100, not %r" % (percent,))
        words = self._words
        rank = -int(-words[_COUNT] * percent // 100)
        for bucket in range(_WORDS - _BUCKETS):
            rank -= words[_BUCKETS + bucket]
            if rank <= 0:
                return min(_top(bucket), words[_MAX])
        return words[_MAX]

    def stats(self):
        """Return a LatencyStats: (count, avg_latency, p50_latency, p99_latency, max_latency)."""
        figures = array("I", bytes(20))
        self._summarise(figures)
        return LatencyStats(*figures)

    def stats_into(self, words):
        """Write the five figures of stats() into `words`, an array of 'i' or 'I'.

        Raises TypeError if it is not one, ValueError if it has fewer than five items.

        Context: the adding context | alloc: none | time: O(buckets) | blocks: never
        """
        check_words(words)
        if len(words) < 5:
            raise _error(ValueError, "words must have 5 items, not %d", len(words))
        self._summarise(words)

    def reset(self):
        """Forget every value. Not while another context adds."""
        words = self._words
        for word in range(_WORDS):
            words[word] = 0


def _top(bucket):
    # The largest value that the bucket counts.
    if bucket < 32:
        return bucket
    shift = (bucket >> 4) - 1
    return ((bucket - (shift << 4) + 1) << shift) - 1
