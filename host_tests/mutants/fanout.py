"""What the tests must find broken in fanout.py."""

from . import By

_PUBLISH = "lane[_HEAD] = 0 if head + 1 == capacity + capacity else head + 1\n"
_SENT = "                slot[_META] = size "
_WORD_SENT = "                slot[_META] = 4 "

MUTANTS = {
    "send": {
        "publishes before the payload": By("interleavings", (_SENT, " " * 16 + _PUBLISH + _SENT)),
        "the turn goes on where nobody had room": (
            "            if took:\n                part[_TURN] = at\n            else:\n",
            "            part[_TURN] = at + 1 - took\n            if part[_TURN] == places:\n"
            "                part[_TURN] = 0\n            if not took:\n",
        ),
        "what nobody has room for is not counted": (
            "                ptr32(own)[_DROPPED] += 1",
            "                pass",
        ),
    },
    "send_word": {
        "publishes before the payload": By(
            "interleavings", (_WORD_SENT, " " * 16 + _PUBLISH + _WORD_SENT)
        ),
        "a receiver may lag by one too many": (
            "if used < (room & 0xFFFF):",
            "if used <= (room & 0xFFFF) and used < capacity:",
        ),
        "words all go to the first with room": (
            "            if took:\n                part[_TURN] = at\n            else:\n",
            "            if not took:\n",
        ),
    },
    "FanoutReceiver.__init__": {
        "a new receiver keeps what is queued": (
            "            channel._unread += self._abandon(header)"
            "  # it was for an earlier receiver\n",
            "",
        ),
        "opens before its lanes are emptied": By(
            "interleavings",
            (
                "        block = channel._block\n",
                "        block = channel._block\n"
                "        self._told = epoch << 16 | core << 24\n"
                "        for header in self._headers:\n"
                "            _store(block, header + _ROOM, limit | self._told)\n",
            ),
        ),
        "inherits what an earlier one missed": (
            "self._dropped_before = self._sum(_DROPPED)",
            "self._dropped_before = 0",
        ),
    },
    "FanoutReceiver.close": {
        "one that has closed is still sent to": (
            "            _store(block, header + _ROOM, self._told)  # room for none\n",
            "            pass\n",
        ),
    },
}
