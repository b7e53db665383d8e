from typing import Final

REALTIME: Final = 0
HIGH: Final = 1
NORMAL: Final = 2
LOW: Final = 3
BULK: Final = 4
CLASS_NAMES: Final[tuple[str, str, str, str, str]]

class PriorityClass:
    REALTIME: Final = 0
    HIGH: Final = 1
    NORMAL: Final = 2
    LOW: Final = 3
    BULK: Final = 4

ROUND_ROBIN: Final = 1
LEAST_LOADED: Final = 2
RANDOM: Final = 3
AFFINITY_FIRST: Final = 4

class AnycastPolicy:
    ROUND_ROBIN: Final = 1
    LEAST_LOADED: Final = 2
    RANDOM: Final = 3
    AFFINITY_FIRST: Final = 4

ALL: Final[tuple[str, ...]]
MODULES: Final[dict[str, str]]

def find(name: str) -> object: ...
def explained(error: SyntaxError) -> Exception: ...
