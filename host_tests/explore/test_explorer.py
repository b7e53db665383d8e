"""The explorer: what it finds in planted programs, and that it finds nothing in the channels."""

import importlib
import itertools
import random
import threading
import time
from functools import partial

import planted
import pytest
from ringlane_host.explore import (
    ExplorationError,
    cores,
    fence,
    interrupts,
    name_words,
    random_cores,
    replay,
    runs,
    sessions,
)
from ringlane_host.simulate import memory, ptr8, ptr32

late = partial(cores, stores="late")
reordered = partial(cores, stores="reordered")


# What is planted: (scenario, how it is explored, whether it is found).
PUBLISH_EARLY = planted.publishing(planted.publish_early)
PUBLISH = planted.publishing(planted.publish)
PUBLISH_FENCED = planted.publishing(planted.publish_fenced)
TAKE_FENCED = planted.publishing(planted.publish, planted.take_fenced)
BOTH_FENCED = planted.publishing(planted.publish_fenced, planted.take_fenced)
LOST_WAKEUP = planted.lost_wakeup()
CASES = {
    "a lost update, by an interrupt": (planted.lost_update, interrupts, True),
    "a lost update, by a core": (planted.lost_update, partial(cores, switches=1), True),
    "a lost update needs a switch": (planted.lost_update, partial(cores, switches=0), False),
    "a lost update, by a store that is late": (
        planted.lost_update,
        partial(late, switches=0),
        True,
    ),
    "publish before payload, by an interrupt": (PUBLISH_EARLY, interrupts, True),
    "publish before payload, by a core": (PUBLISH_EARLY, partial(cores, switches=1), True),
    "publish after payload, by an interrupt": (PUBLISH, interrupts, False),
    "publish after payload, by a core": (PUBLISH, partial(cores, switches=6), False),
    "publish after payload, late": (PUBLISH, partial(late, switches=6), False),
    "publish after payload, reordered": (PUBLISH, partial(reordered, switches=0), True),
    "publish after a fence, reordered": (PUBLISH_FENCED, partial(reordered, switches=0), True),
    "take after a fence, reordered": (TAKE_FENCED, partial(reordered, switches=0), True),
    "both after a fence, reordered": (BOTH_FENCED, partial(reordered, switches=6), False),
    "release before copy, by an interrupt": (planted.release_before_copy, interrupts, True),
    "release before copy, by a core": (
        planted.release_before_copy,
        partial(cores, switches=1),
        True,
    ),
    "two interrupts nested": (planted.nested_update, interrupts, True),
    "two interrupts in sequence": (planted.changed_twice, interrupts, True),
    "two switches, one allowed": (planted.seen_pulse, partial(cores, switches=1), False),
    "two switches, two allowed": (planted.seen_pulse, partial(cores, switches=2), True),
    "four switches, three allowed": (planted.seen_counting, partial(cores, switches=3), False),
    "four switches, four allowed": (planted.seen_counting, partial(cores, switches=4), True),
    "a wake-up flag, by an interrupt": (LOST_WAKEUP, interrupts, False),
    "a wake-up flag, by a core": (LOST_WAKEUP, partial(cores, switches=6), False),
    "a wake-up flag, late": (LOST_WAKEUP, partial(late, switches=0), True),
    "a wake-up flag with one fence, late": (
        planted.lost_wakeup(waiter=True),
        partial(late, switches=0),
        True,
    ),
    "a wake-up flag with the other fence, late": (
        planted.lost_wakeup(sender=True),
        partial(late, switches=0),
        True,
    ),
    "a wake-up flag with both fences, late": (
        planted.lost_wakeup(True, True),
        partial(late, switches=6),
        False,
    ),
    "a wake-up flag with both fences, reordered": (
        planted.lost_wakeup(True, True),
        partial(reordered, switches=6),
        False,
    ),
}


@pytest.mark.parametrize("merge", [True, False], ids=["merged", "unmerged"])
@pytest.mark.parametrize("case", CASES)
def test_a_planted_bug_is_found_where_it_can_show_and_nowhere_else(case, merge):
    scenario, explore, found = CASES[case]
    if not found:
        report = explore(scenario, merge=merge)
        assert report.schedules > 1
        return
    with pytest.raises(ExplorationError, match="the check failed") as caught:
        explore(scenario, merge=merge)
    with pytest.raises(ExplorationError, match="the check failed") as again:
        replay(scenario, caught.value.schedule)
    assert str(again.value) == str(caught.value)


