from typing import Any

from .clock import Clock
from .cold import Counters
from .ends import Receiver, _Sending
from .guard import _Guard
from .lanes import Lanes
from .sender import Sender
from .tap import Recorder

class Queue(_Sending, Receiver, Lanes):
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
        tap: Recorder | None = None,
    ) -> None: ...
    @classmethod
    def memory(cls, capacity: Any, slot_size: int = 32, senders: int = 1) -> int: ...
    def peek(self) -> list[int] | None:
        """Leave the next message in view: [size, priority, latency], reused by the next peek."""

    def release(self) -> bool:
        """Drop the message that peek returned; False if there is none."""

    def add_sender(self) -> Sender: ...
    def add_receiver(self) -> Receiver: ...
    def counters(self, priority: int | None = None) -> Counters: ...
