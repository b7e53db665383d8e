"""A soft handler asked for at a chosen cycle of a task's verbs, on an RP2040: see meetings.py.

The parties are those of soft_handlers.py: what a step of the task checks, it checks here too.
"""

from meetings import Meeting, call_0
from soft_handlers import PARTIES


class Soft(Meeting):
    """A step of a party's task, and its handler as a soft one, asked for in that."""

    def __init__(self, name):
        self.party = PARTIES[name]()
        self.wrong = None
        self.handle(self._handler, hard=False)

    def _handler(self, pin):
        try:
            self.party.handler(pin)
        except Exception as error:
            self.wrong = error

    def trial(self, level):
        """Make a step; return whether the handler ran before it ended, or just after."""
        party = self.party
        before = party.handled
        call_0(party.task)
        for _ in range(2):
            pass  # the scheduler comes between bytecodes
        if self.wrong is not None:
            raise AssertionError(repr(self.wrong))
        return party.handled > before

    def check_counters(self):
        self.party.check()
