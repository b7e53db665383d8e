from .channel import Channel as Channel
from .clock import Clock as Clock
from .clock import cycles as cycles
from .priority import BULK as BULK
from .priority import HIGH as HIGH
from .priority import LOW as LOW
from .priority import NORMAL as NORMAL
from .priority import REALTIME as REALTIME
from .priority import PriorityChannel as PriorityChannel
from .priority import PriorityClass as PriorityClass
from .report import report as report

__version__: str
__all__ = (
    "PriorityChannel",
    "PriorityClass",
    "REALTIME",
    "HIGH",
    "NORMAL",
    "LOW",
    "BULK",
    "Channel",
    "Clock",
    "cycles",
    "report",
)
