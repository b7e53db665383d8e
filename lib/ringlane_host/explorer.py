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
if a SimulationError was caught, if a context never ends, or if there was nothing to explore: no
access to the simulated memory, or no word that one context writes and another touches.

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
context writes, or a store to one that another touches. An access that conflicts with nothing
can be moved past the accesses of the others without a difference, which turns a switch before it
into one before the next access that does conflict. Which accesses may conflict is not known
beforehand: it is collected in every run, by the place in the code and the one in the buffer, and
when a run adds to it the exploration starts anew. Held stores become seen just before a load or a
fence that can tell. What contexts share outside of the simulated memory, such as a list, is not
watched: where that matters, or to doubt the merging, merge=False lets every context in at every
access.
"""

import _thread
import collections
import ctypes
import functools
import random
import re
import struct
import sys
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from .bytecodes import Tracer, apart
from .engine import FIGURES, WORDS, offsets
from .simulate import clock, memory

_SCHEDULES_MAX = 100_000
_ACCESSES_MAX = 20_000  # in one run; one that needs more waits for what never comes
_SECONDS_MAX = 10.0  # for one run, in case it waits without an access
_TOLD = 200  # accesses that a failure prints, the last ones
_EAGERNESS = 0.03, 0.1, 0.3  # of a random schedule: how likely a point is taken

_VERBS = {"load": "reads", "store": "writes", "fence": "fences"}

fence = memory.fence


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
    merged as a rule. `switches`: the most pre-emptions in one schedule.
    """

    schedules: int
    points: int
    accesses: int
    switches: int

    def __str__(self):
        return (
            f"{self.schedules} schedules, {self.points} points in {self.accesses} accesses, "
            f"up to {self.switches} switches"
        )


def interrupts(scenario, merge=True):
    """Let each handler of the scenario interrupt at every access; return a Report.

    `scenario()` returns (call, handler, ..., check). Each handler runs once: within the call,
    within any handler before it in that order, as it is more urgent, or after the call; so two
    come nested and one after the other, at every pair of points. Raise ExplorationError.
    """
    return _search(scenario, _Interrupts, 0, merge)


def cores(scenario, switches=2, stores="at once", merge=True):
    """Interleave the contexts as cores in every way with at most so many pre-emptions.

    Which core starts, and which runs when one has returned, is tried in every way and not counted.
    `stores` says when another core sees a core's stores: "at once"; "late": in order, at any time
    up to its next fence() or the end of the run (total store order, as x86-64); "reordered": the
    same, and in any order but for those to the same byte. Return a Report; raise
    ExplorationError, also when that is more schedules than can be run.
    """
    return _search(scenario, _kind_of(stores), switches, merge)


def random_cores(scenario, schedules, seed=0, stores="at once", merge=True):
    """Interleave the contexts as cores in so many random ways, with any number of switches.

    The same seed gives the same schedules. Arguments, result and errors otherwise as cores().
    """
    rng = random.Random(seed)
    with _Session(scenario, _kind_of(stores), merge) as session:
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
    return _search(scenario, _Soft, 0, merge)


def gil(scenario, switches=2, merge=True):
    """Interleave the contexts as threads under a GIL: they switch where soft handlers run.

    In every way with at most so many pre-emptions, as cores(). A thread that waits for a lock of
    `_thread`, as under LockGuard, which the scenario must make, lets the others run. Return a
    Report, whose accesses are bytecodes; raise ExplorationError.
    """
    return _search(scenario, _Gil, switches, merge)


def replay(scenario, schedule):
    """Run one schedule, as an ExplorationError gives it; return its accesses in words.

    Raise that ExplorationError again, one that says so if the schedule does not fit the scenario,
    and ValueError if it is no schedule.
    """
    mode, _, words = schedule.partition(":")
    all_kinds: tuple[type[_Run], ...] = _Interrupts, _Soft, _Gil, *_STORES.values()
    kinds = [kind for kind in all_kinds if kind.mode == mode]
    if not kinds:
        raise ValueError(f"no schedule begins as {schedule!r} does")
    plan = _parse(words)
    with _Session(scenario, kinds[0], merge=False) as session:
        told: list[list[str]] = []
        session.run(plan, told=told)
        return "\n".join(_lines(told))


