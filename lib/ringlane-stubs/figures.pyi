from .cold import Counters
from .lanes import Lanes

def lines(channel: Lanes) -> list[tuple[str, int | None, int, Counters]]: ...
