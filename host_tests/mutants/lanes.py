"""What the tests must find broken in lanes.py."""

from . import By

_PUBLISH = "lane[_HEAD] = 0 if head + 1 == capacity + capacity else head + 1\n"
_RELEASE = "header[_TAIL] = 0 if tail + 1 == header[_CAPACITY] + header[_CAPACITY] else tail + 1\n"
_SENT = "        slot[_META] = size | priority << 16\n"
_WORD_SENT = "        slot[_META] = 4 | priority << 16\n"
_RECEIVED = "        meta = slot[_META]\n"
_WORDS_RECEIVED = "            size = slot[_META] & 0xFFFF\n"

MUTANTS = {
    "send": {
        "publishes before the payload": By(
            "interleavings", (_SENT, "        " + _PUBLISH + _SENT)
        ),
        "the time of send_at sticks": (
            "part[_AT_SET] = 0\n            part[_CLOCK] = part[_REGISTER]\n",
            "pass\n",
        ),
        "an unaligned message is copied by words": ("if not source & 3:", "if not source & 1:"),
    },
    "send_word": {
        "publishes before the payload": By(
            "interleavings", (_WORD_SENT, "        " + _PUBLISH + _WORD_SENT)
        ),
        "a message lost to a claim is counted as dropped": (
            "lane[_DROPPED if lane[_ROOM] else _REFUSED] += 1",
            "lane[_DROPPED] += 1",
        ),
    },
    "recv": {
        "releases before the copy": By(
            "interleavings", (_RECEIVED, "        " + _RELEASE + _RECEIVED)
        ),
    },
    "recv_word": {
        "releases before the copy": By(
            "interleavings", (_RECEIVED, "        " + _RELEASE + _RECEIVED)
        ),
    },
    "recv_words": {
        "releases before the copy": By(
            "interleavings", (_WORDS_RECEIVED, "            " + _RELEASE + _WORDS_RECEIVED)
        ),
    },
    "next_lane": {
        "a message for an earlier receiver is taken": (
            "if header[_REST] & _STALE and ",
            "if 0 and ",
        ),
        "of two senders' messages the younger comes first at the wrap": (
            "age = (stamp - slot[_TIME]) & part[_MASK]",
            "age = stamp - slot[_TIME]",
        ),
    },
}
