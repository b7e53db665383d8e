"""A call, and hard handlers that interrupt it and each other."""

import sys

from .runs import Run
from .schedules import Step
from .threads import Ended


class Interrupts(Run):
    """A call, and handlers that the hook calls."""

    mode = "interrupts"

    def begin(self):
        self.fired = set()
        self.masked = False
        self.returned = False
        self.path.append(Step(0, 0))
        return 0

    def body(self, _):
        try:
            self.contexts[0]()
            self.settle()
            self.returned = True
            self.end_masked()
            while waiting := self.waiting():
                step = self.due(self.afterwards)
                if step:
                    self.apply(step)
                else:
                    self.fire(waiting[0])
        except Ended:
            pass
        except BaseException as error:
            self.fail(f"{self.name(0)} raised", error)
        return -1

    def parked(self):
        return ()

    def waiting(self):
        return [who for who in range(1, len(self.contexts)) if who not in self.fired]

    def choices(self, place, *_):
        if self.masked or self.count == self.entered:
            return []
        return [(Step(self.count, who), 0, place) for who in self.waiting() if who > self.who]

    def afterwards(self):
        return [(Step(self.count, who), 0, None) for who in self.waiting()[1:]]

    def apply(self, step):
        if step.who == self.who and not step.stores:
            return  # it goes on, says a replayed schedule
        if self.masked or step.stores or step.who not in self.waiting() or step.who < self.who:
            self.misfit(step)
            raise Ended
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
            self.end_masked()
        except BaseException as error:
            self.fail(f"{self.name(who)} raised", error)  # even if what it interrupted catches it
            raise
        self.path.append(Step(self.count, outer))
        self.who = outer

    def mask(self):
        if self.masked:
            return True
        self.before("mask", 0, 0, sys._getframe(2))
        self.masked = True
        return False

    def unmask(self, state):
        self.masked = state
        if not state:
            # What has come meanwhile runs here.
            self.before("unmask", 0, 0, sys._getframe(2))

    def end_masked(self):
        if self.masked:
            self.fail(f"{self.name(self.who)} leaves interrupts masked", None)
            raise Ended

    def name(self, who):
        return f"handler {who}" if who else "call"


__all__ = ["Interrupts"]
