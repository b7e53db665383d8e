from collections.abc import Callable
from types import ModuleType

REGISTER: int
fenced: bool
fence: Callable[[], object] | None

def address(block: bytearray) -> int: ...
def send_event() -> None: ...
def later(name: str) -> ModuleType: ...
