"""The explorer: a scenario under every schedule of its contexts, up to a stated bound.

    def scenario():
        ch, buf = PriorityChannel(1, 4), bytearray(4)
        name_words(ch)
        def check():
            ...  # raise AssertionError if the contexts did harm
        return lambda: ch.send(b"task", LOW), lambda: ch.recv(buf), check

    print(interrupts(scenario))                 # the second context is a hard handler
    print(cores(scenario, switches=3))          # the two contexts are two cores
    print(cores(scenario, stores="late"))       # whose stores the other sees late
    print(soft(scenario))                       # the second context is a soft handler
    print(gil(scenario, switches=2))            # the two contexts are threads under a GIL
    print(random_cores(scenario, 1000, seed=1))

A scenario is a function that makes everything afresh and returns (context, context, ..., check):
the contexts are called without arguments, interleaved at the accesses to the simulated memory, and
check() is called when all have returned. The clock counts accesses meanwhile, one microsecond
each, so that a schedule is the same run every time.

What goes wrong is an ExplorationError that names the scenario, gives the schedule in one line and
lists every access in words; replay(scenario, schedule) runs that schedule again. It is also one
if a SimulationError was caught, if a context never ends or leaves interrupts masked, or if there
was nothing to explore: no access to the simulated memory. Contexts of which no two touch a word
that one of them writes do no harm, and the Report says so.

Interrupts that disable_irq() of simulate/masking.py masks, as IrqGuard does, come when they are
unmasked; on cores whoever masks them waits for the core that does.

Soft handlers and threads under a GIL never come within a viper function, only between the
bytecodes of plain Python, also of what a viper function calls: soft and gil count bytecodes where
the others count accesses. A function given to apart() has no such places: what a scenario notes
down by it costs no schedules.

Schedules
    interrupts: 0*12 1*3 2     the call makes 12 accesses, handler 1 pre-empts it and makes 3,
                               handler 2 pre-empts that; from there on whatever is due runs on
    cores: 1*4 0*7 1           core 1 makes 4 accesses, core 0 makes 7, core 1 the rest
    late: 0*5 0!2 1            core 0 makes 5 accesses, its two oldest stores become seen, core 1
    reordered: 0*5 0!2 1       the second of its stores becomes seen, the first not yet
    soft: 0*12 1*3 0           after 12 bytecodes of the call handler 1 runs, which has 3
    gil: 1*4 0*7 1             as cores, in bytecodes

Merging. A context is let in only before an access that may conflict: one to a word that another
context writes, or a store to one that another touches. An access that conflicts with nothing can
be moved past the accesses of the others without a difference, which turns a switch before it into
one before the next access that does conflict. Which accesses may conflict is not known beforehand:
it is collected in every run, by the place in the code and the one in the buffer, and when a run
adds to it, the others are let in there after all in the schedules run before. Held stores become
seen just before a load or a fence that can tell. What contexts share outside of the simulated
memory, such as a list, is not watched: where that matters, or to doubt the merging, merge=False
lets every context in at every access.
"""

import random

from ..simulate import memory
from .bytecode_runs import Gil, Soft
from .bytecodes import apart
from .handlers import Interrupts
from .multicore import STORES, kind_of
from .runs import Run
from .schedules import parse
from .sessions import ExplorationError, Report, Session, search
from .words import lines, name_words

fence = memory.fence


def interrupts(scenario, merge=True):
    """Let each handler of the scenario interrupt at every access; return a Report.

    `scenario()` returns (call, handler, ..., check). Each handler runs once: within the call,
    within any handler before it in that order, as it is more urgent, or after the call; so two
    come nested and one after the other, at every pair of points. Raise ExplorationError.
    """
    return search(scenario, Interrupts, 0, merge)


def cores(scenario, switches=2, stores="at once", merge=True):
    """Interleave the contexts as cores in every way with at most so many pre-emptions.

    Which core starts, and which runs when one has returned, is tried in every way and not counted.
    `stores` says when another core sees a core's stores: "at once"; "late": in order, at any time
    up to its next fence() or the end of the run (total store order, as x86-64); "reordered": in
    any order but for those to the same byte, until a core fences between its loads that runs
    after the fence between the stores: weakly ordered cores. That a store comes before an earlier
    load is not explored. Return a Report; raise
    ExplorationError, also when that is more schedules than can be run.
    """
    return search(scenario, kind_of(stores), switches, merge)


def random_cores(scenario, schedules, seed=0, stores="at once", merge=True):
    """Interleave the contexts as cores in so many random ways, with any number of switches.

    The same seed gives the same schedules. Arguments, result and errors otherwise as cores().
    """
    rng = random.Random(seed)
    with Session(scenario, kind_of(stores), merge) as session:
        for _ in range(schedules):
            session.run((), rng)
        return session.report()


def soft(scenario, merge=True):
    """Let each handler of the scenario run as a soft one, wherever the scheduler runs.

    `scenario()` returns (call, handler, ..., check). Each handler runs once, and none within
    another: between two bytecodes of plain Python in the call, be they its own or of what viper
    functions call, or after the call. Return a Report, whose accesses are bytecodes; raise
    ExplorationError, also if no handler came in between.
    """
    return search(scenario, Soft, 0, merge)


def gil(scenario, switches=2, merge=True):
    """Interleave the contexts as threads under a GIL: they switch where soft handlers run.

    In every way with at most so many pre-emptions, as cores(). A thread that waits for a lock of
    `_thread`, as under LockGuard, which the scenario must make, lets the others run. Return a
    Report, whose accesses are bytecodes; raise ExplorationError.
    """
    return search(scenario, Gil, switches, merge)


def replay(scenario, schedule):
    """Run one schedule, as an ExplorationError gives it; return its accesses in words.

    Raise that ExplorationError again, one that says so if the schedule does not fit the scenario,
    and ValueError if it is no schedule.
    """
    mode, _, words = schedule.partition(":")
    all_kinds: tuple[type[Run], ...] = Interrupts, Soft, Gil, *STORES.values()
    kinds = [kind for kind in all_kinds if kind.mode == mode]
    if not kinds:
        raise ValueError(f"no schedule begins as {schedule!r} does")
    plan = parse(words)
    with Session(scenario, kinds[0], merge=False) as session:
        told: list[list[str]] = []
        session.run(plan, told=told)
        return "\n".join(lines(told))


__all__ = [
    "ExplorationError",
    "Report",
    "apart",
    "cores",
    "fence",
    "gil",
    "interrupts",
    "name_words",
    "random_cores",
    "replay",
    "soft",
]