@pytest.mark.parametrize("scenario", [planted.nested_update, planted.changed_twice])
@pytest.mark.parametrize("number", [0, 1])
def test_what_takes_two_interrupts_is_not_found_by_one(scenario, number):
    def one():
        call, *handlers, check = scenario()

        def both_ran():
            handlers[1 - number]()
            check()

        return call, handlers[number], both_ran

    interrupts(one)


def test_random_schedules_find_what_is_beyond_the_bound():
    with pytest.raises(ExplorationError, match="every value was seen") as caught:
        random_cores(planted.seen_counting, 2000, seed=1)
    with pytest.raises(ExplorationError, match="every value was seen"):
        replay(planted.seen_counting, caught.value.schedule)


def test_random_schedules_find_late_and_reordered_stores():
    with pytest.raises(ExplorationError, match="asleep, with a message"):
        random_cores(LOST_WAKEUP, 1000, stores="late")
    random_cores(PUBLISH, 300, stores="late")
    with pytest.raises(ExplorationError, match="read before it was written"):
        random_cores(PUBLISH, 1000, stores="reordered")


def test_the_same_seed_gives_the_same_schedules():
    def paths(seed):
        seen = []

        def scenario():
            first, second, check = planted.publishing(planted.publish)()
            who = []
            seen.append(who)

            def noted(name, context):
                def run():
                    who.append(name)
                    context()
                    who.append(name)

                return run

            return noted("a", first), noted("b", second), check

        report = random_cores(scenario, 50, seed, merge=False)
        return report, seen

    assert paths(1) == paths(1)
    assert paths(1) != paths(2)


# Against a model of the three memories


def outcomes_of(programs, stores):
    """Return every (memory, loaded values of each core) that the programs can end with."""
    outcomes = set()
    visited = set()

    def visit(at, block, held, loaded):
        if (at, block, held, loaded) in visited:
            return
        visited.add((at, block, held, loaded))
        if not any(held) and all(map(int.__eq__, at, map(len, programs))):
            outcomes.add((block, loaded))
        for core, program in enumerate(programs):

            def with_core(values, value, core=core):
                return (*values[:core], value, *values[core + 1 :])

            mine = held[core]  # (place, value, whether a fence came after it)
            for number, (place, value, _) in enumerate(mine):
                earlier = [each[0] for each in mine[:number]]
                if number and (stores == "late" or place in earlier):
                    continue
                rest = with_core(held, mine[:number] + mine[number + 1 :])
                visit(at, (*block[:place], value, *block[place + 1 :]), rest, loaded)
            if at[core] == len(program):
                continue
            verb, place, value = program[at[core]]
            on = with_core(at, at[core] + 1)
            if verb == "load":
                value = {each[0]: each[1] for each in mine}.get(place, block[place])
                visit(on, block, held, with_core(loaded, (*loaded[core], value)))
            elif verb == "fence" and stores == "reordered":
                seen = list(block)
                rest = []
                for other, its in enumerate(held):
                    if other == core:
                        rest.append(tuple((*each[:2], True) for each in its))
                        continue
                    for its_place, its_value, fenced in its:
                        if fenced:
                            seen[its_place] = its_value
                    rest.append(tuple(each for each in its if not each[2]))
                visit(on, tuple(seen), tuple(rest), loaded)
            elif verb == "fence":
                if not mine:
                    visit(on, block, held, loaded)
            elif stores == "at once":
                visit(on, (*block[:place], value, *block[place + 1 :]), held, loaded)
            else:
                visit(on, block, with_core(held, (*mine, (place, value, False))), loaded)

    nothing = tuple(() for _ in programs)
    visit(tuple(0 for _ in programs), (0, 0), nothing, nothing)
    return outcomes


