"""Soft handlers and threads under a GIL: what the explorer's soft() and gil() find, and where.

Planted programs, broken on purpose where only plain Python can be interrupted, or not at all.
"""

import _thread
import sys
import threading
from functools import partial

import pytest
from ringlane_host.explore import (
    ExplorationError,
    bytecodes,
    gil,
    interrupts,
    replay,
    runs,
    soft,
)
from ringlane_host.simulate import clock, memory, ptr32, viper


@viper
def add(block, amount: int, calls):
    count = ptr32(block)
    value = count[0]
    if calls:
        calls()
    count[0] = value + amount


@viper
def load(block) -> int:
    return ptr32(block)[0]


@viper
def store(block, value: int):
    ptr32(block)[0] = value


class Counter:
    """A word, a Python attribute and a list, to which contexts add in their various ways."""

    def __init__(self):
        self.block = bytearray(4)
        self.count = 0
        self.items = [0]

    def in_viper(self, amount):
        add(self.block, amount, None)

    def in_viper_over_a_builtin(self, amount):
        add(self.block, amount, dict)

    def in_viper_over_a_call(self, amount):
        add(self.block, amount, lambda: None)

    def in_python(self, amount):
        store(self.block, load(self.block) + amount)

    def in_an_attribute(self, amount):
        self.count += amount

    def in_an_item(self, amount):
        self.items[0] += amount

    def in_a_list(self, amount):
        self.items.append(self.items.pop() + amount)

    def in_a_generator(self, amount):
        def steps():
            yield load(self.block)
            yield

        for value in steps():
            if value is not None:
                kept = value
        store(self.block, kept + amount)

    def total(self):
        return load(self.block) + self.count + self.items[0]


WAYS = [way for way in vars(Counter) if way.startswith("in_")]
ATOMIC = ("in_viper", "in_viper_over_a_builtin")


def adding(way, contexts=2):
    """Return the scenario of contexts that add 1, 10, ... to one counter."""

    def scenario():
        counter = Counter()
        expected = sum(10**each for each in range(contexts))

        def check():
            total = counter.total()
            assert total == expected, f"lost: {total}"

        return *(partial(getattr(counter, way), 10**each) for each in range(contexts)), check

    scenario.__name__ = f"adding({way!r}, {contexts})"
    return scenario


@pytest.mark.parametrize("merge", [True, False], ids=["merged", "unmerged"])
@pytest.mark.parametrize("door", [soft, partial(gil, switches=1)], ids=["soft", "gil"])
@pytest.mark.parametrize("way", WAYS)
def test_an_update_is_lost_only_where_bytecode_comes_between(way, door, merge):
    scenario = adding(way)
    if way in ATOMIC:
        report = door(scenario, merge=merge)
        assert report.points and report.accesses
        with pytest.raises(ExplorationError, match="lost"):
            interrupts(scenario)  # as a hard handler would
        return
    with pytest.raises(
        ExplorationError, match="the check failed: .*lost|pop from empty list"
    ) as caught:
        door(scenario, merge=merge)
    with pytest.raises(ExplorationError) as again:
        replay(scenario, caught.value.schedule)
    assert str(again.value) == str(caught.value)
    assert "does" in str(again.value) and "test_bytecodes.py:" in str(again.value)


def test_merging_leaves_few_points():
    merged, all_ = (soft(adding("in_viper"), merge=merge) for merge in (True, False))
    assert merged.accesses == all_.accesses
    assert 0 < merged.points < all_.points


def test_handlers_do_not_come_within_each_other_and_in_any_order():
    runs = []

    def scenario():
        block = bytearray(4)
        run = []
        runs.append(run)

        def note(what):
            run.append(what)
            store(block, load(block) + 1)
            run.append(what)

        return partial(note, "call"), partial(note, "one"), partial(note, "two"), lambda: None

    report = soft(scenario, merge=False)
    assert report.switches == 2
    seen = {" ".join(run) for run in runs}
    assert {
        "call call one one two two",
        "one one two two call call",
        "call two two one one call",
        "call one one two two call",
        "one one call two two call",
    } <= seen
    for run in seen:
        assert "one one" in run and "two two" in run


