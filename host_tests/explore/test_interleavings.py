"""Every pair of verbs that may meet on a channel, under every schedule up to a bound.

The pairs, and what must be true of them, are in interleavings.py, and which of them are explored
how. `make soak` takes all in every mode, allows a switch more and more random schedules, and lists
what was explored in build/soak.json.
"""

import re

import interleavings
import pytest
import ringlane
from conftest import ENGINE, in_form
from interleavings import MODES, PATTERNS, STRANGERS, explore, explored, scenario_of
from ringlane_host.explore import ExplorationError, cores, interrupts, random_cores, replay
from ringlane_host.simulate import memory

# What a pair must have been explored by, at the least: (schedules in each meeting, points in all).
LEAST = {"interrupts": (2, 1), "cores": (4, 1), "late": (4, 0), "random": (6, 0), "fenced": (4, 0)}


ROUNDS = [(pattern, mode) for pattern in PATTERNS for mode in MODES if explored(pattern, mode)]


@pytest.fixture
def package(mode):
    """The ringlane that is explored in that mode."""
    if mode != "fenced":
        yield ringlane
        return
    with in_form(ENGINE or "direct", fenced=True) as package:
        yield package


@pytest.mark.parametrize("pattern, mode", ROUNDS)
def test_what_may_meet_on_a_channel_does_no_harm(visited, pattern, mode, package):
    rows = [
        explore(pattern, pair, mode, package, interleavings.sample)
        for pair in explored(pattern, mode)
    ]
    assert rows
    schedules, points = LEAST[mode]
    for row in rows:
        assert row.schedules >= schedules * row.meetings and row.points >= points, row
    # With late stores three contexts are not pre-empted: what is late is as good as that.
    two = [row for row in rows if row.pair.count("|") == 1 or mode == "interrupts"]
    if mode != "random":
        assert sum(row.points for row in two) >= sum(row.meetings for row in two), rows
    visited(**{f"schedules of {row.pair}": row.schedules for row in rows})


@pytest.mark.parametrize("pattern", STRANGERS)
def test_contexts_that_share_nothing_are_found_to_share_nothing(pattern):
    for pair in STRANGERS[pattern]:
        for state in interleavings.STATES:
            report = cores(scenario_of(pattern, pair, state))
            assert report.schedules and not report.shared, pair


# That it would be found


# (pattern, two contexts where the rules allow one)
FORBIDDEN = [
    ("Channel", "a send | a send"),
    ("PriorityChannel", "a claim commit | a send"),
    ("Channel", "r recv | r recv"),
    ("Channel", "r peek release | r recv"),
    ("MulticastChannel", "a send | a send"),
    ("MulticastChannel", "x recv | x clear"),
    ("ROUND_ROBIN", "a send | a send"),
    ("RequestReplyChannel", "k ask | k ask"),
    ("RequestReplyChannel", "s read | s read"),
]


@pytest.mark.parametrize("pattern, pair", FORBIDDEN)
def test_two_contexts_in_the_place_of_one_are_found_to_break_it(pattern, pair):
    state = {"k ask | k ask": "", "s read | s read": "aa"}.get(pair, "one")
    scenario = scenario_of(pattern, pair, state)
    for meet in (interrupts, cores):
        with pytest.raises(ExplorationError) as caught:
            meet(scenario)
        with pytest.raises(ExplorationError) as again:
            replay(scenario, caught.value.schedule)
        assert again.value.schedule == caught.value.schedule
        assert str(again.value).splitlines()[0] == str(caught.value).splitlines()[0]


@pytest.mark.parametrize(
    "pattern, pair",
    [
        ("Channel", "a send | r recv"),
        ("Channel", "a send_word | r recv_word"),
        ("Channel", "a send_word | r recv_words"),
        ("PriorityChannel", "a send_urgent | r recv"),
        ("Channel", "a claim commit | r peek release"),
        ("MulticastChannel", "a send | x recv"),
        ("ROUND_ROBIN", "a send | x recv"),
        ("RequestReplyChannel", "k take | s answer"),
        ("wait: Channel arecv", "a send | w wait"),
    ],
)
def test_cores_that_reorder_need_a_fence(pattern, pair):
    """With fences, they have all pairs above."""
    state = "ar" if pattern.startswith("RequestReply") else "empty"
    with (
        interleavings.tasks_by_hand(),
        pytest.raises(ExplorationError, match="check failed|raised"),
    ):
        cores(scenario_of(pattern, pair, state), 1, "reordered")