def explored_outcomes(programs, **how):
    """Return what the explorer makes the programs end with."""
    lines = ["def build(block, loaded, fence, ptr32):"]
    for core, program in enumerate(programs):
        lines += [f"  def core{core}():", "    p = ptr32(block)"]
        for verb, place, value in program:
            lines.append(
                {
                    "load": f"    loaded[{core}].append(p[{place}])",
                    "store": f"    p[{place}] = {value}",
                    "fence": "    fence()",
                }[verb]
            )
    lines.append(f"  return [{', '.join(f'core{core}' for core in range(len(programs)))}]")
    names = {}
    exec("\n".join(lines), names)
    outcomes = set()

    def litmus():
        block = bytearray(8)
        loaded = [[] for _ in programs]

        def check():
            outcomes.add((tuple(planted.words(block)), tuple(map(tuple, loaded))))

        return *names["build"](block, loaded, fence, ptr32), check

    cores(litmus, switches=8, **how)
    return outcomes


LOAD_0, LOAD_1, FENCE = ("load", 0, 0), ("load", 1, 0), ("fence", 0, 0)
LITMUS = {
    "store buffering": [[("store", 0, 1), LOAD_1], [("store", 1, 1), LOAD_0]],
    "fenced store buffering": [
        [("store", 0, 1), FENCE, LOAD_1],
        [("store", 1, 1), FENCE, LOAD_0],
    ],
    "message passing": [[("store", 0, 1), ("store", 1, 1)], [LOAD_1, LOAD_0]],
    "message passing, fenced too late": [
        [("store", 0, 1), ("store", 1, 1), FENCE],
        [LOAD_1, LOAD_0],
    ],
    "message passing, fenced once": [[("store", 0, 1), FENCE, ("store", 1, 1)], [LOAD_1, LOAD_0]],
    "message passing, fenced": [
        [("store", 0, 1), FENCE, ("store", 1, 1)],
        [LOAD_1, FENCE, LOAD_0],
    ],
    "two stores each": [[("store", 0, 1), ("store", 1, 2)], [("store", 1, 1), ("store", 0, 2)]],
    "one word, two stores": [[("store", 0, 1), ("store", 0, 2)], [LOAD_0, LOAD_0]],
    "own store read back": [[("store", 0, 1), LOAD_0, LOAD_1], [("store", 1, 1), LOAD_1, LOAD_0]],
    "three cores": [[("store", 0, 1)], [LOAD_0, ("store", 1, 1)], [LOAD_1, LOAD_0]],
}


@pytest.mark.parametrize("stores", ["at once", "late", "reordered"])
@pytest.mark.parametrize("litmus", LITMUS)
def test_a_litmus_program_has_all_outcomes_and_no_others(litmus, stores):
    expected = outcomes_of(LITMUS[litmus], stores)
    assert len(expected) > 1
    assert explored_outcomes(LITMUS[litmus], stores=stores) == expected
    assert explored_outcomes(LITMUS[litmus], stores=stores, merge=False) == expected


def test_the_three_memories_differ():
    counts = {
        litmus: [
            len(outcomes_of(LITMUS[litmus], stores)) for stores in ("at once", "late", "reordered")
        ]
        for litmus in LITMUS
    }
    assert counts["store buffering"] == [3, 4, 4]
    assert counts["fenced store buffering"] == [3, 3, 3]
    assert counts["message passing"] == [3, 3, 4]
    assert counts["message passing, fenced once"] == [3, 3, 4]
    assert counts["message passing, fenced"] == [3, 3, 3]
    assert counts["two stores each"] == [3, 3, 4]


@pytest.mark.parametrize("stores", ["at once", "late", "reordered"])
def test_random_programs_have_all_outcomes_and_no_others(stores):
    rng = random.Random(stores)
    for _ in range(12):
        values = itertools.count(1)
        programs = [
            [("store", 0, next(values))]
            + [
                (rng.choice(("load", "load", "store", "store", "fence")), rng.randrange(2), value)
                for value in itertools.islice(values, rng.randrange(3))
            ]
            + [("load", 0, 0)]
            for _ in range(2)
        ]
        expected = outcomes_of(programs, stores)
        assert explored_outcomes(programs, stores=stores) == expected, programs


# What is reported


def test_a_failure_is_told_in_words():
    with pytest.raises(ExplorationError) as caught:
        cores(PUBLISH_EARLY)
    assert caught.value.schedule == "cores: 0*1 1*2 0"
    first, second, *rest = str(caught.value).splitlines()
    assert first == (
        "publish_early: the check failed: AssertionError('read before it was written: [0]')"
    )
    assert second == '  replay(publish_early, "cores: 0*1 1*2 0")'
    assert [line.partition("  planted.py:")[0] for line in rest] == [
        "      0 core 0    writes bytearray of 8 bytes + 0 = 1",
        "      1 core 1    reads  bytearray of 8 bytes + 0 = 1",
        "      2 core 1    reads  bytearray of 8 bytes + 4 = 0",
        "      3 core 0    writes bytearray of 8 bytes + 4 = 7",
    ]


