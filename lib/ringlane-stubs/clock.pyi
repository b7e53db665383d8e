from collections.abc import Callable

class Clock:
    name: str
    hz: int
    ticks: Callable[[], int]
    period: int
    register: int

    def __init__(
        self,
        name: str,
        hz: int,
        ticks: Callable[[], int],
        period: int = 1073741824,
        register: int = 0,
    ) -> None: ...
    def us(self, ticks: int) -> int: ...
    def diff(self, a: int, b: int) -> int: ...

def default() -> Clock: ...
def register_of(clock: object) -> tuple[int, int]: ...
def milliseconds() -> Clock: ...
