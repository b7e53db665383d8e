"""The words of a channel's block, for tests that set or read them."""

from ringlane.lanes import store
from ringlane.words import load
from ringlane_host.engine import constants

WORD = {name: value for name, (value, _) in constants().items()}
_COUNT_END = 1 << 32  # where a word starts from 0


def lanes(channel):
    """Return the word in the block where each lane begins, row by row."""
    rows = range(channel._rows)
    return [channel._header(number, row) for row in rows for number in range(channel.senders)]


def start_at(channel, index):
    """Let every lane, which is empty, go on at slot `index`; above 0: as its counts wrap.

    Return since(count), which tells how many of a count of the channel came after this.
    """
    base = channel._base
    stride = load(base, WORD["STRIDE"])
    for lane in lanes(channel):
        place = index % load(base, lane + WORD["CAPACITY"]) if index else 0
        first = load(base, lane + WORD["FIRST"])
        for name in ("WRITE", "READ"):
            store(base, lane + WORD[name], first + place * stride)
        for name in ("HEAD", "TAIL"):
            store(base, lane + WORD[name], _COUNT_END - 1 if index else 0)
    before = channel.sent
    return lambda count: (count - before) & 0x3FFFFFFF