def test_a_schedule_tells_which_held_stores_become_seen_when():
    told = replay(PUBLISH, "late: 0*2 0!1 1*1 0!1 1").splitlines()
    assert [line.split("  planted.py:")[0].split(None, 1)[-1] for line in told[:3]] == [
        "core 0    writes bytearray of 8 bytes + 4 = 7",
        "core 0    writes bytearray of 8 bytes + 0 = 1",
        "0    shows  bytearray of 8 bytes + 4 = 7",
    ]
    assert "core 1    reads  bytearray of 8 bytes + 0 = 0" in told[3]
    assert "shows" in told[4] and len(told) == 5
    with pytest.raises(ExplorationError, match=r"read before .*\n.*reordered: 0\*2 0!2 1"):
        replay(PUBLISH, "reordered: 0*2 0!2 1")


def test_an_interrupt_can_be_placed_by_hand():
    told = replay(planted.nested_update, "interrupts: 0*1 1*2 2")
    assert [line.split()[1:3] for line in told.splitlines()] == [
        ["call", "reads"],
        ["handler", "1"],
        ["handler", "1"],
        ["handler", "2"],
        ["handler", "2"],
    ]
    with pytest.raises(ExplorationError, match="an update is lost"):
        replay(planted.nested_update, "interrupts: 1*1 2*2 1")


@pytest.mark.parametrize("schedule", ["", "0*1 1", "cores 0", "cores: 0*1 x", "late: 0!0"])
def test_what_is_no_schedule_is_refused(schedule):
    with pytest.raises(ValueError, match="no schedule begins|is no step of a schedule"):
        replay(PUBLISH, schedule)


