"""Soft handlers, and threads under a GIL, at every place between bytecodes where verbs may meet.

The meetings, and what must be true of them, are in between.py. `make soak` tries more fillings,
more policies, and threads with a switch more.
"""

import itertools

import between
import pytest
from between import PATTERNS, explore, scenario_of
from conftest import MUTANT, SOAK
from ringlane_host.explore import ExplorationError, interrupts, replay, soft

MEETINGS = [
    (pattern, meeting) for pattern, (_, meetings) in PATTERNS.items() for meeting in meetings
]
# What they find, (state, buffers): of the two that bring the most each meeting has one here, on a
# plain Channel all of them, else half. The tests of mutants take both, `make soak` all there is.
EVERY = [*itertools.product(between.STATES, between.BUFFERS)]
MOST = [("one", "new"), ("full", "known")]
FOUND = [
    (*each, EVERY if SOAK else MOST if MUTANT else [MOST[number % 2]])
    for number, each in enumerate(MEETINGS)
    if SOAK or MUTANT or each[0] == "Channel" or number % 4 in (0, 3)
]
# Threads under a GIL meet as soft handlers do, so one filling tells whether they can.
FOUND_BY_THREADS = EVERY if SOAK else MOST[:1]


@pytest.mark.parametrize("pattern, meeting, found", FOUND)
def test_a_soft_handler_between_any_two_bytecodes_does_no_harm(visited, pattern, meeting, found):
    row = explore(pattern, meeting, "soft", found)
    assert row.points, "they share nothing in any state"
    visited(schedules=row.schedules, points=row.points)


@pytest.mark.parametrize("pattern, meeting", MEETINGS if SOAK else MEETINGS[::3])
def test_threads_under_a_gil_do_no_harm(visited, pattern, meeting):
    row = explore(pattern, meeting, "gil", FOUND_BY_THREADS)
    visited(schedules=row.schedules + 1)


THREE = [
    ("Channel", "t send | h send | z send"),
    ("Channel", "t send_at | h send | z send_word"),
    ("Channel", "t recv | h recv | z send_word"),
    ("RequestReplyChannel", "t ask | h give_up | z serve_one"),
]
if SOAK:  # it takes minutes, as opening a receiver is much Python; its pairs run always
    THREE.append(("MulticastChannel", "t open | h leave | z send"))


@pytest.mark.parametrize("pattern, meeting", THREE)
def test_two_soft_handlers_do_no_harm(visited, pattern, meeting):
    row = explore(pattern, meeting, "soft", [("one", "new")])
    assert row.points
    visited(schedules=row.schedules, points=row.points)


# That it would be found


@pytest.mark.parametrize(
    "pattern, meeting",
    [
        ("Channel", "t send | h send"),
        ("Channel views", "t claim_commit | h send"),
        ("RequestReplyChannel", "t ask | h ask"),
    ],
)
def test_a_hard_handler_in_the_place_of_the_soft_one_is_found_to_break_it(pattern, meeting):
    scenario = scenario_of(pattern, meeting, "empty", "new")
    with pytest.raises(ExplorationError):
        interrupts(scenario)


class SharedResult(between.QueueWorld):
    """Two that receive from one end, which the rules forbid."""

    def set_up(self, state):
        super().set_up(state)
        self.ends = dict.fromkeys(self.parties, self.ch)


def test_a_soft_handler_that_shares_the_results_of_a_task_is_found():
    def scenario():
        world = SharedResult("Channel", "t recv_word | h recv_word", "full", "new")
        return *world.calls(), world.check

    with pytest.raises(ExplorationError, match="doubled|torn|lost|stamp") as caught:
        soft(scenario)
    with pytest.raises(ExplorationError) as again:
        replay(scenario, caught.value.schedule)
    assert again.value.schedule == caught.value.schedule
