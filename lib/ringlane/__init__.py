"""ringlane: allocation-free message channels from interrupt handlers to tasks.

The classes are there at once, for handlers, which cannot import. What else has a name here is
imported when it is first used, so a program pays for what it uses only.
"""

import sys

__version__ = "0.2.0"

if sys.implementation.name == "cpython":
    # MicroPython's asyncio, and viper's names on a simulated memory.
    import ringlane_host.simulate.event_loop  # noqa: F401
elif sys.implementation.name != "micropython":
    raise ImportError("ringlane needs MicroPython: %s has no viper" % sys.implementation.name)

REALTIME = 0
HIGH = 1
NORMAL = 2
LOW = 3
BULK = 4

PATTERNS = {  # and their modules; what else has a name is in names.py
    "PriorityChannel": "priority",
    "Channel": "channel",
    "MulticastChannel": "multicast",
    "AnycastChannel": "anycast",
    "RequestReplyChannel": "request_reply",
}


def _from(module, name):
    return getattr(__import__("ringlane." + module, None, None, ("",)), name)


def __getattr__(name):
    module = PATTERNS.get(name)
    try:
        value = _from(module, name) if module else _from("names", "find")(name)
    except SyntaxError as error:
        raise _from("names", "explained")(error)
    globals()[name] = value
    return value
