"""The classes of messages and the policies of anycast: plain ints.

They are there from `import ringlane` on, so that a handler may use them by name: what is imported
when it is first used cannot be in a hard handler, which has no memory for it.
"""

REALTIME = 0
HIGH = 1
NORMAL = 2
LOW = 3
BULK = 4
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
