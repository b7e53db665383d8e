from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from .checks import _Buffer, _Message
from .clock import Clock
from .ends import ReceivingEnd
from .lanes import Lanes
from .tap import Recorder

FAILED: Final = 255

_Reply: TypeAlias = _Message | int | tuple[int, _Message] | None

class RequestReplyChannel(Lanes, ReceivingEnd):
    capacity: int
    closed: bool

    def __init__(
        self,
        capacity: int,
        slot_size: int = 32,
        name: str | None = None,
        clock: Clock | None = None,
        tap: Recorder | None = None,
    ) -> None: ...
    @classmethod
    def memory(cls, capacity: int, slot_size: int = 32) -> int: ...

    # The client's.
    def send_request(self, data: _Message, /) -> int:
        """Queue a request; return its id, or 0 if dropped (no room) or rejected."""

    def recv_response(self, id: int, buf: _Buffer, /) -> list[int] | None:
        """Take a request's reply into buf: [size, status, latency]; None while it is pending."""

    def cancel(self, id: int, /) -> bool:
        """Give a request up; False if it was not outstanding."""

    def call(
        self, data: _Message, buf: _Buffer, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, tuple[int, int, int]]: ...
    def call_wait(
        self, data: _Message, buf: _Buffer, timeout_ms: int | None = None
    ) -> tuple[int, int, int]: ...
    def free(self) -> int: ...
    def is_full(self) -> bool: ...
    def check(self, data: object) -> None: ...

    # The server's.
    def recv_request(self, buf: _Buffer, /) -> list[int] | None:
        """Take the next request into buf: [size, id, latency], reused by the next."""

    def send_response(self, id: int, data: _Message, /) -> bool:
        """Answer a request; False if nobody waits for it or the reply is too large."""

    def send_status(self, id: int, data: _Message, status: int, /) -> bool:
        """As send_response, with a status of 0..255 beside the data."""

    def serve(
        self, handler: Callable[[memoryview], _Reply | Coroutine[Any, Any, _Reply]]
    ) -> Coroutine[Any, Any, None]: ...
    def serve_wait(self, handler: Callable[[memoryview], _Reply]) -> None: ...
    @property
    def pending(self) -> int: ...
    @property
    def answered(self) -> int: ...
    @property
    def late(self) -> int: ...