def name_words(channel, name=""):
    """Let failures name the words of a channel's block, such as "lane 2 head"; return the channel.

    The names are those of the engine's words. A block of another layout stays unnamed.
    """
    # A copy, as a reference to the block would keep it alive; it is read when something failed.
    block = bytes(channel._block)
    senders = channel.senders
    layout = None

    def label(offset):
        nonlocal layout
        try:
            layout = layout or _Layout(block, senders)
            found = layout.name(offset)
        except (LookupError, ArithmeticError, OSError, struct.error):
            return None
        return f"{name}: {found}" if name and found else found

    memory.label(channel._block, label)
    return channel


class _Layout:
    """Where the parts of a channel's block are, by the words of the engine."""

    def __init__(self, block, senders):
        self.block = block
        self.senders = senders
        parts = {part: offsets(part) for part in WORDS}
        self.at = {part: numbers for part, (numbers, _) in parts.items()}
        self.size = {part: 4 * count for part, (_, count) in parts.items()}
        first = self._word(0, "receiver", "LANES")
        self.receivers = (first - senders * self.size["sender"]) // self.size["receiver"]
        if self.receivers < 1:
            raise LookupError("no receiver's words")
        self.lanes = []  # the byte where each begins, in order
        for receiver in range(self.receivers):
            at = receiver * self.size["receiver"]
            at += self._word(at, "receiver", "LANES")
            while self._word(at, "lane", "REST") != FIGURES["LAST"][0]:
                self.lanes.append(at)
                at += self.size["lane"]
        self.slots = at + FIGURES["MARK_BYTES"][0]
        self.stride = self._word(0, "receiver", "STRIDE")

    def name(self, offset):
        """Return the name of the byte at `offset` in the block, or None."""
        if offset >= self.slots:
            return self._slot_name(offset)
        for number, at in enumerate(self.lanes):
            if at <= offset < at + self.size["lane"]:
                return f"{self._lane_name(number)} {self._field('lane', offset - at)}"
        part, count = "receiver", self.receivers
        if offset >= count * self.size[part]:
            offset -= count * self.size[part]
            part, count = "sender", self.senders
        number, rest = divmod(offset, self.size[part])
        if number >= count:
            return "end mark"
        which = f" {number}" if count > 1 else ""
        return f"{part}{which} {self._field(part, rest)}"

    def _slot_name(self, offset):
        for number, at in enumerate(self.lanes):
            slot, rest = divmod(offset - at - self._word(at, "lane", "FIRST"), self.stride)
            if 0 <= slot < self._word(at, "lane", "CAPACITY"):
                return f"{self._lane_name(number)} slot {slot} {self._field('slot', rest)}"
        return None

    def _lane_name(self, number):
        row, sender = divmod(number, self.senders)
        return f"lane {row} of sender {sender}" if self.senders > 1 else f"lane {row}"

    def _word(self, at, part, name):
        return struct.unpack_from("<I", self.block, at + 4 * self.at[part][name])[0]

    def _field(self, part, offset):
        if offset >= self.size[part]:
            return f"payload + {offset - self.size[part]}"
        word = offset >> 2
        found = [name for name, number in self.at[part].items() if number <= word]
        name = found[-1].lower()
        inside = word - self.at[part][found[-1]]
        if inside:
            name += f"[{inside}]"
        return name + (f" + {offset & 3}" if offset & 3 else "")


class _Step(NamedTuple):
    """Before access `at` of all: context `who` runs, or, with `stores`, its stores become seen."""

    at: int
    who: int
    stores: int = 0


class _Ended(BaseException):
    """Raised in a context whose run is over; no program should catch it."""


class _Misfit(Exception):
    """A step of the schedule cannot be taken where it is due."""


