from .clock import Clock
from .lanes import Lanes

class Channel(Lanes):
    capacity: int

    def __init__(
        self,
        capacity: int,
        slot_size: int = 32,
        senders: int = 1,
        name: str | None = None,
        clock: Clock | None = None,
    ) -> None: ...
    @classmethod
    def memory(cls, capacity: int, slot_size: int = 32, senders: int = 1) -> int: ...
