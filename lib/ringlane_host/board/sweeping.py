"""A sweep: a test run once for each place where an interrupt can land in the firmware.

A *place* is before an access of the simulated memory, before a bytecode of plain Python that
others can tell, or at the beginning of a wait. A hard handler can land at each of them, unless a
hard handler runs or interrupts are masked; a soft handler at the bytecodes and waits alone. Places
count once the firmware has a handler somewhere, or a second core, or has come to its first wait;
and not in the last instant of an advance(), after which there is no time for an answer.

A Sweep gives one Landing after the other. Whoever drives it attaches each to a board that has just
been reset, runs the test, and says whether that failed.
"""

import re
import sys
from dataclasses import dataclass
from typing import Any

from ..explore.bytecodes import Tracer
from ..explore.sessions import ExplorationError
from ..explore.words import VERBS, at, lines, name_words, value_text
from ..simulate import memory
from .faults import BoardError
from .firmware import is_ours
from .kernel import NEVER

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_RUNS_MAX = 20_000
_BEFORE, _AFTER = 40, 160  # lines that are told of what happened before and after it landed
_POINTS = {"load": "reads", "store": "writes", "call": "calls", "return": "returns"}
_SOFT, _CORES = "soft:", "cores:"


@dataclass(frozen=True)
class Swept:
    """What a sweep has tried; print it.

    `points`: the places at which an interrupt called a handler, or another core ran; `runs`: how
    often the test ran. `shared`: whether what ran there touched a word of the simulated memory
    that other code writes, or wrote one that other code touches.
    """

    points: int
    runs: int
    shared: bool

    def __str__(self):
        told = "" if self.shared else "; no word of the simulated memory is written and shared"
        return f"{self.points} points in {self.runs} runs{told}"


class Sweep:
    """Sweep(interrupt, nested, cores, every, from_ms, until_ms, only): iterate over its Landings.

    `interrupt(board)` is what lands: `lambda board: board.pin(2).drive(0)`. `nested(board)`, a
    second one, lands at each memory access of the handlers that the first has called, whatever
    their priorities. With `cores=True` nothing lands, but another core that could run goes on at
    each place, up to its next wait. `every=7`: at every seventh place only. `from_ms`,
    `until_ms`: at places in that time since reset only, so that the firmware has the rest of the
    test to answer. `only="17"`: at that place, as a failure tells it. Raises BoardError for what
    cannot be swept.
    """

    def __init__(
        self,
        interrupt=None,
        nested=None,
        cores=False,
        every=1,
        from_ms=0,
        until_ms=None,
        only=None,
    ):
        for name, each in (("interrupt", interrupt), ("nested", nested)):
            if each is not None and not callable(each):
                raise BoardError(f"{name} is a function of the board, not {each!r}")
        if (interrupt is None) != bool(cores):
            raise BoardError("a sweep takes interrupt=, a function of the board, or cores=True")
        if nested is not None and interrupt is None:
            raise BoardError("nested= lands within interrupt=, which is missing")
        if not isinstance(every, int) or every < 1:
            raise BoardError(f"every= is a number of places, 1 or more, not {every!r}")
        self.interrupt, self.nested, self.cores, self.every = interrupt, nested, cores, every
        if until_ms is not None and until_ms <= from_ms:
            raise BoardError(f"no time between from_ms={from_ms} and until_ms={until_ms}")
        self.first_us = 1000 * from_ms
        self.last_us = NEVER if until_ms is None else 1000 * until_ms
        self.soft = False  # what lands is a soft handler
        self.plan = None if only is None else self._parse(only)
        self.failed = None  # the Landing that failed, told
        self.runs = 0
        self.points = 0
        self.shared = False
        self.places = 0  # the most that a run had
        self.unheard = None  # what the test raised in a run in which nothing was interrupted
        self.before = None  # the place of the last landing, to see that the test repeats itself

    def _parse(self, only):
        found = re.fullmatch(r"(soft:|cores:)?(\d+)(?:/(\d+))?", str(only))
        if (
            found is None
            or (found[1] == _CORES) != bool(self.cores)
            or (found[3] is not None and self.nested is None)
        ):
            raise BoardError(f"{only!r} is no place of this sweep, such as 17 or soft:17")
        self.soft = found[1] == _SOFT
        return int(found[2]), None if found[3] is None else int(found[3])

    def key(self, number, inner):
        """Return what only= takes for a place."""
        kind = _SOFT if self.soft else _CORES if self.cores else ""
        return f"{kind}{number}" + ("" if inner is None else f"/{inner}")

    def __iter__(self):
        if self.plan is not None:
            number, inner = self.plan
            landing = Landing(self, number, inner, telling=True)
            yield from self._try(landing)
            if not landing.landed:
                raise ExplorationError(f"there is no place {self.key(*self.plan)}")
            return
        number = 0
        while True:
            hard = not self.soft
            landing = Landing(self, number)
            yield from self._try(landing)
            if self.failed is not None:
                return
            if hard and self.soft:  # anew, by the places where a soft handler can come
                number, self.before = 0, None
                continue
            if not landing.landed:
                break
            for inner in range(landing.inner) if self.nested else ():
                yield from self._try(Landing(self, number, inner))
                if self.failed is not None:
                    return
            number += self.every

    def _try(self, landing):
        self.runs += 1
        if self.runs > _RUNS_MAX:
            raise ExplorationError(
                f"more than {_RUNS_MAX} runs: let the test end sooner, or take every=10"
            )
        hard = not self.soft
        yield landing
        if hard and self.soft:
            return  # it was no place for a soft handler, or has another number as one
        landing.settle()
        self.places = max(self.places, landing.count)
        if landing.error is None:
            self.points += landing.heard
            self.shared |= landing.shared
            return
        # Where nothing was interrupted the test may well miss what it waits for.
        self.unheard = landing.error
        if landing.heard or landing.misfit:
            if landing.telling:
                self.failed = landing
                return
            again = Landing(self, landing.number, landing.inner_number, telling=True)
            yield again
            again.settle()
            self.failed = again
            if again.error is None:
                again.error = landing.error
                again.misfit = "but not when it was run again: the test is not the same every time"

    def report(self):
        """Return the Swept; raise ExplorationError if nothing was interrupted."""
        if not self.points:
            what = (
                "no other core could run"
                if self.cores
                else "the interrupt called no handler"
                if self.places
                else "once it had a handler the firmware ran no bytecode and did not wait"
            )
            also = "" if self.unheard is None else f"; the test: {self.unheard!r}"
            raise ExplorationError(
                f"nothing was interrupted: {what} in {self.runs} runs{also}"
            ) from self.unheard
        return Swept(self.points, self.runs, self.shared)