class _Threads:
    """A thread for each context. One runs at a time: the one whose gate was opened last."""

    def __init__(self, count):
        self.body = None  # called as body(number); returns which thread to let run next
        self.tracers = [Tracer() for _ in range(count)]
        self.running = -1  # the explorer itself
        self.gates = [threading.Lock() for _ in range(count + 1)]  # the last is the explorer's
        for gate in self.gates:
            gate.acquire()
        self.threads = [
            threading.Thread(target=self._serve, args=(number,), daemon=True)
            for number in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def _serve(self, number):
        while True:
            self.gates[number].acquire()
            if self.body is None:
                return
            self._open(self.body(number))

    def _open(self, number):
        self.running = number
        self.gates[number].release()

    def go(self, number, seconds):
        """Let thread `number` run; return whether the explorer got its turn back in time."""
        self._open(number)
        return self.back(seconds)

    def back(self, seconds):
        """Wait for the explorer's turn; return whether it came."""
        return self.gates[-1].acquire(timeout=seconds)

    def swap(self, number, other):
        """Let `other` run instead of `number`, the caller, until somebody lets that run again."""
        self._open(other)
        self.gates[number].acquire()

    def strike(self):
        """Raise _Ended in the thread that runs, which comes to no access."""
        thread = self.threads[self.running].ident or 0
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread), ctypes.py_object(_Ended)
        )

    def leave(self):
        """Trace the threads no more."""
        for tracer in self.tracers:
            tracer.detach()

    def close(self):
        """End the threads, none of which runs."""
        self.leave()
        self.body = None
        for gate, thread in zip(self.gates, self.threads, strict=False):
            gate.release()
            thread.join()


