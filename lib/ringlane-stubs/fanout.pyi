from collections.abc import Sequence
from typing import Literal

from .clock import Clock
from .ends import Receiver, SendingEnd
from .lanes import Lanes
from .sender import _Counting
from .tap import Recorder

class _FanoutSender(SendingEnd, _Counting): ...

class FanoutReceiver(Receiver):
    id: int
    name: str | None

    def __init__(
        self, channel: Fanout, row: int, epoch: int, name: str | None, limit: int, core: int
    ) -> None: ...
    @property
    def received(self) -> int: ...
    def close(self) -> int: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> Literal[True]: ...

class Fanout(SendingEnd, Lanes):
    capacity: int
    max_receivers: int

    def __init__(
        self,
        capacity: int,
        policy: int,
        slot_size: int,
        max_receivers: int,
        senders: int,
        name: str | None,
        clock: Clock | None,
        stats: bool,
        tap: Recorder | None,
    ) -> None: ...
    @classmethod
    def memory(
        cls, capacity: int, slot_size: int = 32, max_receivers: int = 4, senders: int = 1
    ) -> int: ...
    @property
    def unread(self) -> int: ...
    @property
    def receivers(self) -> Sequence[FanoutReceiver]: ...
    def add_sender(self) -> _FanoutSender: ...
