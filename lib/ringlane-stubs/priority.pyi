from typing import TypeAlias

from .clock import Clock
from .guard import _Guard
from .queue import Queue
from .tap import Recorder

_Five: TypeAlias = tuple[int, int, int, int, int]

class PriorityChannel(Queue):
    capacity: int | _Five | list[int]

    def __init__(
        self,
        capacity: int | _Five | list[int],
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
    def memory(
        cls, capacity: int | _Five | list[int], slot_size: int = 32, senders: int = 1
    ) -> int: ...