class _Run(ABC):
    """One run of the contexts, by a plan, which is a sequence of steps, or at random.

    `offered`: the steps that could have come after those of the plan, each with the pre-emptions
    it costs. `path`: the steps that were taken. `marks`: the places whose accesses may conflict;
    None: let others in everywhere. `told`: None, or a list for the accesses in words.
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
    def choices(self, open_, kind, address, width):
        """Return [(step, pre-emptions), ...]: what may come before an access, if it is `open_`."""

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

    def hook(self, kind, address, width):
        """Let others run before an access: what memory.hook is meanwhile."""
        if self.over:
            raise _Ended
        self.settle()
        who = self.who
        frame = sys._getframe(2)
        place = who, id(frame.f_code), frame.f_lasti, memory.offset(address)
        open_ = self.marks is None or place in self.marks or kind == "fence"
        while step := self.due(self.choices, open_, kind, address, width):
            self.apply(step)
            if self.over:
                raise _Ended
        self.access(kind, address, width)
        if self.told is not None:
            self.tell(kind, address, width, frame)
        self.log.append((who, kind, address >> 2, place))
        self.counts[who] += 1
        self.count += 1
        clock.advance(1)
        if self.count >= _ACCESSES_MAX:
            self.endless(f"{_ACCESSES_MAX} accesses")
            raise _Ended

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
        elif offers and self.rng.random() < self.eagerness:
            return self.rng.choice(offers)[0]
        return None

    def enter(self, who):
        """Let `who` run from here."""
        self.path.append(_Step(self.count, who))
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
            self.told[-1][3] += _value(data)

    def tell(self, kind, address, width, frame):
        what = ""
        if width:
            what = memory.describe(address)
            if kind == "load":
                what += _value(memory.peek(address, width))
        where = f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
        self.told.append([str(self.count), self.name(self.who), _VERBS[kind], what, where])

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
            _Misfit(
                f"{step_} cannot come after {step.at} accesses, {self.name(self.who)} running"
            ),
        )

    def conflicts(self):
        """Return the places that accessed what another wrote, or wrote what another accessed."""
        users: collections.defaultdict[int, int] = collections.defaultdict(int)
        writers: collections.defaultdict[int, int] = collections.defaultdict(int)
        for who, kind, word, _ in self.log:
            if kind != "fence":
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
        words: list[str] = []
        who = since = 0
        for step in self.path:
            if step.at > since or (not step.stores and words):
                words.append(f"{who}*{step.at - since}")
            since = step.at
            if step.stores:
                words.append(f"{step.who}!{step.stores}")
            else:
                who = step.who
        if self.count > since or not words:
            words.append(f"{who}")
        return f"{self.mode}: {' '.join(words)}"


class _Interrupts(_Run):
    """A call, and handlers that the hook calls."""

    mode = "interrupts"

    def begin(self):
        self.fired = set()
        self.returned = False
        self.path.append(_Step(0, 0))
        return 0

    def body(self, _):
        try:
            self.contexts[0]()
            self.settle()
            self.returned = True
            while waiting := self.waiting():
                step = self.due(self.afterwards)
                if step:
                    self.apply(step)
                else:
                    self.fire(waiting[0])
        except _Ended:
            pass
        except BaseException as error:
            self.fail(f"{self.name(0)} raised", error)
        return -1

    def parked(self):
        return ()

    def waiting(self):
        return [who for who in range(1, len(self.contexts)) if who not in self.fired]

    def choices(self, open_, *_):
        if not open_ or self.count == self.entered:
            return []
        return [(_Step(self.count, who), 0) for who in self.waiting() if who > self.who]

    def afterwards(self):
        return [(_Step(self.count, who), 0) for who in self.waiting()[1:]]

    def apply(self, step):
        if step.who == self.who and not step.stores:
            return  # it goes on, says a replayed schedule
        if step.stores or step.who not in self.waiting() or step.who < self.who:
            self.misfit(step)
            raise _Ended
        if self.who or not self.returned:
            self.preempted.append((self.who, self.counts[self.who]))
        self.fire(step.who)

    def fire(self, who):
        outer = self.who
        self.fired.add(who)
        self.enter(who)
        try:
            self.contexts[who]()
            self.settle()
        except BaseException as error:
            self.fail(f"{self.name(who)} raised", error)  # even if what it interrupted catches it
            raise
        self.path.append(_Step(self.count, outer))
        self.who = outer

    def name(self, who):
        return f"handler {who}" if who else "call"


class _Cores(_Run):
    """Contexts that run in turns, each in its thread."""

    mode = "cores"

    def begin(self):
        self.started = set()
        self.done = set()
        return self.start(self.pick())

    def body(self, number):
        try:
            self.contexts[number]()
            self.settle()
        except _Ended:
            pass
        except BaseException as error:
            self.fail(f"{self.name(number)} raised", error)
        self.done.add(number)
        if self.over:
            return -1
        if not self.alive():
            self.finish()
            return -1
        return self.start(self.pick())

    def start(self, who):
        if who >= 0:
            self.enter(who)
            self.started.add(who)
        return who

    def parked(self):
        return self.started - self.done

    def alive(self):
        return [who for who in range(len(self.contexts)) if who not in self.done]

    def pick(self):
        """Return which core runs next where none is pre-empted."""
        alive = self.alive()
        if self.rng:
            return self.rng.choice(alive)
        if self.applied < len(self.plan) and self.plan[self.applied].stores:
            return alive[0]  # that step is for the next access
        step = self.due(lambda: [(_Step(self.count, who), 0) for who in alive[1:]])
        if step is None:
            return alive[0]
        if step.who not in alive:
            self.misfit(step)
            return -1
        return step.who

    def finish(self):
        """End the run: all cores have returned."""

    def choices(self, open_, *_):
        if not open_ or self.count == self.entered:
            return []
        return [(_Step(self.count, who), 1) for who in self.alive() if who != self.who]

    def apply(self, step):
        if step.who == self.who and not step.stores:
            return
        if step.stores or step.who not in self.alive():
            self.misfit(step)
            return
        me = self.who
        self.preempted.append((me, self.counts[me]))
        self.threads.swap(me, self.start(step.who))

    def name(self, who):
        return f"core {who}"


class _Gil(_Cores):
    """Threads under a GIL: others run between the bytecodes of plain Python, never within viper.

    What is counted is the points that bytecodes.py tells, not the accesses: `count`, `at`, and
    what a schedule says. A point touches all that is accessed from there up to the next one.
    """

    mode = "gil"

    def __init__(self, contexts, *rest):
        super().__init__([functools.partial(self.traced, each) for each in contexts], *rest)
        self.places = [(who, 0, 0, 0) for who in range(len(contexts))]  # their last points
        self.calls = [False] * len(contexts)  # whether it calls what is not Python, until entered

    def traced(self, context):
        tracer = self.threads.tracers[self.who]
        tracer.at_point, tracer.entered = self.point, self.enters
        tracer.attach()
        try:
            context()
        finally:
            self.calls[self.who] = False

    def hook(self, kind, address, width):
        """Take note of an access: what memory.hook is meanwhile."""
        if self.over:
            raise _Ended
        self.settle()
        self.access(kind, address, width)
        if self.told is not None:
            self.tell(kind, address, width, sys._getframe(2))
            self.told[-1][0] = ""
        self.log.append((self.who, kind, address >> 2, self.places[self.who]))
        clock.advance(1)

    def enters(self, viper):
        self.calls[self.who] = False
        if viper and self.places[self.who] is not None:
            self.touch("items")  # it may store into a list, such as a result

    def point(self, frame, point):
        """Let others run before a bytecode."""
        if self.over:
            raise _Ended
        self.settle()
        who = self.who
        if self.calls[who]:  # by a call that entered no Python: it may have done anything to items
            self.touch("items")
        place = who, id(frame.f_code), frame.f_lasti, 0
        open_ = self.marks is None or place in self.marks
        while step := self.due(self.choices, open_):
            self.apply(step)
            if self.over:
                raise _Ended
        self.places[who] = place
        self.calls[who] = point.kind == "call"
        if point.what:
            self.log.append((who, point.kind, point.what, place))
        if self.told is not None:
            where = f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
            self.told.append([str(self.count), self.name(who), "does", point.text, where])
        self.counts[who] += 1
        self.count += 1
        if self.count >= _ACCESSES_MAX:
            self.endless(f"{_ACCESSES_MAX} points")
            raise _Ended

    def touch(self, *what):
        """Take note that the context that runs changes what is no word of memory."""
        self.log.append((self.who, "store", what, self.places[self.who]))

    def wait(self):
        """Let another context run, as the one that runs waits for a lock."""
        others = [who for who in self.alive() if who != self.who]
        if not others:
            self.fail(f"{self.name(self.who)} waits for a lock for ever", None)
            raise _Ended
        step = self.due(lambda: [(_Step(self.count, who), 0) for who in others[1:]])
        me = self.who
        self.threads.swap(me, self.start(step.who if step else others[0]))
        if self.over:
            raise _Ended

    def name(self, who):
        return f"thread {who}"


class _Soft(_Gil):
    """A call, and soft handlers, each of which runs to its end at one of the call's points."""

    mode = "soft"

    def begin(self):
        self.started = set()
        self.done = set()
        return self.start(0)

    def pick(self):
        if 0 not in self.done:
            return 0  # what a handler has interrupted goes on
        return super().pick()

    def choices(self, open_, *_):
        if not open_ or self.who:
            return []
        return [(_Step(self.count, who), 0) for who in self.alive() if who]

    def apply(self, step):
        if self.who and step.who != self.who:
            self.misfit(step)
        else:
            super().apply(step)

    def wait(self):
        self.fail(f"{self.name(self.who)} waits for a lock that what it interrupts has", None)
        raise _Ended

    def name(self, who):
        return f"handler {who}" if who else "call"


