from .anycast import AnycastChannel as AnycastChannel
from .channel import Channel as Channel
from .clock import Clock as Clock
from .clock import milliseconds as milliseconds
from .cpu_clock import cycles as cycles
from .debug import debug as debug
from .flight import FlightRecorder as FlightRecorder
from .guard import IrqGuard as IrqGuard
from .guard import LockGuard as LockGuard
from .guard import SoftGuard as SoftGuard
from .latency import LatencyHistogram as LatencyHistogram
from .multicast import MulticastChannel as MulticastChannel
from .names import AFFINITY_FIRST as AFFINITY_FIRST
from .names import BULK as BULK
from .names import HIGH as HIGH
from .names import LEAST_LOADED as LEAST_LOADED
from .names import LOW as LOW
from .names import NORMAL as NORMAL
from .names import RANDOM as RANDOM
from .names import REALTIME as REALTIME
from .names import ROUND_ROBIN as ROUND_ROBIN
from .names import AnycastPolicy as AnycastPolicy
from .names import PriorityClass as PriorityClass
from .port import fenced as fenced
from .priority import PriorityChannel as PriorityChannel
from .probe import engine as engine
from .registry import channels as channels
from .report import report as report
from .request_reply import RequestReplyChannel as RequestReplyChannel
from .tap import Recorder as Recorder
from .waiting import select as select

__version__: str
PATTERNS: dict[str, str]
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
    "Recorder",
    "FlightRecorder",
    "channels",
    "report",
    "debug",
    "engine",
    "fenced",
)