class Landing:
    """One run: at which place something is to land, and what came of it.

    `landed`: whether there was such a place; `heard`: whether a handler was called there; `count`:
    how many places there were; `inner`: how many accesses the handlers called there made.
    `error`: what the test raised: set by whoever runs it. `telling`: note each access in words.
    """

    def __init__(self, sweep, number, inner=None, telling=False):
        self.sweep = sweep
        self.number = number
        self.inner_number = inner
        self.telling = telling
        self.error = None
        self.misfit = ""
        self.landed = self.heard = self.shared = False
        self.count = self.inner = 0
        self.where = ""
        self._busy = False  # what has landed runs
        self._nesting = False
        self._path = 0  # of all places so far, to see that the test repeats itself
        # Of all else and of the handlers, or of the cores: words loaded, words stored.
        self._words: tuple[tuple[set[int], set[int]], ...] = (set(), set()), (set(), set())
        self._told: list[list[Any]] = []
        self._storing = None
        self._tracers: list[Tracer] = []
        self._board: Any = None
        self._kernel: Any = None

    def settle(self):
        """Take for the test's error what went wrong with the sweep itself."""
        if self.misfit and self.error is None:
            self.error = ExplorationError(self.misfit)

    def attach(self, board, kernel):
        """Watch a board that has just been reset."""
        self._board, self._kernel = board, kernel
        kernel.landing = self
        memory.hook = self._access

    def detach(self):
        """Watch it no more."""
        memory.hook = None
        self._kernel.landing = None
        for tracer in self._tracers:
            tracer.detach()
        self._tracers.clear()
        if self.telling and self._board is not None:
            self._tell()
        self._board = None
        (loads, stores), (mine, my_stores) = self._words
        self.shared = bool(my_stores & (loads | stores) or mine & stores)

    def enter_thread(self):
        """Watch the bytecodes of this thread, too."""
        tracer = Tracer()
        tracer.at_point, tracer.entered = self._bytecode, lambda viper: None
        self._tracers.append(tracer)
        tracer.attach()

    # Places

    def _access(self, kind, address, width):
        kernel = self._kernel
        if not kernel.runs_firmware:
            return
        frame = sys._getframe(2)
        if width:
            core = kernel.core
            if self.sweep.cores:
                mine = core.number > 0
            else:
                mine = kernel.source is not None or self.sweep.soft and core.in_soft
            self._words[mine][kind == "store"].add(address >> 2)
        number = ""
        if self._busy:
            if self._nests():
                self._nest()
        else:
            number = self._place(VERBS[kind], frame, False)
        if self.telling:
            self._note(number, kind, address, width, frame)

    def _bytecode(self, frame, point):
        if self._busy or not self._kernel.runs_firmware:
            return
        if frame.f_code.co_name == "<module>" and is_ours(frame.f_code.co_filename):
            return  # ringlane's import of a part of itself
        verb = _POINTS[point.kind]
        what = " ".join(point.what)
        number = self._place(f"{verb} {what}".rstrip(), frame, True)
        if self.telling and number != "":
            self._say([number, self._kernel.who(), verb, what, at(frame)])

    def at_wait(self, soft):
        """Land at a wait that begins."""
        if not self._busy and self._kernel.runs_firmware:
            frame = sys._getframe(2)
            number = self._place("waits", frame, soft)
            if self.telling and number != "":
                self._say([number, self._kernel.who(), "waits", "", at(frame)])

    def _place(self, what, frame, boundary):
        # Return the number of the place; land there if it is the one.
        kernel, sweep = self._kernel, self.sweep
        if kernel.source is not None or kernel.stopping or kernel.masked and not sweep.cores:
            return ""
        if sweep.soft and (not boundary or kernel.core.in_soft or kernel.core.number):
            return ""
        if not sweep.first_us <= kernel.now < sweep.last_us:
            return ""
        if kernel.setting_up:
            if not (len(kernel.cores) > 1 if sweep.cores else kernel.listeners):
                return ""
        elif kernel.now >= kernel.horizon:
            return ""
        number = self.count
        self.count += 1
        if number > self.number:
            return number
        self._path = hash((self._path, what, frame.f_code.co_filename, frame.f_lasti))
        if (before := sweep.before) and before[0] == number and before[1] != self._path:
            self.misfit = (
                f"up to place {number}, which {what}, the test is not the same every time"
            )
        if number == self.number:
            sweep.before = number, self._path
            self.landed = True
            self.where = f"{at(frame)}, which {what}"
            self._land(boundary)
        return number

    def _land(self, boundary):
        kernel = self._kernel
        if self.telling:
            self._settle()
            self._told = [*self._told[-_BEFORE:], ["", "", "----", "here", ""]]
        self._busy = True
        try:
            if self.sweep.cores:
                self.heard = kernel.give_way()
                return
            kernel.fired.clear()
            self._stimulate(self.sweep.interrupt)
            fired = list(kernel.fired)
            self.heard = bool(fired)
            self.title = " and ".join(title for title, _ in fired)
            if fired and not any(hard for _, hard in fired):
                self.sweep.soft = True
                if boundary:
                    kernel.run_at_boundary()
        finally:
            self._busy = False

    def _stimulate(self, stimulus):
        kernel = self._kernel
        quiet, kernel.quiet = kernel.quiet, True
        try:
            stimulus(self._board)
            kernel.run_events()
        except Exception as error:
            self.misfit = f"the sweep's interrupt raised {error!r}"
        finally:
            kernel.quiet = quiet

    def _nests(self):
        # Whether the second interrupt is to land before this access of the first one's handler.
        kernel = self._kernel
        if self.sweep.nested is None or self._nesting:
            return False
        if kernel.source is None and not kernel.core.in_soft:
            return False
        self.inner += 1
        return self.inner - 1 == self.inner_number

    def _nest(self):
        self._nesting = True
        try:
            self._kernel.run_nested(lambda: self._stimulate(self.sweep.nested))
        finally:
            self._nesting = False

    # What is told

    def _note(self, number, kind, address, width, frame):
        value = value_text(memory.peek(address, width)) if kind == "load" else ""
        line = [number, self._kernel.who(), VERBS[kind], (address, value), at(frame)]
        self._say(line)
        if kind == "store":
            self._storing = line, width

    def _say(self, line):
        self._settle()
        if not self.landed or len(self._told) < _BEFORE + _AFTER:
            self._told.append(line)

    def _settle(self):
        # What the last access stored can be seen by now.
        if self._storing is not None:
            line, width = self._storing
            self._storing = None
            address = line[3][0]
            line[3] = address, value_text(memory.peek(address, width))

    def _tell(self):
        self._settle()
        for record in self._board.channels:
            name_words(record.channel, record.channel.name or type(record.channel).__name__)
        for line in self._told:
            if isinstance(line[3], tuple):
                line[3] = memory.describe(line[3][0]) + line[3][1]

    def story(self, replay):
        """Return in words where it landed, how to repeat that, and what was accessed when."""
        key = self.sweep.key(self.number, self.inner_number)
        what = "another core ran" if self.sweep.cores else f"{self.title} came"
        told = [
            f"{what} at place {key}, {self.where}",
            f"  to repeat it: {replay(key)}",
        ]
        if self.misfit:
            told.append(f"  {self.misfit}")
        return "\n".join(told + lines(self._told))

    title = "the interrupt"


def sweep_board(board, reset, test, sweep):
    """Run `test(board)` at each Landing, after reset(); return a Swept.

    Raises ExplorationError, with the test's error as its cause.
    """
    for landing in sweep:
        kernel = reset()
        landing.attach(board, kernel)
        try:
            try:
                test(board)
                board.stop()
            finally:
                board.close()
        except Exception as error:
            landing.error = error
    if sweep.failed is not None:
        name = getattr(test, "__name__", repr(test))
        cause = sweep.failed.error
        story = sweep.failed.story(lambda key: f"board.sweep({name}, ..., only={key!r})")
        raise ExplorationError(f"{name}: {cause!r}\n{story}") from cause
    return sweep.report()


__all__ = ["Landing", "Sweep", "Swept", "sweep_board"]