class _Lock:
    """A lock of _thread for threads of _Gil, of which one runs at a time."""

    run: "_Gil | None" = None  # which goes on

    def __init__(self):
        self.taken = False

    def acquire(self, blocking=True, timeout=-1):
        while self.taken:
            if not blocking or _Lock.run is None:
                return False
            _Lock.run.wait()
        self._set(True)
        return True

    def release(self):
        if not self.taken:
            raise RuntimeError("release unlocked lock")
        self._set(False)

    def _set(self, taken):
        self.taken = taken
        if _Lock.run is not None:
            _Lock.run.touch("lock", id(self))

    def locked(self):
        return self.taken

    __enter__ = acquire

    def __exit__(self, *_):
        self.release()


class _LateCores(_Cores):
    """Cores that each hold their stores back, oldest first, until they become seen.

    The buffers hold what the running core sees. `under` has the bytes below the held stores: what
    a core sees that has none of them.
    """

    mode = "late"

    def __init__(self, contexts, *rest):
        super().__init__(contexts, *rest)
        self.held: list[list[tuple[int, bytes]]] = [[] for _ in contexts]  # (address, bytes)
        self.under: dict[int, int] = {}

    def enter(self, who):
        for address, data in self.held[self.who]:
            memory.poke(address, bytes(self.under[address + at] for at in range(len(data))))
        for address, data in self.held[who]:
            memory.poke(address, data)
        super().enter(who)

    def access(self, kind, address, width):
        if kind == "fence":
            while self.held[self.who]:
                self.drain(self.who, 0)
        elif kind == "store":
            before = memory.peek(address, width)
            if before is not None:
                for at, byte in enumerate(before, address):
                    self.under.setdefault(at, byte)
                self.storing = address, width

    def stored(self, address, data):
        super().stored(address, data)
        self.held[self.who].append((address, data))

    def choices(self, open_, kind, address, width):
        drains = []
        if self.marks is None or kind == "fence":
            drains = self.drains(0, 0)
        elif kind == "load" and any(
            _overlap(address, width, each)
            for who, held in enumerate(self.held)
            if who != self.who
            for each in held
        ):
            drains = self.drains(address, width)
        return drains + super().choices(open_)

    def drains(self, address, width):
        """Return the steps that show a store which a load at `address` could tell, or the order
        of two stores to one place.
        """
        return [
            (_Step(self.count, who, number + 1), 0)
            for who, held in enumerate(self.held)
            for number, store in enumerate(held)
            if self.may_drain(held, number)
            and (
                self.marks is None
                or (who != self.who and _overlap(address, width, store))
                or any(
                    _overlap(store[0], len(store[1]), each)
                    for other, stores in enumerate(self.held)
                    if other != who
                    for each in stores
                )
            )
        ]

    def may_drain(self, held, number):
        return True  # with those before it

    def apply(self, step):
        if not step.stores:
            super().apply(step)
        elif step.who >= len(self.held) or step.stores > len(self.held[step.who]):
            self.misfit(step)
        else:
            self.path.append(step)
            self.entered = self.count
            self.show(step.who, step.stores)

    def show(self, who, stores):
        for _ in range(stores):
            self.drain(who, 0)

    def drain(self, who, number):
        """Let the others see a held store."""
        address, data = self.held[who].pop(number)
        if self.told is not None:
            what = f"{memory.describe(address)}{_value(data)}"
            self.told.append(["", self.name(who), "shows", what, ""])
        for at, byte in enumerate(data, address):
            self.under[at] = byte
        memory.poke(address, data)
        for each in self.held[self.who]:
            if _overlap(address, len(data), each):
                memory.poke(*each)
        for at in range(address, address + len(data)):
            if not any(_overlap(at, 1, each) for held in self.held for each in held):
                del self.under[at]

    def finish(self):
        while (step := self.due(self.drains, 0, 0)) and not self.over:
            self.apply(step)
        for who, held in enumerate(self.held):
            while held:
                self.drain(who, 0)


