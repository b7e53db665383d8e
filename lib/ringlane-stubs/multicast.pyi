from .clock import Clock
from .fanout import Fanout, FanoutReceiver
from .tap import Recorder

class MulticastReceiver(FanoutReceiver):
    @property
    def lag(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    def skip_to_latest(self) -> int: ...

class MulticastChannel(Fanout):
    max_lag: int

    def __init__(
        self,
        capacity: int,
        max_lag: int | None = None,
        slot_size: int = 32,
        max_receivers: int = 4,
        senders: int = 1,
        name: str | None = None,
        clock: Clock | None = None,
        stats: bool = False,
        tap: Recorder | None = None,
    ) -> None: ...
    def add_receiver(
        self, name: str | None = None, max_lag: int | None = None
    ) -> MulticastReceiver: ...
    @property
    def receivers(self) -> list[MulticastReceiver]: ...
