"""What a latency histogram promises, as functions that CPython and MicroPython both run."""

import gc
import sys
import time
from array import array

import micropython
from ringlane.latency import LatencyHistogram

ROOMY = gc.mem_free() > 1000000  # a host; a chip gets fewer values
VALUES = 4000 if ROOMY else 100
LARGEST = (1 << 30) - 1
SUMS = 2  # words of a histogram, as latency.py has them: its sum, for an even and an odd count
BUCKETS = 6


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


def _as_if(value, count):
    # A histogram to which `value` has been added `count` times: that takes too long to do.
    histogram = LatencyHistogram()
    histogram.add(value)
    words = histogram._words
    for at in range(BUCKETS, len(words)):
        if words[at]:
            words[at] = count
    sums = SUMS + 2 * (count & 1)
    words[0] = count
    words[sums] = value * count & 0xFFFFF
    words[sums + 1] = value * count >> 20
    return histogram


def _figures(histogram):
    # count, average, p50, p99 and max, twice: without allocating.
    figures = array("i", [0] * 5)
    micropython.heap_lock()
    try:
        histogram.stats_into(figures)
        count, average, largest = histogram.count, histogram.average, histogram.max
    finally:
        micropython.heap_unlock()
    assert (count, average, largest) == (figures[0], figures[1], figures[4])
    assert tuple(figures) == histogram.stats()
    return tuple(figures)


def as_if_is_what_adding_gives():
    for value, count in ((0, 1), (7, 50), (LARGEST, 33)):
        histogram = LatencyHistogram()
        _add(histogram, [value] * count)
        made = _as_if(value, count)
        assert _figures(made) == _figures(histogram)
        for each in (made, histogram):
            _add(each, (5, LARGEST, 1000))
        assert _figures(made) == _figures(histogram)


def full_by_its_count_it_stands_still_until_a_reset():
    histogram = _as_if(20, LARGEST - 2)
    _add(histogram, (31,))
    assert _figures(histogram) == (LARGEST - 1, 20, 20, 20, 31)
    _add(histogram, (1 << 20,))
    assert _figures(histogram) == (LARGEST, 20, 20, 20, 1 << 20)
    before = list(histogram._words)
    _add(histogram, (0, 20, LARGEST))
    assert list(histogram._words) == before
    for percent, value in ((1, 20), (50, 20), (99, 20), (100, 1 << 20)):
        assert histogram.percentile(percent) == value, percent
    histogram.reset()
    _add(histogram, (3, 5))
    assert _figures(histogram) == (2, 4, 3, 5, 5)


def full_by_its_sum_it_stands_still_for_small_values_too():
    count = (1 << 20) - 1  # the most of the largest values below a sum of 2**50 - 2**30
    histogram = _as_if(LARGEST, count)
    assert _figures(histogram) == (count, LARGEST, LARGEST, LARGEST, LARGEST)
    _add(histogram, (LARGEST,))
    assert _figures(histogram) == (count + 1, LARGEST, LARGEST, LARGEST, LARGEST)
    before = list(histogram._words)
    _add(histogram, (0, 1, LARGEST))
    assert list(histogram._words) == before
    # What is less than that by one word of the sum has room, for whatever value.
    for value in (0, 1 << 20, LARGEST):
        histogram = _as_if(LARGEST, count)
        sums = SUMS + 2 * (count & 1)
        histogram._words[sums] = 0xFFFFF
        histogram._words[sums + 1] = (1 << 30) - 1024 - 1
        _add(histogram, (value,))
        total = (1 << 50) - (1 << 30) - 1 + value
        assert _figures(histogram)[:2] == (count + 1, total // (count + 1))
    histogram = _as_if(LARGEST, count)
    histogram._words[sums] = 0
    histogram._words[sums + 1] = (1 << 30) - 1024  # and with that word it has none
    _add(histogram, (0, LARGEST))
    assert histogram.count == count


def the_average_is_exact_up_to_the_limits():
    for value, count in ((3, 1 << 29), (1 << 19, LARGEST - 20), (LARGEST, 1000001), (0, 1 << 29)):
        histogram = _as_if(value, count)
        total = value * count
        for added in (0, 1, LARGEST, 12345678, (1 << 20) - 1):
            _add(histogram, (added,))
            total += added
            count += 1
            assert histogram.average == total // count, (value, count)
            assert _figures(histogram)[0] == count


def a_soft_handler_finds_a_reset_done_or_not_begun():
    for values in ((5, 900, LARGEST), (17,)):
        histogram = LatencyHistogram()
        _add(histogram, values)
        found = []
        reset = histogram.reset

        def handler(value, histogram=histogram, found=found):
            found.append(tuple(histogram.stats()))
            histogram.add(value)

        @micropython.viper
        def interrupted(handler, reset):
            # What is scheduled runs as soon as Python code does.
            micropython.schedule(handler, 40)
            reset()

        before = tuple(histogram.stats())
        interrupted(handler, reset)
        for _ in range(100):
            if not found:
                time.sleep_ms(1)
        assert found in ([before], [(0, 0, 0, 0, 0)]), found
        if found != [before]:
            assert histogram.stats() == (1, 40, 40, 40, 40)


def _look(histogram, figures, valid):
    # Whether the figures that another context is adding to fit each other.
    histogram.stats_into(figures)
    count, average, p50, p99, most = figures
    fit = p50 <= p99 <= most and average <= most and most in valid
    assert fit and 0 <= count <= LARGEST, tuple(figures)
    assert 0 <= histogram.average <= histogram.max and histogram.count <= LARGEST
    for percent in (1, 99) if ROOMY else ():  # they take ten times as long
        assert histogram.percentile(percent) <= histogram.max
    return count


def the_figures_fit_each_other_while_others_add():
    # A thread on a host, a hard handler on a chip. Sums carry and percentiles move all the time.
    if sys.implementation.name != "micropython":
        return  # test_latency.py interrupts it at every access there
    histogram = LatencyHistogram()
    values = (1, 1 << 20, 40, (1 << 20) - 1, 3 << 19, LARGEST)
    add = histogram.add
    going = [True, 0]

    def add_next(_):
        number = going[1]
        add(values[number])
        going[1] = number + 1 if number < 5 else 0

    def run():
        while going[0]:
            add_next(None)
        going[0] = None

    if sys.platform == "rp2":
        from machine import Timer

        timer = Timer(freq=3000, callback=add_next, hard=True)
    else:
        import _thread

        _thread.start_new_thread(run, ())
    figures = array("i", [0] * 5)
    seen = 0
    looks = 0
    moved = 0
    start = time.ticks_ms()
    try:
        while looks < (3000 if ROOMY else 40) or moved <= 10:
            looks += 1
            assert time.ticks_diff(time.ticks_ms(), start) < 60000, moved
            count = _look(histogram, figures, (0,) + values)
            assert count >= seen, (count, seen)
            moved += count != seen
            seen = count
    finally:
        going[0] = False
        if sys.platform == "rp2":
            timer.deinit()
        else:
            while going[0] is not None:
                time.sleep_ms(1)
    # Once nobody adds, all is exact.
    count = histogram.count
    total = count // 6 * sum(values) + sum(values[: count % 6])
    assert histogram.stats()[:2] == (count, total // count) and count >= seen


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
    as_if_is_what_adding_gives,
    full_by_its_count_it_stands_still_until_a_reset,
    full_by_its_sum_it_stands_still_for_small_values_too,
    the_average_is_exact_up_to_the_limits,
    a_soft_handler_finds_a_reset_done_or_not_begun,
    the_figures_fit_each_other_while_others_add,
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
