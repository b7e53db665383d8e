"""A small fleet: what `make fleet` does, with three boards."""

import fleet
import pytest
from brokers import KINDS
from conftest import SOAK


@pytest.mark.parametrize("kind", KINDS if SOAK else KINDS[:1])
def test_a_fleet_loses_nothing_without_a_count(kind, interpreter, visited):
    boards, seconds = (20, 60) if SOAK else (3, 3)
    found = fleet.run(boards, seconds, 25, kind, out=lambda text: None)
    assert found["sent"] == found["delivered"] + sum(found["dropped"].values())
    assert found["resets"] and found["broken connections"]
    visited(messages=found["sent"], came=found["came"], resets=found["resets"])


def test_what_is_doubled_or_missing_is_told(interpreter, monkeypatch):
    came = fleet.Came.take

    def doubled(self, *what):
        came(self, *what)
        came(self, *what)

    monkeypatch.setattr(fleet.Came, "take", doubled)
    with pytest.raises(fleet.FleetError, match="of QoS 0, but they came twice"):
        fleet.run(1, 0.5, 50, KINDS[0], calm=True, out=lambda text: None)
    monkeypatch.setattr(fleet.Came, "take", lambda self, *what: None)
    monkeypatch.setattr(fleet, "until", lambda true, what: pytest.fail(what))
    with pytest.raises(pytest.fail.Exception, match="delivered, but not received"):
        fleet.run(1, 0.5, 50, KINDS[0], calm=True, out=lambda text: None)