_SLOT = re.compile(r"slot \d+ ")
_INDEX = re.compile(r" (head|tail)$")


@pytest.mark.parametrize("form", ["direct", "portable"])
@pytest.mark.parametrize("pattern", [each for each in PATTERNS if "wait" not in each])
def test_a_fence_stands_between_an_index_and_what_it_is_of(pattern, form):
    """Also before the store of a tail, where the explorer lets no store come before a load."""
    found = {"load": 0, "store": 0}
    accesses = []
    with in_form(form, fenced=True) as package, interleavings.tasks_by_hand():
        for pair in explored(pattern, "fenced"):
            for each, state in interleavings.sample(pattern, pair, "fenced"):
                *contexts, _ = scenario_of(pattern, each, state, package)()
                for context in contexts:
                    accesses.clear()
                    memory.hook = lambda kind, at, width: accesses.append(
                        (kind, memory.describe(at) if width else "")
                    )
                    try:
                        context()
                    finally:
                        memory.hook = None
                    since = set()  # the last fence
                    for kind, what in accesses:
                        if kind == "fence":
                            since.clear()
                        elif _SLOT.search(what):
                            assert kind == "store" or "index" not in since, (each, what)
                            found[kind] += kind == "load"
                            since.add("slot")
                        elif _INDEX.search(what) and kind == "load":
                            since.add("index")
                        elif _INDEX.search(what):
                            assert "slot" not in since, (each, what)
                            found[kind] += 1
    assert min(found.values()) > 1, found


# What mutants.find() is asked for: (pattern, the pair that is to find it)
_OPEN = "FanoutReceiver.__init__"
FOUND_BY = {
    ("verbs_direct", "send"): ("Channel", "a send | r recv"),
    ("verbs_direct", "send_word"): ("Channel", "a send_word | r recv"),
    ("verbs_direct", "recv"): ("Channel", "a send_word | r recv"),
    ("verbs_direct", "recv_word"): ("Channel", "a send_word | r recv_word"),
    ("ends", "recv_words"): ("Channel", "a send_word | r recv_words"),
    ("fanout", "send"): ("MulticastChannel", "a send | x recv"),
    ("fanout", "send_word"): ("MulticastChannel", "a send_word | x recv_word"),
    ("oldest", "next_lane", '"if lane[_REST] & _STALE and', "never"): (
        "MulticastChannel",
        "a send | x leave open recv",
    ),
    ("multicast", "_skip_to_latest", 'part[_EPOCH]:" never'): (
        "MulticastChannel",
        "b send | x leave open send_as_a skip_to_latest",
    ),
    ("fanout", _OPEN, '"_empty(self)" left out'): (
        "MulticastChannel",
        "a send | x leave open",
    ),
    ("fanout", _OPEN, '"for header in self._headers:" before "_empty(self)'): (
        "MulticastChannel",
        "a send | x leave open recv",
    ),
    ("fanout", "FanoutReceiver.close", "_ROOM, self._told)", "left out"): (
        "MulticastChannel",
        "a send | x leave",
    ),
    ("request_reply", "send_response"): ("RequestReplyChannel", "k take | s answer"),
    ("request_reply", "send_request", '"lane[_HEAD] = head + 1" before "entry[_ISSUED] ='): (
        "RequestReplyChannel",
        "k ask | s read",
    ),
    ("zero_copy", "commit"): ("Channel", "a claim commit | r peek release"),
    ("zero_copy", "commit", '"limit" loaded again in "if limit and (size < 0 or', "#2"): (
        "PriorityChannel",
        "a claim commit | c close",
    ),
    ("zero_copy", "peek", '_PEEK_TAIL]:" always'): (
        "PriorityChannel",
        "a send_urgent | r peek peek release",
    ),
}


@pytest.mark.parametrize("query", FOUND_BY)
def test_a_mutant_is_found_by_its_pair_in_the_table(broken, query):
    pattern, pair = FOUND_BY[query]
    assert pair in PATTERNS[pattern][1]
    package = broken(*query)
    with pytest.raises(ExplorationError, match="the check failed|raised"):
        interleavings.explore(pattern, pair, "cores", package)


def test_random_schedules_find_what_they_should_in_a_mutant(broken):
    package = broken("verbs_direct", "send")
    scenario = scenario_of("Channel", "a send | r recv", "empty", package)
    with pytest.raises(ExplorationError, match="the check failed"):
        random_cores(scenario, 300, interleavings.SEED, "late")
