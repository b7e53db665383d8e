from .anycast import AnycastChannel as AnycastChannel
from .channel import Channel as Channel
from .clock import Clock as Clock
from .clock import milliseconds as milliseconds
from .constants import AFFINITY_FIRST as AFFINITY_FIRST
from .constants import BULK as BULK
from .constants import HIGH as HIGH
from .constants import LEAST_LOADED as LEAST_LOADED
from .constants import LOW as LOW
from .constants import NORMAL as NORMAL
from .constants import RANDOM as RANDOM
from .constants import REALTIME as REALTIME
from .constants import ROUND_ROBIN as ROUND_ROBIN
from .constants import AnycastPolicy as AnycastPolicy
from .constants import PriorityClass as PriorityClass
from .cpu_clock import cycles as cycles
from .guard import IrqGuard as IrqGuard
from .guard import LockGuard as LockGuard
from .guard import SoftGuard as SoftGuard
from .latency import LatencyHistogram as LatencyHistogram
from .multicast import MulticastChannel as MulticastChannel
from .priority import PriorityChannel as PriorityChannel
from .probe import engine as engine
from .report import report as report
from .request_reply import RequestReplyChannel as RequestReplyChannel
from .waiting import select as select

__version__: str
__all__ = (
    "AFFINITY_FIRST",
    "AnycastPolicy",
    "BULK",
    "HIGH",
    "LEAST_LOADED",
    "LOW",
    "NORMAL",
    "PriorityClass",
    "RANDOM",
    "REALTIME",
    "ROUND_ROBIN",
    "PriorityChannel",
    "Channel",
    "Clock",
    "cycles",
    "milliseconds",
    "MulticastChannel",
    "AnycastChannel",
    "RequestReplyChannel",
    "select",
    "IrqGuard",
    "LockGuard",
    "SoftGuard",
    "LatencyHistogram",
    "report",
    "engine",
)
