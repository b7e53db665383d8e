"""What a latency histogram promises, as functions that CPython and MicroPython both run."""

import gc
import sys
from array import array

import micropython
from ringlane.latency import LatencyHistogram

ROOMY = gc.mem_free() > 1000000  # a host; a chip gets fewer values
VALUES = 4000 if ROOMY else 100


def _add(histogram, values):
    micropython.heap_lock()
    try:
        for value in values:
            histogram.add(value)
    finally:
        micropython.heap_unlock()


def _spread(count, seed):
    # Latencies of every size from 0 to 2**30 - 1: nine decades.
    values = []
    for _ in range(count):
        seed = (seed * 69069 + 1) & 0x3FFFFFFF
        octave = (seed >> 16) % 31
        seed = (seed * 69069 + 1) & 0x3FFFFFFF
        values.append(seed >> 30 - octave)
    return values


def _edges():
    found = set()
    for octave in range(0, 31, 1 if ROOMY else 5):
        for near in (-1, 0, 1):
            found.add(min(max((1 << octave) + near, 0), (1 << 30) - 1))
    return sorted(found)


def percentiles_are_never_too_small_and_under_a_sixteenth_too_large():
    for seed in (1, 2, 3) if ROOMY else (1,):
        values = _spread(VALUES, seed)
        histogram = LatencyHistogram()
        _add(histogram, values)
        values.sort()
        assert values[0] < 10 and values[-1] > 100000000, values[-1]
        rounded = 0
        for percent in (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 100):
            exact = values[-int(-len(values) * percent // 100) - 1]
            found = histogram.percentile(percent)
            assert exact <= found and (found - exact) * 16 <= exact, (percent, exact, found)
            rounded += found != exact
        assert rounded  # else nothing above was put to the test


def the_edges_of_every_octave_keep_the_stated_error():
    histogram = LatencyHistogram()
    for value in _edges():
        histogram.reset()
        _add(histogram, (value, (1 << 30) - 1))
        found = histogram.percentile(50)
        assert value <= found and (found - value) * 16 <= value, (value, found)
    assert len(_edges()) > (80 if ROOMY else 15)


def values_below_32_are_exact():
    for value in range(32):
        histogram = LatencyHistogram()
        _add(histogram, (value, 1000))
        assert histogram.percentile(50) == value


def the_rank_of_a_percentile_rounds_up():
    histogram = LatencyHistogram()
    _add(histogram, (3, 1, 2))
    for percent, value in ((1, 1), (33, 1), (34, 2), (50, 2), (66, 2), (67, 3), (100, 3)):
        assert histogram.percentile(percent) == value, (percent, histogram.percentile(percent))


def count_average_and_maximum_are_exact():
    largest = (1 << 30) - 1
    for values in (_spread(VALUES, 7), [largest] * 40, [0], [0, 1], [largest]):
        histogram = LatencyHistogram()
        _add(histogram, values)
        assert histogram.count == len(values)
        assert histogram.average == sum(values) // len(values), (histogram.average, len(values))
        assert histogram.max == max(values) == histogram.percentile(100)


def stats_are_the_same_figures():
    figures = array("I", bytes(20))
    trials = 0
    for values in (_spread(VALUES, 3), _spread(VALUES, 4), [(1 << 30) - 1] * 50, _edges()):
        histogram = LatencyHistogram()
        for count in range(1, len(values) + 1):
            histogram.add(values[count - 1])
            if count > (101 if ROOMY else 2) and count != len(values) and count % 97:
                continue
            expected = (
                count,
                histogram.average,
                histogram.percentile(50),
                histogram.percentile(99),
                histogram.max,
            )
            micropython.heap_lock()
            try:
                histogram.stats_into(figures)
            finally:
                micropython.heap_unlock()
            assert tuple(figures) == expected == histogram.stats(), (expected, figures)
            trials += 1
    assert trials > (280 if ROOMY else 10), trials


def an_empty_histogram_gives_zeros():
    histogram = LatencyHistogram()
    for _ in range(2):
        assert (histogram.count, histogram.average, histogram.max) == (0, 0, 0)
        assert histogram.percentile(50) == histogram.percentile(100) == 0
        _add(histogram, (5, 1 << 29))
        assert (histogram.count, histogram.max) == (2, 1 << 29)
        histogram.reset()
    words = array("i", [9] * 6)
    histogram.stats_into(words)
    assert list(words) == [0, 0, 0, 0, 0, 9]


def a_value_out_of_range_counts_by_its_low_30_bits():
    histogram = LatencyHistogram()
    for value, counted in ((-1, (1 << 30) - 1), (1 << 30, 0), ((1 << 30) + 7, 7)):
        histogram.reset()
        histogram.add(value)
        assert histogram.count == 1 and histogram.max == counted == histogram.average


def a_percent_out_of_range_names_itself():
    histogram = LatencyHistogram()
    _add(histogram, (1, 2))
    for percent in (0, -1, 101, 100.5):
        try:
            histogram.percentile(percent)
        except ValueError as error:
            assert "not %r" % (percent,) in str(error), error
        else:
            raise AssertionError(percent)
    assert histogram.count == 2


def two_histograms_share_nothing():
    first, second = LatencyHistogram(), LatencyHistogram()
    first.add(10)
    second.add(20)
    assert (first.max, second.max, first.count, second.count) == (10, 20, 1, 1)


SCENARIOS = (
    percentiles_are_never_too_small_and_under_a_sixteenth_too_large,
    the_edges_of_every_octave_keep_the_stated_error,
    values_below_32_are_exact,
    the_rank_of_a_percentile_rounds_up,
    count_average_and_maximum_are_exact,
    stats_are_the_same_figures,
    an_empty_histogram_gives_zeros,
    a_value_out_of_range_counts_by_its_low_30_bits,
    a_percent_out_of_range_names_itself,
    two_histograms_share_nothing,
)


def main():
    """Run them all, a line each: its number, then ok or the error."""
    for number in range(len(SCENARIOS)):
        try:
            SCENARIOS[number]()
        except Exception as error:
            print(number, "failed")
            sys.print_exception(error)
        else:
            print(number, "ok")
