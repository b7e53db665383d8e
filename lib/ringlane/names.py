"""What else has a name in ringlane: policies, classes and policies by another name, modules."""

from ringlane import BULK, HIGH, LOW, NORMAL, PATTERNS, REALTIME

CLASS_NAMES = ("REALTIME", "HIGH", "NORMAL", "LOW", "BULK")


class PriorityClass:
    """The five classes, most urgent first."""

    REALTIME = REALTIME
    HIGH = HIGH
    NORMAL = NORMAL
    LOW = LOW
    BULK = BULK


ROUND_ROBIN = 1
LEAST_LOADED = 2
RANDOM = 3
AFFINITY_FIRST = 4


class AnycastPolicy:
    """How an AnycastChannel chooses a receiver; see anycast.py."""

    ROUND_ROBIN = ROUND_ROBIN
    LEAST_LOADED = LEAST_LOADED
    RANDOM = RANDOM
    AFFINITY_FIRST = AFFINITY_FIRST


# The modules of the names that are neither here nor in PATTERNS.
MODULES = {
    "Clock": "clock",
    "cycles": "cpu_clock",
    "milliseconds": "clock",
    "select": "waiting",
    "IrqGuard": "guard",
    "LockGuard": "guard",
    "SoftGuard": "guard",
    "LatencyHistogram": "latency",
    "Recorder": "tap",
    "FlightRecorder": "flight",
    "channels": "registry",
    "report": "report",
    "debug": "debug",
    "link": "link",
    "engine": "probe",
    "fenced": "port",
}
ALL = (
    (  # of `from ringlane import *`
        "REALTIME",
        "HIGH",
        "NORMAL",
        "LOW",
        "BULK",
        "PriorityClass",
        "ROUND_ROBIN",
        "LEAST_LOADED",
        "RANDOM",
        "AFFINITY_FIRST",
        "AnycastPolicy",
    )
    + tuple(PATTERNS)
    + tuple(name for name in MODULES if name != "link")  # which is large
)


def find(name):
    """Return what has that name in ringlane; raise AttributeError if nothing has."""
    module = MODULES.get(name)
    if module is not None:
        module = __import__("ringlane." + module, None, None, ("",))
        return module if name == "link" else getattr(module, name)
    if name not in ALL and name != "__all__":
        raise AttributeError("module 'ringlane' has no attribute '%s'" % name)
    return ALL if name == "__all__" else globals()[name]


def explained(error):
    """Return what to raise for a SyntaxError of a module."""
    if "decorator" not in str(error):  # what a port says that cannot compile viper
        return error
    return ImportError("ringlane needs a MicroPython with viper: %s" % error)
