from collections.abc import Callable

from .clock import Clock
from .ends import SendingEnd

def make_trigger(
    end: SendingEnd, priority: int, source: int | Clock | None = None
) -> Callable[[object], None]: ...
