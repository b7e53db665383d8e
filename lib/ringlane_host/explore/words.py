"""Accesses in words: the names of a channel's words, values, and the lines of what happened."""

import struct

from ..engine import FIGURES, WORDS, offsets
from ..simulate import memory

_TOLD = 200  # lines that a failure prints, the last ones
VERBS = {
    "load": "reads",
    "store": "writes",
    "fence": "fences",
    "mask": "masks interrupts",
    "unmask": "unmasks interrupts",
}


def name_words(channel, name=""):
    """Let failures name the words of a channel's block, such as "lane 2 head"; return the channel.

    The names are those of the engine's words. A block of another layout stays unnamed.
    """
    # A copy, as a reference to the block would keep it alive; it is read when something failed.
    block = bytes(channel._block)
    senders = channel.senders
    layout = None

    def label(offset):
        nonlocal layout
        try:
            layout = layout or _Layout(block, senders)
            found = layout.name(offset)
        except (LookupError, ArithmeticError, OSError, struct.error):
            return None
        return f"{name}: {found}" if name and found else found

    memory.label(channel._block, label)
    return channel


class _Layout:
    """Where the parts of a channel's block are, by the words of the engine."""

    def __init__(self, block, senders):
        self.block = block
        self.senders = senders
        parts = {part: offsets(part) for part in WORDS}
        self.at = {part: numbers for part, (numbers, _) in parts.items()}
        self.size = {part: 4 * count for part, (_, count) in parts.items()}
        first = self._word(0, "receiver", "LANES")
        self.receivers = (first - senders * self.size["sender"]) // self.size["receiver"]
        if self.receivers < 1:
            raise LookupError("no receiver's words")
        self.lanes = []  # the byte where each begins, in order
        for receiver in range(self.receivers):
            at = receiver * self.size["receiver"]
            at += self._word(at, "receiver", "LANES")
            while self._word(at, "lane", "REST") != FIGURES["LAST"][0]:
                self.lanes.append(at)
                at += self.size["lane"]
        self.slots = at + FIGURES["MARK_BYTES"][0]
        self.stride = self._word(0, "receiver", "STRIDE")

    def name(self, offset):
        """Return the name of the byte at `offset` in the block, or None."""
        if offset >= self.slots:
            return self._slot_name(offset)
        for number, at in enumerate(self.lanes):
            if at <= offset < at + self.size["lane"]:
                return f"{self._lane_name(number)} {self._field('lane', offset - at)}"
        part, count = "receiver", self.receivers
        if offset >= count * self.size[part]:
            offset -= count * self.size[part]
            part, count = "sender", self.senders
        number, rest = divmod(offset, self.size[part])
        if number >= count:
            return "end mark"
        which = f" {number}" if count > 1 else ""
        return f"{part}{which} {self._field(part, rest)}"

    def _slot_name(self, offset):
        for number, at in enumerate(self.lanes):
            slot, rest = divmod(offset - at - self._word(at, "lane", "FIRST"), self.stride)
            if 0 <= slot < self._word(at, "lane", "CAPACITY"):
                return f"{self._lane_name(number)} slot {slot} {self._field('slot', rest)}"
        return None

    def _lane_name(self, number):
        row, sender = divmod(number, self.senders)
        return f"lane {row} of sender {sender}" if self.senders > 1 else f"lane {row}"

    def _word(self, at, part, name):
        return struct.unpack_from("<I", self.block, at + 4 * self.at[part][name])[0]

    def _field(self, part, offset):
        if offset >= self.size[part]:
            return f"payload + {offset - self.size[part]}"
        word = offset >> 2
        found = [name for name, number in self.at[part].items() if number <= word]
        name = found[-1].lower()
        inside = word - self.at[part][found[-1]]
        if inside:
            name += f"[{inside}]"
        return name + (f" + {offset & 3}" if offset & 3 else "")


def value_text(data):
    if not data:
        return ""
    value = int.from_bytes(data, "little")
    return f" = {value}" if value < 1 << 16 else f" = {value:#x}"


def lines(told):
    skipped = max(0, len(told) - _TOLD)
    lines = [f"  {skipped} lines before these"] if skipped else []
    for count, who, verb, what, where in told[skipped:]:
        lines.append(f"  {count:>5} {who:9} {verb:6} {what}  {where}".rstrip())
    return lines


def at(frame):
    """Return the file and line where a frame is."""
    return f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"


__all__ = ["VERBS", "at", "lines", "name_words", "value_text"]
