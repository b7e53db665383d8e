from .anycast import AFFINITY_FIRST as AFFINITY_FIRST
from .anycast import LEAST_LOADED as LEAST_LOADED
from .anycast import RANDOM as RANDOM
from .anycast import ROUND_ROBIN as ROUND_ROBIN
from .anycast import AnycastChannel as AnycastChannel
from .anycast import AnycastPolicy as AnycastPolicy
from .channel import Channel as Channel
from .clock import Clock as Clock
from .clock import cycles as cycles
from .clock import milliseconds as milliseconds
from .guard import IrqGuard as IrqGuard
from .guard import LockGuard as LockGuard
from .latency import LatencyHistogram as LatencyHistogram
from .multicast import MulticastChannel as MulticastChannel
from .priority import BULK as BULK
from .priority import HIGH as HIGH
from .priority import LOW as LOW
from .priority import NORMAL as NORMAL
from .priority import REALTIME as REALTIME
from .priority import PriorityChannel as PriorityChannel
from .priority import PriorityClass as PriorityClass
from .report import report as report
from .request_reply import RequestReplyChannel as RequestReplyChannel
from .waiting import select as select

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
    "milliseconds",
    "MulticastChannel",
    "AnycastChannel",
    "AnycastPolicy",
    "ROUND_ROBIN",
    "LEAST_LOADED",
    "RANDOM",
    "AFFINITY_FIRST",
    "RequestReplyChannel",
    "select",
    "IrqGuard",
    "LockGuard",
    "LatencyHistogram",
    "report",
)