class _ReorderedCores(_LateCores):
    """Cores whose held stores become seen in any order but for those to the same byte."""

    mode = "reordered"

    def may_drain(self, held, number):
        address, data = held[number]
        return not any(_overlap(address, len(data), each) for each in held[:number])

    def show(self, who, stores):
        self.drain(who, stores - 1)


_STORES = {"at once": _Cores, "late": _LateCores, "reordered": _ReorderedCores}


def _kind_of(stores):
    if stores not in _STORES:
        raise ValueError(f"stores must be one of {', '.join(_STORES)}, not {stores!r}")
    return _STORES[stores]


def _overlap(address, width, store):
    return address < store[0] + len(store[1]) and store[0] < address + width


def _value(data):
    if not data:
        return ""
    value = int.from_bytes(data, "little")
    return f" = {value}" if value < 1 << 16 else f" = {value:#x}"


class _Session:
    """Runs of one scenario, and what they add up to."""

    def __init__(self, scenario, kind, merge):
        self.scenario = scenario
        self.title = getattr(scenario, "__name__", repr(scenario))
        self.kind = kind
        self.merge = merge
        self.threads = None
        self.marks = set()  # the places where contexts conflict
        self.reset()

    def reset(self):
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

    def run(self, plan, rng=None, told=None):
        """Run the scenario once and check it; return the _Run. Raise ExplorationError."""
        contexts, check = self.set_up()
        if self.threads is None:
            self.threads = _Threads(1 if self.kind is _Interrupts else len(contexts))
        marks = self.marks if self.merge else None
        run = self.kind(contexts, self.threads, plan, rng, marks, told)
        _Lock.run = run if isinstance(run, _Gil) else None
        try:
            run.execute()
        finally:
            _Lock.run = None
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
        if issubclass(self.kind, _Gil):
            _thread.allocate_lock = _Lock  # type: ignore[assignment]
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
        if isinstance(error, _Misfit):
            raise ExplorationError(
                f"{self.title}: {error}: that schedule is another scenario's, or this scenario is "
                "not the same every time"
            )
        if error is not None and not isinstance(error, Exception):
            raise error
        schedule = run.schedule()
        lines = [f"{self.title}: {what}" + (f" {error!r}" if error is not None else "")]
        lines.append(f'  replay({self.title}, "{schedule}")')
        if run.told is not None:
            lines += _lines(run.told)
        elif not run.lost and self.threads is not None:
            self.run(_parse(schedule.partition(":")[2]), told=[])
            lines.append("  but not when it was run again: the scenario is not deterministic")
        raise ExplorationError("\n".join(lines), schedule) from error

    def report(self):
        """Return the Report; raise ExplorationError if there was nothing to explore."""
        if not sum(self.accesses.values()):
            what = (
                "runs no bytecode"
                if issubclass(self.kind, _Gil)
                else "accesses no simulated memory"
            )
            raise ExplorationError(f"{self.title} {what}")
        if not self.marks:
            raise ExplorationError(
                f"{self.title}: its contexts share no word that one of them writes"
            )
        if self.kind is _Soft and not self.points:
            raise ExplorationError(f"{self.title}: no handler came within the call")
        return Report(self.schedules, len(self.points), sum(self.accesses.values()), self.switches)


