from typing import NamedTuple

from .lanes import Lanes

QUEUED: int
DROPPED: int
REJECTED: int
RECEIVED: int
TAKEN: int
MISSED: int
OUTCOMES: tuple[str, str, str, str, str, str]

class Event(NamedTuple):
    channel: str | None
    outcome: int
    sender: int
    priority: int | None
    size: int
    number: int
    time: int
    figure: int
    head: bytes
    receiver: int | None

class Ring:
    channel: Lanes
    sender: int | None
    receiver: int | None
    serial: int
    kept: int
    head: int
    stride: int
    at: int

    @property
    def taken(self) -> int: ...
    @property
    def overwritten(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    def take(self, buf: bytearray | memoryview, offset: int, /) -> int:
        """Copy the oldest events not yet taken into `buf`, from byte `offset` on; how many."""

class Recorder:
    rings: list[Ring]

    def __init__(self, events: int = 256, head: int = 0) -> None: ...
    @property
    def overwritten(self) -> int: ...
    def events(self) -> list[Event]: ...

def event_of(
    raw: bytes | bytearray, channel: str | None, period: int, receiver: int | None
) -> Event: ...
