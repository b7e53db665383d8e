"""What a simulated board reports by name: errors of the test or firmware, and faults it commits.

An *error* is raised where it happens. A *fault* is noted with the firmware's line and raised when
the test lets time pass next, or by `board.stop()`, since a board itself would go on. A test that
means it to happen says `board.allow(SoftHandlerDropped)` first.
"""

from ..boards import BoardError
from ..simulate import SimulationError


class NotSimulated(NotImplementedError):
    """The firmware used something that this board does not simulate; the text names it."""


class AllTasksWait(Exception):
    """Every task waits and nothing is left that could wake one."""


class Fault(Exception):
    """What went wrong on the board although the firmware may not have noticed."""


class HandlerRaised(Fault):
    """A handler raised. A hard one of a Pin or Timer is not called again, as on the board."""


class TaskRaised(Fault):
    """A task ended by an exception and nobody awaited it."""


class ThreadRaised(Fault):
    """A function on the second core, or in a thread, raised."""


class SoftHandlerDropped(Fault):
    """The scheduler's queue was full, so a soft handler was never called."""


class TwoContexts(Fault):
    """Two contexts used one sender or one receiver: where both meet, messages are lost."""


class ResultReused(Fault):
    """What recv returned is read after the receiver's next recv, which has written it anew."""


class ClaimOpen(Fault):
    """A claim was neither committed nor aborted, so nothing more enters its lane."""


class AllocationInHandler(Fault):
    """A hard handler does what allocates: on the board it raises MemoryError."""


class BlockingInHandler(Fault):
    """A handler waited."""


class HandlerTooLong(Fault):
    """A periodic handler took longer than its period."""


class TasksStarved(Fault):
    """A task went on for long without an await while others were ready to run."""


class NobodyWakes(Fault):
    """A message waits for a task, whose core sleeps and is not told."""


class TimerCollected(Fault):
    """A running Timer that nothing keeps: it stops when the collector finds it."""


class Overflowed(Fault):
    """A buffer was full: bytes or messages were lost."""


class BoardReset(Fault):
    """The firmware reset the board, or the watchdog did."""


__all__ = [
    "AllTasksWait",
    "AllocationInHandler",
    "BlockingInHandler",
    "BoardError",
    "BoardReset",
    "ClaimOpen",
    "Fault",
    "HandlerRaised",
    "HandlerTooLong",
    "NobodyWakes",
    "NotSimulated",
    "Overflowed",
    "ResultReused",
    "SimulationError",
    "SoftHandlerDropped",
    "TaskRaised",
    "TasksStarved",
    "ThreadRaised",
    "TimerCollected",
    "TwoContexts",
]
