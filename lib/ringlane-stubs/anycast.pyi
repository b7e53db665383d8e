from typing import Literal, TypeAlias

from .clock import Clock
from .fanout import Fanout, FanoutReceiver, _FanoutSender
from .tap import Recorder

# Not int: a slot_size where other channels have theirs is an error.
_Policy: TypeAlias = Literal[1, 2, 3, 4]

class AnycastReceiver(FanoutReceiver):
    @property
    def pending(self) -> int: ...
    @property
    def processed(self) -> int: ...
    @property
    def load_factor(self) -> float: ...

class AnycastChannel(Fanout):
    policy: _Policy

    def __init__(
        self,
        capacity: int,
        policy: _Policy,
        slot_size: int = 32,
        max_receivers: int = 4,
        senders: int = 1,
        name: str | None = None,
        clock: Clock | None = None,
        stats: bool = False,
        tap: Recorder | None = None,
    ) -> None: ...
    def add_sender(self, core: int | None = None) -> _FanoutSender: ...
    def add_receiver(self, name: str | None = None, core: int = 0) -> AnycastReceiver: ...
    @property
    def receivers(self) -> list[AnycastReceiver]: ...
