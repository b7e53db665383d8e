"""ringlane: allocation-free message channels from interrupt handlers to tasks.

A name is imported when it is first used, so a program pays for what it uses only.
"""

import sys

__version__ = "0.1.0"

if sys.implementation.name != "micropython":
    import ringlane_host.event_loop  # MicroPython's asyncio
    import ringlane_host.simulated  # noqa: F401  viper's names, on a simulated memory

_MODULES = {
    "PriorityChannel": "priority",
    "PriorityClass": "priority",
    "REALTIME": "priority",
    "HIGH": "priority",
    "NORMAL": "priority",
    "LOW": "priority",
    "BULK": "priority",
    "Channel": "channel",
    "Clock": "clock",
    "cycles": "clock",
    "milliseconds": "clock",
    "MulticastChannel": "multicast",
    "AnycastChannel": "anycast",
    "AnycastPolicy": "anycast",
    "ROUND_ROBIN": "anycast",
    "LEAST_LOADED": "anycast",
    "RANDOM": "anycast",
    "AFFINITY_FIRST": "anycast",
    "RequestReplyChannel": "request_reply",
    "select": "waiting",
    "IrqGuard": "guard",
    "LockGuard": "guard",
    "LatencyHistogram": "latency",
    "report": "report",
}
__all__ = tuple(_MODULES)


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
