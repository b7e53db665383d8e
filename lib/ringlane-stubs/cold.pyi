from typing import NamedTuple

from .lanes import Lanes

class Counters(NamedTuple):
    queued: int
    sent: int
    received: int
    dropped: int
    rejected: int
    high_water: int

def check(channel: Lanes, number: int, data: object, priority: object) -> None: ...
def counters(channel: Lanes, row: int | None = None) -> Counters: ...
def counters_of_class(channel: Lanes, priority: int | None) -> Counters: ...
def describe(channel: Lanes) -> str: ...