@pytest.mark.parametrize(
    "schedule",
    [
        "cores: 2",
        "cores: 0*1 2",
        "cores: 0*2 1*2 0*1 1",
        "cores: 0*1 0!1",
        "late: 0*1 0!2",
        "late: 0*1 7!1",
        "interrupts: 0*1 1*1 0",
        "interrupts: 0*1 2",
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(schedule):
    with pytest.raises(ExplorationError, match="lost_update: .* cannot come after"):
        replay(planted.lost_update, schedule)


def test_the_report_counts_what_was_visited():
    def scenario():
        first, second, _ = planted.lost_update()
        return first, second, lambda: None

    # Either starts, and is pre-empted before its second access or not.
    report = cores(scenario, switches=1, merge=False)
    assert str(report) == "4 schedules, 2 points in 4 accesses, up to 1 switches"
    # Before the first access, before the second, after the call.
    report = interrupts(scenario, merge=False)
    assert str(report) == "3 schedules, 2 points in 4 accesses, up to 1 switches"


def test_accesses_that_cannot_conflict_are_merged():
    def scenario():
        block = bytearray(8)

        def context(own):
            own = ptr32(bytearray(40))
            for number in range(10):
                own[number] = number
            ptr32(block)[0] = 1

        return lambda: context(1), lambda: context(2), lambda: None

    assert cores(scenario, switches=1).schedules == 4
    assert cores(scenario, switches=1, merge=False).schedules == 2 + 2 * 10


def test_a_loop_is_merged_but_for_the_words_that_conflict():
    def scenario():
        block = bytearray(40)

        def scan():
            for number in range(10):
                ptr32(block)[number]

        def store():
            ptr32(block)[9] = 1

        return scan, store, lambda: None

    assert cores(scenario, switches=1).schedules == 3
    assert cores(scenario, switches=1, merge=False).schedules == 2 + 9


def test_handlers_come_in_either_order_after_the_call():
    outcomes = set()

    def scenario():
        block = bytearray(4)
        order = []

        def handler(number):
            order.append(number)
            ptr32(block)[0] = number

        def call():
            order.append(ptr32(block)[0])

        return call, lambda: handler(1), lambda: handler(2), lambda: outcomes.add(tuple(order))

    interrupts(scenario)
    assert {order for order in outcomes if order[0] == 0} == {(0, 1, 2), (0, 2, 1)}


def test_the_clock_counts_the_accesses():
    seen = []

    def scenario():
        block = bytearray(4)
        ptr32(block)[0] = 0
        times = []
        seen.append(times)

        def context():
            times.append(time.ticks_us())
            ptr32(block)[0] = 1
            times.append(time.ticks_us())

        return context, context, lambda: None

    cores(scenario, switches=0)
    assert seen[-1] == [1, 2, 2, 3]


def test_what_the_program_writes_without_a_pointer_is_seen_at_once():
    seen = set()

    def scenario():
        block = bytearray(4)

        def writer():
            word = ptr32(block)
            word[0] = 1
            fence()
            block[0] = 5
            word[0] = 7

        def reader():
            word = ptr32(block)
            seen.add((word[0], word[0]))

        return writer, reader, lambda: None

    late(scenario, merge=False)
    assert {(5, 5), (5, 7)} <= seen and (5, 1) not in seen


def test_a_conflict_that_shows_only_later_is_not_merged():
    def scenario():
        # The second writes word 2 only if it comes between the first's two stores.
        block = ptr32(bytearray(12))
        got = []

        def first():
            block[0] = 1
            got.append(block[2])
            block[1] = 1
            got.append(block[2])

        def second():
            if block[0] and not block[1]:
                block[2] = 5
                block[2] = 6

        def check():
            assert got != [0, 5], "the word changed under way"

        return first, second, check

    for merge in (True, False):
        with pytest.raises(ExplorationError, match="the word changed under way"):
            cores(scenario, switches=2, merge=merge)


# What goes wrong


def test_nothing_to_explore_is_a_failure_and_nothing_shared_is_told():
    def idle():
        return lambda: None, lambda: None, lambda: None

    def strangers():
        mine, yours, both = bytearray(4), bytearray(4), bytearray(4)

        def context(own):
            ptr32(own)[0] = ptr32(both)[0]

        return lambda: context(mine), lambda: context(yours), lambda: None

    for explore in (interrupts, cores, late, partial(random_cores, schedules=10)):
        with pytest.raises(
            ExplorationError, match="idle(: the call)? accesses no simulated memory"
        ):
            explore(idle)
        report = explore(strangers)
        assert report.schedules and not report.shared
        assert str(report).endswith("; the contexts share no word that one of them writes")
        assert "share" not in str(explore(PUBLISH))


@pytest.mark.parametrize("explore", [interrupts, cores, late])
def test_a_check_that_breaks_is_told_from_one_that_fails(explore):
    def careless():
        first, second, _ = planted.lost_update()
        return first, second, lambda: 1 // 0

    with pytest.raises(ExplorationError, match="careless: the check itself raised ZeroDivision"):
        explore(careless)


@pytest.mark.parametrize("explore", [interrupts, cores, late])
@pytest.mark.parametrize("who", [0, 1])
def test_what_a_context_raises_is_a_failure_that_ends_the_others(explore, who):
    def wrong():
        block = bytearray(8)

        def context(number):
            for place in range(8):
                ptr8(block)[place] = 1
            if number == who:
                raise KeyError("planted")

        return lambda: context(0), lambda: context(1), lambda: None

    with pytest.raises(ExplorationError, match=r"wrong: .* raised KeyError\('planted'\)"):
        explore(wrong, merge=False)


@pytest.mark.parametrize("explore", [interrupts, cores, late])
def test_an_error_that_the_program_catches_still_fails(explore):
    def deaf():
        block = bytearray(4)

        def call():
            try:
                ptr32(block)[0] = 1
            except Exception:
                pass

        return call, lambda: {1: "too late"}[ptr32(block)[0]], lambda: None

    with pytest.raises(ExplorationError, match="deaf: (handler|core) 1 raised KeyError"):
        explore(deaf)

    def careless():
        block = bytearray(8)

        def context():
            ptr32(block)[0] = 1
            try:
                ptr32(block)[2] = 1
            except Exception:
                pass

        return context, context, lambda: None

    with pytest.raises(ExplorationError, match="careless: somebody caught OutOfBounds"):
        explore(careless)


@pytest.mark.parametrize("explore", [interrupts, cores, late])
def test_a_context_that_spins_is_ended(explore, monkeypatch):
    monkeypatch.setattr(runs, "_ACCESSES_MAX", 1000)

    def spinning():
        block = bytearray(8)

        def wait():
            while not ptr32(block)[0]:
                pass

        return wait, lambda: wait(), lambda: None

    with pytest.raises(ExplorationError, match="spinning: .* not ended after 1000 acc") as caught:
        explore(spinning)
    assert len(str(caught.value).splitlines()) < 300


@pytest.mark.parametrize("explore", [interrupts, cores, late])
@pytest.mark.parametrize("who", [0, 1])
def test_a_context_that_waits_without_an_access_is_ended(explore, who, monkeypatch):
    monkeypatch.setattr(runs, "_SECONDS_MAX", 0.1)

    def waiting():
        block = bytearray(8)

        def context(number):
            ptr32(block)[0] = 1
            while number == who:
                pass

        return lambda: context(0), lambda: context(1), lambda: None

    before = threading.active_count()
    with pytest.raises(ExplorationError, match="waiting: .* has not ended after 0.1 seconds"):
        explore(waiting)
    assert threading.active_count() == before


def test_a_scenario_that_is_not_the_same_every_time_is_found_out():
    numbers = itertools.count()

    def fickle():
        block = bytearray(8)
        fails = next(numbers) == 1

        def check():
            assert not fails

        return lambda: planted.publish(block), lambda: planted.take(block), check

    with pytest.raises(ExplorationError, match="the scenario is not deterministic"):
        cores(fickle)

    runs = itertools.count()

    def shrinking():
        block = bytearray(8)
        long = next(runs) < 4

        def context():
            ptr32(block)[0] = 1
            if long:
                ptr32(block)[1] = 1

        return context, context, lambda: None

    with pytest.raises(ExplorationError, match="not the same every time"):
        cores(shrinking, merge=False)


def test_too_many_schedules_are_refused(monkeypatch):
    monkeypatch.setattr(sessions, "_SCHEDULES_MAX", 10)
    with pytest.raises(ExplorationError, match="seen_counting: more than 10 schedules"):
        cores(planted.seen_counting, switches=3)


def test_what_is_no_scenario_is_refused():
    def broken():
        raise KeyError("planted")

    with pytest.raises(ExplorationError, match="broken: the set-up raised KeyError"):
        cores(broken)
    with pytest.raises(TypeError, match="must return"):
        cores(lambda: (print, print))
    with pytest.raises(ValueError, match="stores must be one of at once, late, reordered"):
        cores(planted.lost_update, stores="never")


def test_nothing_is_left_behind():
    before = threading.active_count()
    for explore in (interrupts, cores, late):
        with pytest.raises(ExplorationError):
            explore(planted.lost_update)
        explore(planted.publishing(planted.publish))
    assert memory.hook is None
    first = time.ticks_us()
    time.sleep(0.001)
    assert time.ticks_us() != first
    assert threading.active_count() == before


# The words of channels


@pytest.fixture(params=["PriorityChannel", "Channel"])
def channel(request):
    return getattr(importlib.import_module("ringlane"), request.param)


def test_a_failure_names_the_words_of_a_channel(channel):
    def scenario():
        ch = name_words(channel(2, 4, 2))
        for sender in (ch, ch.add_sender()):
            sender.send(b"old-", 2)

        def check():
            raise AssertionError("planted")

        return lambda: ch.send(b"new-", 2), lambda: ch.recv(bytearray(4)), check

    with pytest.raises(ExplorationError) as caught:
        cores(scenario)
    told = str(caught.value)
    lane = "lane 2" if channel.__name__ == "PriorityChannel" else "lane 0"
    for text in (
        f"core 0    writes {lane} of sender 0 slot 1 meta = 0x20004",
        f"core 0    writes {lane} of sender 0 slot 1 payload + 0 = ",
        f"core 0    writes {lane} of sender 0 head = 2",
        f"core 1    reads  {lane} of sender 1 head = 1",
        "core 0    reads  sender 0 limit = 5",
        "core 1    writes receiver stamp = ",
    ):
        assert text in told, told


def test_a_block_of_another_layout_stays_unnamed():
    class Strange:
        _block = bytearray(8)
        senders = 1

    name_words(Strange())
    address, _ = memory.address_of(Strange._block)
    assert memory.describe(address + 4) == "bytearray of 8 bytes + 4"
