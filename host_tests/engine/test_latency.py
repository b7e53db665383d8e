"""The latency histogram against exact figures, on each kind of machine."""

import importlib.util
import itertools
from array import array

import pytest
from conftest import DEVICE, SOAK
from ringlane.latency import LatencyHistogram
from ringlane_host.explore import interrupts

SOURCE = DEVICE / "histogram.py"

_spec = importlib.util.spec_from_file_location("histogram", SOURCE)
histogram = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(histogram)

NAMES = [scenario.__name__ for scenario in histogram.SCENARIOS]
ALL_OK = [f"{number} ok" for number in range(len(NAMES))]


@pytest.mark.parametrize("name", NAMES)
def test_on_cpython_with_simulated_memory(name):
    getattr(histogram, name)()


def test_on_micropython_under_a_locked_heap(micropython):
    assert micropython("import histogram; histogram.main()").splitlines() == ALL_OK


def test_on_an_emulated_rp2040_under_a_locked_heap(pico):
    assert pico.exec("import histogram; histogram.main()").splitlines() == ALL_OK


LARGEST = (1 << 30) - 1
FEW = ((5,), (40, (1 << 20) - 1), (LARGEST, 3, 1 << 20))
# (what is there before, what is added)
ADDED = [*itertools.product(((), *FEW), FEW)]
if not SOAK:
    ADDED = [((), FEW[0]), (FEW[1], FEW[2]), (FEW[2], FEW[1])]


def filled(values):
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    return histogram


@pytest.mark.parametrize("before, added", ADDED)
def test_figures_fit_each_other_with_values_added_at_any_access(visited, before, added):
    # The figures are read whole by one context, while a handler adds.
    either = [[*before, *added[:count]] for count in range(len(added) + 1)]
    averages = {sum(values) // len(values) for values in either if values} | {0}
    wholes = [tuple(filled(values).stats()) for values in either]

    def scenario():
        histogram = filled(before)
        figures = array("i", [0] * 5)

        def read():
            histogram.stats_into(figures)

        def add():
            for value in added:
                histogram.add(value)

        def check():
            count, average, p50, p99, most = figures
            assert count in [whole[0] for whole in wholes]
            assert average in averages
            assert average <= most and p50 <= p99 <= most in {whole[4] for whole in wholes}
            assert tuple(histogram.stats()) == wholes[-1]

        return read, add, check

    points = interrupts(scenario, merge=False).points
    assert points > 40
    visited(points=points)


@pytest.mark.parametrize("before, added", ADDED)
def test_figures_fit_each_other_in_the_middle_of_an_add(before, added):
    # A handler reads, in the middle of what it has interrupted.
    wholes = [tuple(filled([*before, *each]).stats()) for each in ((), added[:1])]

    def scenario():
        histogram = filled(before)
        figures = array("i", [0] * 5)

        def check():
            count, average, p50, p99, most = figures
            assert count in (wholes[0][0], wholes[1][0])
            assert count or tuple(figures) == (0, 0, 0, 0, 0)
            assert average in (wholes[0][1], wholes[1][1])
            assert average <= most and p50 <= p99 <= most in (wholes[0][4], wholes[1][4])
            assert tuple(histogram.stats()) == wholes[1]

        return lambda: histogram.add(added[0]), lambda: histogram.stats_into(figures), check

    assert interrupts(scenario, merge=False).points > 5


@pytest.mark.parametrize("turned", (False, True) if SOAK else (False,))
def test_figures_stay_within_bounds_in_the_middle_of_a_reset_or_after_it(visited, turned):
    values = FEW[-1]
    whole = tuple(filled(values).stats())

    def scenario():
        histogram = filled(values)
        figures = array("i", [0] * 5)

        def read():
            histogram.stats_into(figures)

        def check():
            count, average, p50, p99, most = figures
            assert 0 <= count <= whole[0] and average <= most and p50 <= p99 <= most <= whole[4]
            histogram.reset()
            assert tuple(histogram.stats()) == (0, 0, 0, 0, 0)

        return (read, histogram.reset, check) if turned else (histogram.reset, read, check)

    points = interrupts(scenario, merge=False).points
    assert points > 40
    visited(points=points)