def test_two_handlers_may_come_at_two_points():
    def scenario():
        state = {"count": 0}
        block = bytearray(4)

        def call():
            add(block, 1, None)
            first = state["count"]
            second = state["count"]
            third = state["count"]
            state["seen"] = first, second, third

        def handler():
            add(block, 1, None)
            state["count"] += 1

        def check():
            assert state["seen"] != (0, 1, 2), "two came"

        return call, handler, handler, check

    with pytest.raises(ExplorationError, match="two came") as caught:
        soft(scenario)
    with pytest.raises(ExplorationError, match="two came"):
        replay(scenario, caught.value.schedule)


def test_threads_switch_as_often_as_allowed():
    def scenario():
        seen = []
        block = bytearray(4)

        def count():
            for _ in range(3):
                store(block, load(block) + 1)

        def look():
            seen.append(load(block))
            seen.append(load(block))
            seen.append(load(block))

        def check():
            assert seen != [0, 1, 3], "three values"

        return count, look, check

    gil(scenario, switches=2)
    with pytest.raises(ExplorationError, match="three values") as caught:
        gil(scenario, switches=3)
    with pytest.raises(ExplorationError, match="three values"):
        replay(scenario, caught.value.schedule)


# Locks


def locking(order):
    def scenario():
        locks = [_thread.allocate_lock() for _ in range(2)]
        counter = Counter()

        def thread(first, second):
            with locks[first], locks[second]:
                counter.in_python(1)

        def check():
            assert counter.total() == 2

        return partial(thread, 0, 1), partial(thread, *order), check

    return scenario


def test_threads_under_a_lock_wait_for_each_other():
    report = gil(locking((0, 1)))
    assert report.points > 2
    assert isinstance(_thread.allocate_lock(), _thread.LockType)


def test_threads_that_lock_in_another_order_wait_for_ever(monkeypatch):
    monkeypatch.setattr(runs, "_SECONDS_MAX", 0.5)
    with pytest.raises(ExplorationError, match="waits for a lock for ever|not ended"):
        gil(locking((1, 0)))


def test_a_soft_handler_may_not_wait_for_the_lock_of_what_it_interrupts():
    with pytest.raises(ExplorationError, match="waits for a lock that what it interrupts has"):
        soft(locking((0, 1)))


# What must not pass for explored


def test_a_sweep_that_visits_nothing_fails():
    block = bytearray(4)
    one = partial(add, block, 1, None)  # viper, called by no bytecode
    with pytest.raises(ExplorationError, match="runs no bytecode"):
        soft(lambda: (one, one, lambda: None))
    with pytest.raises(ExplorationError, match="runs no bytecode"):
        gil(lambda: (one, one, lambda: None))
    assert not soft(lambda: (lambda: None, lambda: None, lambda: None)).shared


def test_a_tracer_that_sees_nothing_fails(monkeypatch):
    monkeypatch.setattr(bytecodes, "_trace", lambda: None)
    for door in (soft, gil):
        with pytest.raises(ExplorationError, match="runs no bytecode"):
            door(adding("in_python"))


def test_an_error_of_a_handler_is_found_even_if_the_call_catches_all():
    def scenario():
        counter = Counter()

        def call():
            try:
                counter.in_python(1)
            except BaseException:
                pass

        def handler():
            if load(counter.block):
                raise KeyError("late")
            store(counter.block, 0)

        return call, handler, lambda: None

    with pytest.raises(ExplorationError, match=r"handler 1 raised KeyError\('late'\)"):
        soft(scenario)


def test_a_call_that_never_ends_is_ended(monkeypatch):
    monkeypatch.setattr(runs, "_ACCESSES_MAX", 500)

    def scenario():
        counter = Counter()

        def wait():
            while not counter.total() < 0:
                pass

        return wait, wait, lambda: None

    for door in (soft, gil):
        with pytest.raises(ExplorationError, match="has not ended after 500 points"):
            door(scenario)


def test_it_leaves_nothing_behind():
    threads = threading.active_count()
    tracer = sys.gettrace()
    for door in (soft, gil):
        door(adding("in_viper"))
        with pytest.raises(ExplorationError):
            door(adding("in_python"))
    assert threading.active_count() == threads
    assert sys.gettrace() is tracer and memory.hook is None and clock._us is None


def test_bytecodes_of_python_itself_and_of_the_simulation_are_no_points():
    assert bytecodes.points_of(threading.Thread.run.__code__) is None
    assert bytecodes.points_of(soft.__code__) is None
    assert bytecodes.points_of(adding.__code__)
