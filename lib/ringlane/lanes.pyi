from array import array
from typing import Any, Literal, TypeAlias

from .clock import Clock

# Byte-wide: an array or a memoryview of wider items is a TypeError at run time.
_Message: TypeAlias = bytes | bytearray | memoryview | array[int]
_Buffer: TypeAlias = bytearray | memoryview | array[int]
_Words: TypeAlias = array[int] | memoryview

named: dict[str, Lanes]

def whole(what: str, value: object, low: int, high: int) -> int: ...
def check_message(data: object) -> None: ...
def check_buffer(buf: object) -> None: ...
def check_words(words: object) -> None: ...

class Sender:
    def __init__(self, channel: Lanes, number: int) -> None: ...

    # The verbs are viper and take positional arguments only, here and in Lanes.
    def send(self, data: _Message, priority: int, /) -> bool: ...
    def send_word(self, value: int, priority: int, /) -> bool: ...
    def send_at(self, data: _Message, priority: int, ticks: int, /) -> bool: ...
    def send_word_at(self, value: int, priority: int, ticks: int, /) -> bool: ...
    def check(self, data: object, priority: object) -> None: ...
    def free(self, priority: int | None = None) -> int: ...
    def is_full(self, priority: int | None = None) -> bool: ...
    @property
    def dropped(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def high_water(self) -> int: ...

class Lanes:
    name: str | None
    clock: Clock
    slot_size: int
    senders: int
    closed: bool

    def __init__(
        self,
        capacity: Any,
        slot_size: int = 32,
        senders: int = 1,
        name: str | None = None,
        clock: Clock | None = None,
    ) -> None: ...
    @classmethod
    def memory(cls, capacity: Any, slot_size: int = 32, senders: int = 1) -> int: ...
    def send(self, data: _Message, priority: int, /) -> bool:
        """Queue a message; False if dropped (lane full) or refused (too large, closed)."""

    def send_word(self, value: int, priority: int, /) -> bool:
        """Queue the low 32 bits of value as a message of 4 bytes; outcomes as send."""

    def send_at(self, data: _Message, priority: int, ticks: int, /) -> bool:
        """As send, stamped with ticks of the channel's clock."""

    def send_word_at(self, value: int, priority: int, ticks: int, /) -> bool:
        """As send_word, stamped with ticks of the channel's clock."""

    def recv(self, buf: _Buffer, /) -> list[int] | None:
        """Take the next message into buf: [size, priority, latency], reused by the next recv."""

    def recv_word(self) -> list[int] | None:
        """Take the next message, one of 4 bytes: [value, priority, latency], reused as recv's."""

    def recv_words(self, words: _Words, /) -> int:
        """Take messages of 4 bytes until words is full; return how many."""

    def skip(self) -> bool:
        """Drop the next message, the one recv would return."""

    def clear(self) -> int:
        """Drop every message queued so far; return how many."""

    def timestamp(self) -> int:
        """Return the clock at the send of the message last received."""

    def add_sender(self) -> Sender: ...
    def close(self) -> None: ...
    def check(self, data: object, priority: object) -> None: ...
    def free(self, priority: int | None = None) -> int: ...
    def is_full(self, priority: int | None = None) -> bool: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> Literal[True]: ...
    @property
    def dropped(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def received(self) -> int: ...
    @property
    def sent(self) -> int: ...
    @property
    def high_water(self) -> int: ...
    def counters(self, priority: int | None = None) -> tuple[int, int, int, int, int, int]: ...
