"""The latency histogram against exact figures, on each kind of machine."""

import importlib.util

import pytest
from conftest import DEVICE

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
