"""ringlane: allocation-free message channels from interrupt handlers to tasks.

The classes and policies are there at once, for handlers. What else has a name here is imported
when it is first used, so a program pays for what it uses only.
"""

import sys

__version__ = "0.2.0"

if sys.implementation.name == "cpython":
    import ringlane_host.event_loop  # MicroPython's asyncio
    import ringlane_host.simulated  # noqa: F401  viper's names, on a simulated memory
elif sys.implementation.name != "micropython":
    raise ImportError("ringlane needs MicroPython: %s has no viper" % sys.implementation.name)

from .constants import (
    AFFINITY_FIRST,
    BULK,
    HIGH,
    LEAST_LOADED,
    LOW,
    NORMAL,
    RANDOM,
    REALTIME,
    ROUND_ROBIN,
    AnycastPolicy,
    PriorityClass,
)

_MODULES = {
    "PriorityChannel": "priority",
    "Channel": "channel",
    "Clock": "clock",
    "cycles": "cpu_clock",
    "milliseconds": "clock",
    "MulticastChannel": "multicast",
    "AnycastChannel": "anycast",
    "RequestReplyChannel": "request_reply",
    "select": "waiting",
    "IrqGuard": "guard",
    "LockGuard": "guard",
    "SoftGuard": "guard",
    "LatencyHistogram": "latency",
    "report": "report",
    "engine": "probe",
}
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
) + tuple(_MODULES)


def __getattr__(name):
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError("module 'ringlane' has no attribute '%s'" % name)
    try:
        value = getattr(__import__("ringlane." + module, None, None, (name,)), name)
    except SyntaxError as error:
        if "decorator" not in str(error):  # what a port says that cannot compile viper
            raise
        raise ImportError("ringlane needs a MicroPython with viper: %s" % error)
    globals()[name] = value
    return value
