from collections.abc import Coroutine, Sequence
from typing import Any, Literal

from .clock import Clock
from .lanes import Receiver, Sending, _Message, _Sending

class FanoutSender(_Sending):
    def __init__(self, channel: Fanout, number: int) -> None: ...
    def send(self, data: _Message, priority: int, /) -> int: ...
    def send_word(self, value: int, priority: int, /) -> int: ...
    def send_at(self, data: _Message, priority: int, ticks: int, /) -> int: ...
    def send_word_at(self, value: int, priority: int, ticks: int, /) -> int: ...
    def asend(
        self, data: _Message, priority: int, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, int]: ...

class FanoutReceiver(Receiver):
    id: int
    name: str | None

    def __init__(
        self, channel: Fanout, place: int, epoch: int, name: str | None, limit: int, core: int
    ) -> None: ...
    @property
    def received(self) -> int: ...
    def close(self) -> int: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> Literal[True]: ...

class Fanout(Sending):
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
    ) -> None: ...
    @classmethod
    def memory(
        cls, capacity: int, slot_size: int = 32, max_receivers: int = 4, senders: int = 1
    ) -> int: ...
    def send(self, data: _Message, priority: int, /) -> int:
        """Queue a message for receivers; return how many will get it."""

    def send_word(self, value: int, priority: int, /) -> int:
        """Queue the low 32 bits of value as a message of 4 bytes; outcomes as send."""

    def send_at(self, data: _Message, priority: int, ticks: int, /) -> int:
        """As send, stamped with ticks of the channel's clock."""

    def send_word_at(self, value: int, priority: int, ticks: int, /) -> int:
        """As send_word, stamped with ticks of the channel's clock."""

    @property
    def unread(self) -> int: ...
    @property
    def receivers(self) -> Sequence[FanoutReceiver]: ...
    def add_sender(self) -> FanoutSender: ...
