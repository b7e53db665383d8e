from collections.abc import Callable, Coroutine
from typing import Any, Literal

from .checks import _Buffer, _Message, _Words
from .clock import Clock
from .latency import LatencyStats

# The verbs with a bar take positional arguments only: they are viper, if only under a guard. A
# class that begins with an underscore is here only; it holds what its heirs have in common.

class SendingEnd:
    def send(self, data: _Message, priority: int, /) -> int:
        """Queue a message; return whether it was, or how many receivers will get it."""

    def send_word(self, value: int, priority: int, /) -> int:
        """Queue the low 32 bits of value as a message of 4 bytes; outcomes as send."""

    def send_at(self, data: _Message, priority: int, ticks: int, /) -> int: ...
    def send_word_at(self, value: int, priority: int, ticks: int, /) -> int: ...
    def trigger(
        self, priority: int, source: int | Clock | None = None
    ) -> Callable[[object], None]: ...
    def check(self, data: object, priority: object) -> None: ...
    def free(self, priority: int | None = None) -> int: ...
    def is_full(self, priority: int | None = None) -> bool: ...
    def asend(
        self, data: _Message, priority: int, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, int]: ...

# What sends one message to one receiver, so that the outcome is a bool.
class _Sending(SendingEnd):
    def send(self, data: _Message, priority: int, /) -> bool:
        """Queue a message; False if dropped (lane full) or rejected (too large, closed)."""

    def send_word(self, value: int, priority: int, /) -> bool:
        """Queue the low 32 bits of value as a message of 4 bytes; outcomes as send."""

    def send_at(self, data: _Message, priority: int, ticks: int, /) -> bool: ...
    def send_word_at(self, value: int, priority: int, ticks: int, /) -> bool: ...
    def asend(
        self, data: _Message, priority: int, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, bool]: ...

    # With zero_copy=True only.
    def claim(self, priority: int, /) -> memoryview | None:
        """Return the next slot of the class to write to; None if dropped or rejected."""

    def commit(self, priority: int, size: int, /) -> bool:
        """Queue the first size bytes of the claimed slot; False if closed meanwhile."""

    def abort(self, priority: int, /) -> None:
        """Give the claimed slot back; nothing is queued."""

class ReceivingEnd:
    @property
    def closed(self) -> bool: ...
    def recv(self, buf: _Buffer, /) -> list[int] | None:
        """Take the next message into buf: [size, priority, latency], reused by the next recv."""

    def ready(self, timeout_ms: int | None = None) -> Coroutine[Any, Any, bool | None]: ...
    def arecv(
        self, buf: _Buffer, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, list[int] | Literal[False] | None]: ...
    def recv_wait(
        self, buf: _Buffer, timeout_ms: int | None = None
    ) -> list[int] | Literal[False] | None: ...
    def stats(self) -> LatencyStats: ...
    def stats_into(self, words: _Words) -> None: ...
    def reset_stats(self) -> None: ...

class Receiver(ReceivingEnd):
    def recv_word(self) -> list[int] | None:
        """Take the next message, one of 4 bytes: [value, priority, latency], reused as recv's."""

    def arecv_word(
        self, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, list[int] | Literal[False] | None]: ...
    def recv_words(self, words: _Words, /) -> int: ...
    def skip(self) -> bool: ...
    def clear(self) -> int: ...
    def timestamp(self) -> int: ...
