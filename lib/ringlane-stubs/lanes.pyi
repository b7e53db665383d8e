from array import array
from collections.abc import Coroutine
from typing import Any, Literal, TypeAlias

from .clock import Clock
from .guard import _Guard
from .latency import LatencyStats

# Byte-wide: an array or a memoryview of wider items is a TypeError at run time.
_Message: TypeAlias = bytes | bytearray | memoryview | array[int]
_Buffer: TypeAlias = bytearray | memoryview | array[int]
_Words: TypeAlias = array[int] | memoryview

named: dict[str, Lanes]

def register(channel: Lanes) -> None: ...
def check_name(name: object) -> None: ...
def whole(what: str, value: object, low: int, high: int) -> int: ...
def check_message(data: object) -> None: ...
def check_buffer(buf: object) -> None: ...
def check_words(words: object) -> None: ...

# The verbs, those with a bar, are viper and take positional arguments only. A class that begins
# with an underscore is here only; it holds what its heirs have in common.

class _Sending:
    def check(self, data: object, priority: object) -> None: ...
    def free(self, priority: int | None = None) -> int: ...
    def is_full(self, priority: int | None = None) -> bool: ...
    @property
    def dropped(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def high_water(self) -> int: ...

class Sender(_Sending):
    def __init__(self, channel: Lanes, number: int) -> None: ...
    def send(self, data: _Message, priority: int, /) -> bool: ...
    def send_word(self, value: int, priority: int, /) -> bool: ...
    def send_at(self, data: _Message, priority: int, ticks: int, /) -> bool: ...
    def send_word_at(self, value: int, priority: int, ticks: int, /) -> bool: ...
    def asend(
        self, data: _Message, priority: int, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, bool]: ...

    # With zero_copy=True only.
    def claim(self, priority: int, /) -> memoryview | None: ...
    def commit(self, priority: int, size: int, /) -> bool: ...
    def abort(self, priority: int, /) -> None: ...

class _Receiving:
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

class Receiver(_Receiving):
    def recv_word(self) -> list[int] | None:
        """Take the next message, one of 4 bytes: [value, priority, latency], reused as recv's."""

    def recv_words(self, words: _Words, /) -> int:
        """Take messages of 4 bytes until words is full; return how many."""

    def arecv_word(
        self, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, list[int] | Literal[False] | None]: ...
    def skip(self) -> bool:
        """Drop the next message, the one recv would return."""

    def clear(self) -> int:
        """Drop every message queued so far; return how many."""

    def timestamp(self) -> int:
        """Return the clock at the send of the message last received."""

class Lanes:
    name: str | None
    clock: Clock
    slot_size: int
    senders: int
    closed: bool

    def __init__(
        self, capacities: Any, slot_size: int, senders: int, name: str | None, clock: Clock | None
    ) -> None: ...
    def close(self) -> None: ...
    def notify(self) -> None: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> Literal[True]: ...
    @property
    def dropped(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def received(self) -> int: ...
    @property
    def sent(self) -> int: ...
    @property
    def high_water(self) -> int: ...

class Sending(Lanes):
    def add_sender(self) -> _Sending: ...
    def check(self, data: object, priority: object) -> None: ...
    def free(self, priority: int | None = None) -> int: ...
    def is_full(self, priority: int | None = None) -> bool: ...
    def asend(
        self, data: _Message, priority: int, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, int]: ...

class Queue(Sending, Receiver):
    capacity: Any
    closed: bool

    # With zero_copy=True only.
    @property
    def view(self) -> memoryview | Any: ...  # None before the first peek
    def __init__(
        self,
        capacity: Any,
        slot_size: int = 32,
        senders: int = 1,
        name: str | None = None,
        clock: Clock | None = None,
        send_guard: _Guard | None = None,
        recv_guard: _Guard | None = None,
        zero_copy: bool = False,
        stats: bool = False,
    ) -> None: ...
    @classmethod
    def memory(cls, capacity: Any, slot_size: int = 32, senders: int = 1) -> int: ...
    def send(self, data: _Message, priority: int, /) -> bool:
        """Queue a message; False if dropped (lane full) or rejected (too large, closed)."""

    def send_word(self, value: int, priority: int, /) -> bool:
        """Queue the low 32 bits of value as a message of 4 bytes; outcomes as send."""

    def send_at(self, data: _Message, priority: int, ticks: int, /) -> bool:
        """As send, stamped with ticks of the channel's clock."""

    def send_word_at(self, value: int, priority: int, ticks: int, /) -> bool:
        """As send_word, stamped with ticks of the channel's clock."""

    def asend(
        self, data: _Message, priority: int, timeout_ms: int | None = None
    ) -> Coroutine[Any, Any, bool]: ...
    def claim(self, priority: int, /) -> memoryview | None:
        """Return the next slot of the class to write to; None if dropped or rejected."""

    def commit(self, priority: int, size: int, /) -> bool:
        """Queue the first size bytes of the claimed slot; False if closed meanwhile."""

    def abort(self, priority: int, /) -> None:
        """Give the claimed slot back; nothing is queued."""

    def peek(self) -> list[int] | None:
        """Leave the next message in view: [size, priority, latency], reused by the next peek."""

    def release(self) -> bool:
        """Drop the message that peek returned; False if there is none."""

    def add_sender(self) -> Sender: ...
    def add_receiver(self) -> Receiver: ...
    def counters(self, priority: int | None = None) -> tuple[int, int, int, int, int, int]: ...
