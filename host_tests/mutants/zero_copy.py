"""What the tests must find broken in zero_copy.py."""

from . import By

_PUBLISH = "lane[_HEAD] = 0 if head + 1 == capacity + capacity else head + 1\n"
_COMMITTED = "        slot[_META] = size | priority << 16\n"

MUTANTS = {
    "commit": {
        "publishes before the size and the stamp": By(
            "interleavings", (_COMMITTED, "        " + _PUBLISH + _COMMITTED)
        ),
        "reads twice whether the channel is closed": By(
            "simulated",
            ("if size < 0 or size >= limit:", "if size < 0 or size >= part[_LIMIT]:"),
        ),
    },
    "peek": {
        "chooses anew each time": By(
            "simulated",
            (
                "        lane = part[_PEEKED]\n        if lane:\n",
                "        lane = 0\n        if lane:\n",
            ),
        ),
    },
    "release": {
        "drops what came after the message that was peeked": (
            "if header[_RECEIVED] != part[_PEEK_COUNT]:",
            "if 0:",
        ),
    },
}