def _search(scenario, kind, bound, merge):
    """Run every schedule with at most so many pre-emptions, those with fewer first."""
    with _Session(scenario, kind, merge) as session:
        while not _sweep(session, bound):
            session.reset()
        return session.report()


def _sweep(session, bound):
    """Return whether all runs were made under the same marks; stop at the first that adds some."""
    plans: list[collections.deque[tuple[_Step, ...]]]
    plans = [collections.deque() for _ in range(bound + 1)]
    plans[0].append(())
    total = 1
    for switches, queue in enumerate(plans):
        while queue:
            plan = queue.popleft()
            known = len(session.marks)
            run = session.run(plan)
            if session.merge and len(session.marks) > known:
                return False
            for step, cost in run.offered:
                if switches + cost <= bound:
                    plans[switches + cost].append((*plan, step))
                    total += 1
            if total > _SCHEDULES_MAX:
                raise ExplorationError(
                    f"{session.title}: more than {_SCHEDULES_MAX} schedules with up to {bound} "
                    "switches: allow fewer, or take random_cores()"
                )
    return True


def _parse(words):
    """Return the plan that the words of a schedule stand for; raise ValueError if they do not."""
    plan = []
    at = 0
    for word in words.split():
        found = re.fullmatch(r"(\d+)(?:\*(\d+)|!([1-9]\d*))?", word)
        if found is None:
            raise ValueError(f"{word!r} is no step of a schedule")
        who, accesses, stores = (int(each or 0) for each in found.groups())
        plan.append(_Step(at, who, stores))
        at += accesses
    return plan


def _lines(told):
    skipped = max(0, len(told) - _TOLD)
    lines = [f"  {skipped} lines before these"] if skipped else []
    for count, who, verb, what, where in told[skipped:]:
        lines.append(f"  {count:>5} {who:9} {verb:6} {what}  {where}".rstrip())
    return lines


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
