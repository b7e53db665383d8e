"""One run of the contexts of a scenario: which runs when, and what each access touches."""

import bisect
import collections
import dis
import sys
from abc import ABC, abstractmethod

from ..simulate import clock, memory
from .schedules import Step, line_of
from .threads import Ended
from .words import VERBS, at, value_text

_ACCESSES_MAX = 20_000  # in one run; one that needs more waits for what never comes
_SECONDS_MAX = 10.0  # for one run, in case it waits without an access
_EAGERNESS = 0.03, 0.1, 0.3  # of a random schedule: how likely a point is taken


class Misfit(Exception):
    """A step of the schedule cannot be taken where it is due."""


_instructions: dict[int, tuple[object, list[int]]] = {}


def _instruction(frame):
    """Return the offset of the instruction that `frame` runs.

    f_lasti may be within its caches, once CPython has adapted it to the types that it finds.
    """
    code = frame.f_code
    found = _instructions.get(id(code))
    if found is None:
        found = code, [each.offset for each in dis.get_instructions(code)]
        _instructions[id(code)] = found
    return found[1][bisect.bisect(found[1], frame.f_lasti) - 1]


class Run(ABC):
    """One run of the contexts, by a plan, which is a sequence of steps, or at random.

    `offered`: the steps that could have come after those of the plan, as choices() gives them.
    `path`: the steps that were taken. `marks`: the places whose accesses are known to conflict;
    None: let others in everywhere. `spare`: whether further pre-emptions are offered. `told`:
    None, or a list for the accesses in words.
    """

    mode = ""

    def __init__(self, contexts, threads, plan, rng, marks, told):
        self.contexts = contexts
        self.threads = threads
        self.plan = plan
        self.applied = 0
        self.rng = rng
        self.eagerness = rng.choice(_EAGERNESS) if rng else 0
        self.marks = marks
        self.spare = True
        self.told = told
        self.offered = []
        self.path = []
        self.log = []  # (who, kind, word, place); a place is one in a context, its code, a buffer
        self.preempted = []  # (who, which of its accesses)
        self.count = 0
        self.counts = [0] * len(contexts)
        self.who = 0
        self.entered = -1  # the count at the last step: a switch at the same would undo it
        self.storing = None  # (address, width) of the last access, if a store
        self.failure = None  # (what, error)
        self.over = False
        self.lost = False  # a thread did not come back

    @abstractmethod
    def begin(self):
        """Return which thread runs first."""

    @abstractmethod
    def body(self, number):
        """Run a context in its thread; return which thread runs next, -1 when all is done."""

    @abstractmethod
    def parked(self):
        """Return the threads that wait within a context."""

    @abstractmethod
    def choices(self, place, kind, address, width):
        """Return [(step, pre-emptions, place), ...]: what may come before an access.

        `place`: it makes no difference unless accesses conflict there; None: it always may.
        """

    @abstractmethod
    def apply(self, step):
        """Carry out a step of the plan, or call misfit()."""

    @abstractmethod
    def name(self, who):
        """Return a context's name."""

    def execute(self):
        """Run the contexts to their ends; leave the first error in `failure`."""
        threads = self.threads
        threads.body = self.body
        memory.hook = self.hook
        back = False
        try:
            back = threads.go(self.begin(), _SECONDS_MAX)
            if not back:
                self.endless(f"{_SECONDS_MAX:g} seconds")
        finally:
            self.over = True
            if not back:
                threads.strike()
                back = threads.back(1)
            for number in self.parked():
                back = back and threads.go(number, 1)
            self.lost = not back
            memory.hook = None
        if self.failure is None and self.applied < len(self.plan):
            self.misfit(self.plan[self.applied])

    def mask(self):
        """Mask interrupts; return the state before. It keeps out no soft handler or thread."""
        return 0

    def unmask(self, state):
        """Go back to what mask() returned."""
        return

    def hook(self, kind, address, width):
        """Let others run before an access: what memory.hook is meanwhile."""
        self.before(kind, address, width, sys._getframe(2))

    def before(self, kind, address, width, frame):
        """Let others run before an access, or what else is one step, of the code of `frame`."""
        if self.over:
            raise Ended
        self.settle()
        who = self.who
        place = who, id(frame.f_code), _instruction(frame), memory.offset(address)
        where = place if width and self.marks is not None else None
        while step := self.due(self.choices, where, kind, address, width):
            self.apply(step)
            if self.over:
                raise Ended
        self.access(kind, address, width)
        if self.told is not None:
            self.tell(kind, address, width, frame)
        if width:
            self.log.append((who, kind, address >> 2, place))
        clock.advance(1)
        self.passed("accesses")

    def passed(self, what):
        """Count one of `what`, accesses or points, of the context that runs."""
        self.counts[self.who] += 1
        self.count += 1
        if self.count >= _ACCESSES_MAX:
            self.endless(f"{_ACCESSES_MAX} {what}")
            raise Ended

    def due(self, choices, *args):
        """Return the step to take now, or None: by the plan, or at random among the choices.

        Once the plan is used up, what choices(*args) returns is offered.
        """
        if self.applied < len(self.plan):
            step = self.plan[self.applied]
            if step.at != self.count:
                return None
            self.applied += 1
            return step
        offers = choices(*args)
        if self.rng is None:
            self.offered += offers
            return None
        open_ = [step for step, _, place in offers if place is None or place in self.marks]
        if open_ and self.rng.random() < self.eagerness:
            return self.rng.choice(open_)
        return None

    def enter(self, who):
        """Let `who` run from here."""
        self.path.append(Step(self.count, who))
        self.who = who
        self.entered = self.count

    def access(self, kind, address, width):
        """Prepare for the access that comes now."""
        if kind == "store" and self.told is not None:
            self.storing = address, width

    def settle(self):
        """Take note of what the last access stored."""
        if self.storing is not None:
            address, width = self.storing
            self.storing = None
            data = memory.peek(address, width)  # None: the buffer has been freed since
            if memory.fault is None and data is not None:
                self.stored(address, data)

    def stored(self, address, data):
        if self.told is not None:
            self.told[-1][3] += value_text(data)

    def tell(self, kind, address, width, frame):
        what = ""
        if width:
            what = memory.describe(address)
            if kind == "load":
                what += value_text(memory.peek(address, width))
        self.told.append([str(self.count), self.name(self.who), VERBS[kind], what, at(frame)])

    def fail(self, what, error):
        if self.failure is None:
            self.failure = what, error
        self.over = True

    def endless(self, limit):
        self.fail(f"{self.name(self.who)} has not ended after {limit}", None)

    def misfit(self, step):
        step_ = f"{step.who}!{step.stores}" if step.stores else f"{step.who}"
        self.fail(
            "",
            Misfit(f"{step_} cannot come after {step.at} accesses, {self.name(self.who)} running"),
        )

    def conflicts(self):
        """Return the places that accessed what another wrote, or wrote what another accessed."""
        users: collections.defaultdict[int, int] = collections.defaultdict(int)
        writers: collections.defaultdict[int, int] = collections.defaultdict(int)
        for who, kind, word, _ in self.log:
            users[word] |= 1 << who
            if kind == "store":
                writers[word] |= 1 << who
        return {
            place
            for who, kind, word, place in self.log
            if (users if kind == "store" else writers).get(word, 0) & ~(1 << who)
        }

    def schedule(self):
        """Return what was run in one line."""
        return f"{self.mode}: {line_of(self.path, self.count)}"


__all__ = ["Misfit", "Run"]
