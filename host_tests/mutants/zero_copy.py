"""What the tests must find broken in zero_copy.py."""

_PUBLISH = "lane[_HEAD] = 0 if head + 1 == capacity + capacity else head + 1\n"
_COMMITTED = "        slot[_META] = size | priority << 16\n"

# What claim, commit and abandon have in common.
_CLASS = {
    "a class below 0 is taken": ("priority < 0 or ", ""),
    "a class of 5 is taken": ("priority >= part[_CLASSES]", "priority > part[_CLASSES]"),
}

MUTANTS = {
    "make_views": {
        "the slots lie next to each other": ("(channel.slot_size + 3 & ~3)", "channel.slot_size"),
        "a view is as long as its slot is in memory": (
            "at + channel.slot_size]",
            "at + pitch - _SLOT_BYTES]",
        ),
        "a view begins with the slot's own words": (" * 4 + _SLOT_BYTES", " * 4"),
        "only the first sender's slots have views": (" * channel.senders", ""),
    },
    "claim": {
        **_CLASS,
        "a class without capacity is refused": ("if not lane[_CAPACITY]:", "if 0:"),
        "a closed channel gives slots": ("not part[_LIMIT] or ", ""),
        "a lane has two claims at once": (
            "if not part[_LIMIT] or not lane[_ROOM]:",
            "if not part[_LIMIT]:",
        ),
        "a second claim is a full lane": (" or not lane[_ROOM]:", ":"),
        "what is refused is not counted": (
            "            lane[_REFUSED] += 1\n",
            "            pass\n",
        ),
        "what is refused is counted as dropped": ("lane[_REFUSED] += 1", "lane[_DROPPED] += 1"),
        "a full lane seems empty at the wrap of head": ("if used < 0:", "if 0:"),
        "the slot that is read next is given": (
            "if used >= lane[_ROOM]:",
            "if used > lane[_ROOM]:",
        ),
        "what finds the lane full is not counted": (
            "            lane[_DROPPED] += 1\n",
            "            pass\n",
        ),
        "the second round goes beyond the lane": (
            "if index >= lane[_CAPACITY]:",
            "if index > lane[_CAPACITY]:",
        ),
        "the lane goes on taking messages": ("        lane[_ROOM] = 0\n", ""),
        "every lane has the first one's slots": ("views[lane[_NUMBER] + index]", "views[index]"),
    },
    "commit": {
        **_CLASS,
        "publishes before the size and the stamp": (
            _COMMITTED,
            "        " + _PUBLISH + _COMMITTED,
        ),
        "reads twice whether the channel is closed": (
            "if size < 0 or size >= limit:",
            "if size < 0 or size >= part[_LIMIT]:",
        ),
        "no claim need be open": ("lane[_ROOM] or not capacity", "not capacity"),
        "a class without capacity has a claim": ("lane[_ROOM] or not capacity", "lane[_ROOM]"),
        "a closed channel takes what is claimed": ("if not limit:", "if 0:"),
        "a claim outlives the channel": (
            "            lane[_ROOM] = capacity\n            lane[_REFUSED] += 1\n",
            "            lane[_REFUSED] += 1\n",
        ),
        "what is refused is not counted": ("            lane[_REFUSED] += 1\n", ""),
        "what is refused seems queued": ("return False", "return True"),
        "a size below 0 is taken": ("size < 0 or ", ""),
        "a size of slot_size + 1 is taken": ("size >= limit:", "size > limit:"),
        "the greatest size is told wrong": (
            "_bad_size(size, limit - 1)",
            "_bad_size(size, limit)",
        ),
        "a wrong size ends the claim": (
            "            _bad_size(size, limit - 1)",
            "            lane[_ROOM] = capacity\n            _bad_size(size, limit - 1)",
        ),
        "the second round goes beyond the lane": ("if index >= capacity:", "if index > capacity:"),
        "the class is not written": ("size | priority << 16", "size"),
        "the size is not written": ("size | priority << 16", "priority << 16"),
        "a clock without a register is read at address 0": (
            "if part[_CLOCK]:",
            "if not part[_CLOCK]:",
        ),
        "the stamp is not what the clock's register says": (
            "slot[_TIME] = ptr32(part[_CLOCK])[0]",
            "slot[_TIME] = part[_CLOCK]",
        ),
        "the stamp is not what the clock says": (
            "slot[_TIME] = int(slow._ticks())",
            "slot[_TIME] = 0",
        ),
        "high_water is one too low": ("used = head + 1 - lane", "used = head - lane"),
        "high_water is below 0 at the wrap": ("if used < 0:", "if 0:"),
        "high_water is too low at the wrap": (
            "if used < 0:\n            used += capacity + capacity",
            "if used < 0:\n            used += capacity",
        ),
        "head does not wrap": ("if head == capacity + capacity:", "if 0:"),
        "head wraps after one round": ("if head == capacity + capacity:", "if head == capacity:"),
        "high_water goes down again": ("if used > lane[_HIGH_WATER]:", "if 1:"),
        "high_water is not written": ("if used > lane[_HIGH_WATER]:", "if 0:"),
        "the claim stays open": (
            "        lane[_ROOM] = capacity\n        return True",
            "        return True",
        ),
        "what is queued seems refused": ("return True", "return False"),
    },
    "abandon": {
        **_CLASS,
        "no claim need be open": ("lane[_ROOM] or not lane", "not lane"),
        "a class without capacity has a claim": (" or not lane[_CAPACITY]", ""),
        "the claim stays open": ("        lane[_ROOM] = lane[_CAPACITY]\n", ""),
    },
    "peek": {
        "chooses anew each time": (
            "        lane = part[_PEEKED]\n        if lane:\n",
            "        lane = 0\n        if lane:\n",
        ),
        "a message is another one after a more urgent one came": (
            "        if not lane:\n            lane = int",
            "        if 1:\n            lane = int",
        ),
        "the lane of a message that has been taken is kept": (
            "        if lane:\n",
            "        if 0:\n",
        ),
        "the lane is kept only once its message is taken": (
            "if header[_RECEIVED] != part[_PEEK_COUNT]:",
            "if header[_RECEIVED] == part[_PEEK_COUNT]:",
        ),
        "where nothing is queued there is a message": (
            "            if not lane:\n                return",
            "            if 0:\n                return",
        ),
        "the lane is not kept": ("            part[_PEEKED] = lane\n", ""),
        "how many were received then is not kept": (
            "        part[_PEEK_COUNT] = header[_RECEIVED]\n",
            "",
        ),
        "the second round goes beyond the lane": (
            "if index >= header[_CAPACITY]:",
            "if index > header[_CAPACITY]:",
        ),
        "a clock without a register is read at address 0": (
            "if part[_RX_CLOCK]:",
            "if not part[_RX_CLOCK]:",
        ),
        "the latency is not what the clock's register says": (
            "now = ptr32(part[_RX_CLOCK])[0]",
            "now = part[_RX_CLOCK]",
        ),
        "the stamp is not kept": ("        part[_STAMP] = slot[_TIME]\n", ""),
        "the class is part of the size": ("slot[_META] & 0xFFFF", "slot[_META]"),
        "the size is part of the class": ("slot[_META] >> 16 & 0xFF", "slot[_META] >> 15"),
        "the latency at the clock's wrap is below 0": (
            "(now - slot[_TIME]) & part[_MASK]",
            "now - slot[_TIME]",
        ),
        "the view is another lane's": ("views[header[_NUMBER] + index]", "views[index]"),
    },
    "release": {
        "drops what came after the message that was peeked": (
            "if header[_RECEIVED] != part[_PEEK_COUNT]:",
            "if 0:",
        ),
        "nothing need have been peeked": ("if not lane:", "if 0:"),
        "tail does not wrap": ("if tail == header[_CAPACITY] + header[_CAPACITY]:", "if 0:"),
        "tail wraps after one round": (
            "if tail == header[_CAPACITY] + header[_CAPACITY]:",
            "if tail == header[_CAPACITY]:",
        ),
        "what is released has not been received": ("        header[_RECEIVED] += 1\n", ""),
        "the message stays": ("        header[_TAIL] = tail  # Order", "        # Order"),
        "tells of nothing": ("return True", "return False"),
    },
    "_no_claim": {
        "is no error": (
            'raise _error(ValueError, "no claim is open on class %d", priority)',
            "pass",
        ),
    },
    "_bad_size": {
        "is no error": (
            'raise _error(ValueError, "size must be 0 to %d, not %d", slot_size, size)',
            "pass",
        ),
    },
}
