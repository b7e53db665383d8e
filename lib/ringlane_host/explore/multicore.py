"""Contexts that run as cores, whose stores the others see at once, late or reordered."""

import sys

from ..simulate import memory
from .runs import Run
from .schedules import Step
from .threads import Ended
from .words import value_text


class Cores(Run):
    """Contexts that run in turns, each in its thread."""

    mode = "cores"
    masks = None  # the core that masks interrupts, and keeps out others that would

    def begin(self):
        self.started = set()
        self.done = set()
        return self.start(self.pick())

    def body(self, number):
        try:
            self.contexts[number]()
            self.settle()
            if self.masks == number:
                self.fail(f"{self.name(number)} leaves interrupts masked", None)
        except Ended:
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
        step = self.due(lambda: [(Step(self.count, who), 0, None) for who in alive[1:]])
        if step is None:
            return alive[0]
        if step.who not in alive:
            self.misfit(step)
            return -1
        return step.who

    def finish(self):
        """End the run: all cores have returned."""

    def choices(self, place, *_):
        if self.count == self.entered or not self.spare:
            return []
        return [(Step(self.count, who), 1, place) for who in self.alive() if who != self.who]

    def apply(self, step):
        if step.who == self.who and not step.stores:
            return
        if step.stores or step.who not in self.alive():
            self.misfit(step)
            return
        me = self.who
        self.preempted.append((me, self.counts[me]))
        self.threads.swap(me, self.start(step.who))

    def mask(self):
        """Mask this core's interrupts; wait while another core masks its own, as on rp2."""
        self.before("mask", 0, 0, sys._getframe(2))
        me = self.who
        while self.masks not in (None, me):
            step = self.due(list)
            if step is not None and step.who != self.masks:
                self.misfit(step)
                raise Ended
            self.threads.swap(me, self.start(self.masks))
            if self.over:
                raise Ended
        self.access("fence", 0, 0)  # behind what the core did that had masked them
        state, self.masks = self.masks == me, me
        return state

    def unmask(self, state):
        if not state:
            self.settle()
            self.access("fence", 0, 0)
            self.masks = None
            self.before("unmask", 0, 0, sys._getframe(2))

    def name(self, who):
        return f"core {who}"


class LateCores(Cores):
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
        if not width:
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

    def choices(self, place, kind, address, width):
        drains = []
        if self.marks is None or not width:
            drains = self.drains(0, 0)
        elif kind == "load" and any(
            _overlap(address, width, each)
            for who, held in enumerate(self.held)
            if who != self.who
            for each in held
        ):
            drains = self.drains(address, width)
        return drains + super().choices(place)

    def drains(self, address, width):
        """Return the steps that show a store which a load at `address` could tell, or the order
        of two stores to one place.
        """
        return [
            (Step(self.count, who, number + 1), 0, None)
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
            what = f"{memory.describe(address)}{value_text(data)}"
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


class ReorderedCores(LateCores):
    """Cores whose held stores become seen in any order but for those to the same byte.

    Loads may be early, too: those of a core whose stores a fence has ordered are seen in that
    order only by a core that fences as well, between its loads. At its fence it sees them all.
    """

    mode = "reordered"

    def __init__(self, contexts, *rest):
        super().__init__(contexts, *rest)
        self.ordered = [0] * len(contexts)  # so many of the oldest held ones, by a fence

    def access(self, kind, address, width):
        if width:
            super().access(kind, address, width)
            return
        for who in range(len(self.held)):
            while who != self.who and self.ordered[who]:
                self.drain(who, 0)
        self.ordered[self.who] = len(self.held[self.who])

    def drain(self, who, number):
        if number < self.ordered[who]:
            self.ordered[who] -= 1
        super().drain(who, number)

    def may_drain(self, held, number):
        address, data = held[number]
        return not any(_overlap(address, len(data), each) for each in held[:number])

    def show(self, who, stores):
        self.drain(who, stores - 1)


STORES = {"at once": Cores, "late": LateCores, "reordered": ReorderedCores}


def kind_of(stores):
    if stores not in STORES:
        raise ValueError(f"stores must be one of {', '.join(STORES)}, not {stores!r}")
    return STORES[stores]


def _overlap(address, width, store):
    return address < store[0] + len(store[1]) and store[0] < address + width


__all__ = ["Cores", "kind_of"]
