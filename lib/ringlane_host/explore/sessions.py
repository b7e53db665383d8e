"""The runs of one scenario, every schedule of it, and what they add up to."""

import _thread
import collections
from dataclasses import dataclass

from ..simulate import clock, masking, memory
from .bytecode_runs import Gil, Lock, Soft
from .handlers import Interrupts
from .runs import Misfit
from .schedules import Step, parse
from .threads import Threads
from .words import lines

_SCHEDULES_MAX = 100_000


class ExplorationError(AssertionError):
    """A schedule did harm, or nothing could be explored.

    `schedule`: the line that replay() takes, or None where no schedule is at fault.
    """

    def __init__(self, text, schedule=None):
        super().__init__(text)
        self.schedule = schedule


@dataclass(frozen=True)
class Report:
    """What was explored; print it.

    `schedules`: how many runs. `points`: the places, one access of one context each, at which
    another context came in between; `accesses`: how many such places there are, most of them
    merged as a rule. `switches`: the most pre-emptions in one schedule. `shared`: whether one
    context writes a word that another touches; if none does, no order makes a difference.
    """

    schedules: int
    points: int
    accesses: int
    switches: int
    shared: bool = True

    def __str__(self):
        return (
            f"{self.schedules} schedules, {self.points} points in {self.accesses} accesses, "
            f"up to {self.switches} switches"
        ) + ("" if self.shared else "; the contexts share no word that one of them writes")


class Session:
    """Runs of one scenario, and what they add up to."""

    def __init__(self, scenario, kind, merge):
        self.scenario = scenario
        self.title = getattr(scenario, "__name__", repr(scenario))
        self.kind = kind
        self.merge = merge
        self.threads = None
        self.marks = set()  # the places where contexts conflict
        self.schedules = 0
        self.points = set()
        self.accesses = collections.Counter[int]()
        self.switches = 0

    def __enter__(self):
        self.before = memory.hook, clock._us
        return self

    def __exit__(self, *_):
        memory.hook, clock._us = self.before
        if self.threads is not None:
            self.threads.close()

    def run(self, plan, rng=None, told=None, spare=True):
        """Run the scenario once and check it; return the Run. Raise ExplorationError.

        Not `spare`: no further pre-emption is to be offered.
        """
        contexts, check = self.set_up()
        if self.threads is None:
            self.threads = Threads(1 if self.kind is Interrupts else len(contexts))
        marks = self.marks if self.merge else None
        run = self.kind(contexts, self.threads, plan, rng, marks, told)
        run.spare = spare
        Lock.run = run if isinstance(run, Gil) else None
        masking.contexts = run
        try:
            run.execute()
        finally:
            Lock.run = masking.contexts = None
        if run.lost:
            self.threads.leave()
            self.threads = None
        failure = run.failure
        if failure is None:
            failure = self.verdict(check)
        if failure is not None:
            self.explain(run, *failure)
        self.marks |= run.conflicts()
        self.schedules += 1
        self.points.update(run.preempted)
        self.switches = max(self.switches, len(run.preempted))
        for who, count in enumerate(run.counts):
            self.accesses[who] = max(self.accesses[who], count)
        return run

    def set_up(self):
        memory.fault = None
        clock.set(0)
        # Two messages queued here must not get the same stamp either.
        memory.hook = lambda *_: clock.advance(1)
        lock = _thread.allocate_lock
        if issubclass(self.kind, Gil):
            _thread.allocate_lock = Lock  # type: ignore[assignment]
        try:
            *contexts, check = self.scenario()
        except Exception as error:
            raise ExplorationError(f"{self.title}: the set-up raised {error!r}") from error
        finally:
            memory.hook = None
            _thread.allocate_lock = lock
        if len(contexts) < 2:
            raise TypeError(f"{self.title} must return (context, context, ..., check)")
        return contexts, check

    def verdict(self, check):
        """Return None, or (what, error): what is wrong after the run."""
        try:
            check()
        except AssertionError as error:
            return "the check failed:", error
        except Exception as error:
            return "the check itself raised", error
        if memory.fault is not None:
            return "somebody caught", memory.fault
        return None

    def explain(self, run, what, error):
        """Raise the ExplorationError for a run that failed."""
        if isinstance(error, Misfit):
            raise ExplorationError(
                f"{self.title}: {error}: that schedule is another scenario's, or this scenario is "
                "not the same every time"
            )
        if error is not None and not isinstance(error, Exception):
            raise error
        schedule = run.schedule()
        told = [f"{self.title}: {what}" + (f" {error!r}" if error is not None else "")]
        told.append(f'  replay({self.title}, "{schedule}")')
        if run.told is not None:
            told += lines(run.told)
        elif not run.lost and self.threads is not None:
            self.run(parse(schedule.partition(":")[2]), told=[])
            told.append("  but not when it was run again: the scenario is not deterministic")
        raise ExplorationError("\n".join(told), schedule) from error

    def report(self):
        """Return the Report; raise ExplorationError if there was nothing to explore."""
        one = issubclass(self.kind, Interrupts | Soft)  # is interrupted, the others are handlers
        if not (self.accesses[0] if one else sum(self.accesses.values())):
            who = f"{self.title}: the call" if one else self.title
            gil = issubclass(self.kind, Gil)
            raise ExplorationError(
                f"{who} {'runs no bytecode' if gil else 'accesses no simulated memory'}"
            )
        if self.kind is Soft and self.marks and not self.points:
            raise ExplorationError(f"{self.title}: no handler came within the call")
        accesses = sum(self.accesses.values())
        return Report(self.schedules, len(self.points), accesses, self.switches, bool(self.marks))


def search(scenario, kind, bound, merge):
    """Run every schedule with at most so many pre-emptions, those with fewer first."""
    Found = list[tuple[int, tuple[Step, ...]]]  # plans, each after its pre-emptions
    plans: list[collections.deque[tuple[Step, ...]]]
    plans = [collections.deque() for _ in range(bound + 1)]
    plans[0].append(())
    # By a place: what is to be run as soon as accesses there are known to conflict.
    closed: collections.defaultdict[tuple[object, ...], Found] = collections.defaultdict(list)
    total = 1
    with Session(scenario, kind, merge) as session:
        while any(plans):
            switches, queue = next(each for each in enumerate(plans) if each[1])
            plan = queue.popleft()
            known = len(session.marks)
            opened: Found = []
            run = session.run(plan, spare=switches < bound)
            for step, cost, place in run.offered:
                if switches + cost <= bound:
                    is_open = place is None or place in session.marks
                    (opened if is_open else closed[place]).append((switches + cost, (*plan, step)))
            if len(session.marks) > known:
                for place in [each for each in closed if each in session.marks]:
                    opened += closed.pop(place)
            for count, each in opened:
                plans[count].append(each)
            total += len(opened)
            if total > _SCHEDULES_MAX:
                raise ExplorationError(
                    f"{session.title}: more than {_SCHEDULES_MAX} schedules with up to {bound} "
                    "switches: allow fewer, or take random_cores()"
                )
        return session.report()


__all__ = ["ExplorationError", "Report", "Session", "search"]
