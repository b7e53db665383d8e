"""A simulated board's channels, used from a computer: ringlane_host.remote(), in virtual time.

Host and firmware have a link as a real board has, with its frames and streams, over a wire of the
simulation: the link's turns are soft handlers. Time passes while the host waits for something of
asyncio's, as fast as it can, and stands still while the host's own code runs.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from types import TracebackType
from typing import Any

from ..link import LinkError
from ..link.frames import plain_number
from ..link.pump import Pump
from ..link.remote import About, LiveBoard, LiveChannel
from ..link.session import Session
from . import sources

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_STEP_US = 2000  # between the link's turns
_ATTACH_S = 1.0


class _Stream:
    """The stream of the firmware's link."""

    def __init__(self) -> None:
        self.up, self.down = bytearray(), bytearray()

    def readinto(self, buf: bytearray) -> int:
        """What the host has sent."""
        count = min(len(buf), len(self.down))
        buf[:count] = self.down[:count]
        del self.down[:count]
        return count

    def write(self, data: bytes) -> int:
        """To the host."""
        self.up += data
        return len(data)


class _Wire:
    """A session's wire to the firmware's link, which it gives a turn each time it is read."""

    careful_s = 0.0

    def __init__(self, board: Any, kernel: Any) -> None:
        self.name = repr(board)
        self._board = board
        self._kernel = kernel
        self._stream = _Stream()
        self._link = board.load("ringlane.link").Link(self._stream)
        self._source = sources.Call(kernel, self._link.turn, ())
        self._due = False  # a turn is queued, behind what the firmware does

    def write(self, data: bytes) -> None:
        """As Wire.write."""
        self._stream.down += data

    def read(self, timeout: float) -> bytes:
        """As Wire.read; time passes."""
        if not self._due:
            self._due = True
            self._kernel.soft_interrupt(self._source, self._turn, None)
        self._board.advance(us=_STEP_US)
        found = bytes(self._stream.up)
        del self._stream.up[: len(found)]
        return found

    def _turn(self, _: None) -> None:
        self._due = False
        self._link.turn()


class _Timeout:
    """As asyncio.timeout(), of virtual time."""

    def __init__(self, pump: "_Pump", ms: int | None) -> None:
        self._pump = pump
        self._late = False
        self._end = None if ms is None else pump.clock() + ms / 1e3
        self._task: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> "_Timeout":
        self._task = asyncio.current_task()
        self._pump.timeouts.append(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pump.timeouts.remove(self)
        if self._late and self._task is not None and kind is asyncio.CancelledError:
            if self._task.uncancel() == 0:
                raise TimeoutError from error

    def look(self) -> None:
        """Interrupt the task if the time is over."""
        if self._end is not None and not self._late and self._pump.clock() > self._end:
            self._late = True
            assert self._task is not None
            self._task.cancel()


class _Pump(Pump):
    """A pump that runs in the event loop, and lets the board's time pass."""

    def __init__(self, remote: "SimulatedRemote", board: Any, kernel: Any) -> None:
        super().__init__(remote, partial(_wire, board, kernel), _ATTACH_S)
        self.clock = lambda: kernel.now / 1e6
        # The same each time, as all that happens on a simulated board is.
        self.number = partial(plain_number, random=random.Random(1))
        self.timeouts: list[_Timeout] = []
        self._task: asyncio.Task[None] | None = None

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._drive())

    async def end(self) -> None:
        """As Pump.end."""
        self._stop.set()
        if self._task is not None:
            await self._task

    async def _drive(self) -> None:
        error: Exception = LinkError("the link is closed")
        try:
            with (
                self._wire() as wire,
                Session(wire, events=True, clock=self.clock, number=self.number) as session,
            ):
                session.attach(self._attach_s)
                while not self._stop.is_set():
                    self._turn(session)
                    for each in list(self.timeouts):
                        each.look()
                    for _ in range(4):  # let the host's tasks go as far as they get
                        await asyncio.sleep(0)
        except Exception as caught:  # of the firmware, or a fault of the board: somebody waits
            error = caught
        self._finish(error)


@contextmanager
def _wire(board: Any, kernel: Any) -> Iterator[Any]:
    yield _Wire(board, kernel)


class SimulatedRemote(LiveBoard):
    """What board.remote() gives: a RemoteBoard whose time is the board's."""

    def __init__(self, board: Any, kernel: Any) -> None:
        super().__init__(repr(board), partial(_wire, board, kernel))
        self._pump = _Pump(self, board, kernel)

    def _make(self, about: About) -> LiveChannel:
        return _Channel(self, about)


class _Channel(LiveChannel):
    def _timeout(self, ms: int | None) -> AbstractAsyncContextManager[object]:
        pump = self._pump
        assert isinstance(pump, _Pump)
        return _Timeout(pump, ms)


__all__ = ["SimulatedRemote"]
