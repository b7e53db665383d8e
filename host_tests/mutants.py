"""ringlane broken on purpose, so that it can be shown that the tests would notice.

A mutant is a small edit of the shipped source and names the rule that it breaks. make() raises
when a text that it replaces is no longer there.
"""

import shutil

_PUBLISH = "lane[_HEAD] = 0 if head + 1 == capacity + capacity else head + 1\n"
_RELEASE = "header[_TAIL] = 0 if tail + 1 == header[_CAPACITY] + header[_CAPACITY] else tail + 1\n"


def _before(indent, line, added):
    # The edit that puts a line before another.
    return indent + line, indent + added + indent + line


# name: (file, where the edits begin, the edits, each a pair: what is there, what comes there).

LANES = {
    "send publishes before the payload": (
        "lanes.py",
        "    def send(",
        [_before(8 * " ", "slot[_META] = size | priority << 16\n", _PUBLISH)],
    ),
    "send_word publishes before the payload": (
        "lanes.py",
        "    def send_word(",
        [_before(8 * " ", "slot[_META] = 4 | priority << 16\n", _PUBLISH)],
    ),
    "recv releases before the copy": (
        "lanes.py",
        "    def recv(",
        [_before(8 * " ", "meta = slot[_META]\n", _RELEASE)],
    ),
    "recv_word releases before the copy": (
        "lanes.py",
        "    def recv_word(",
        [_before(8 * " ", "meta = slot[_META]\n", _RELEASE)],
    ),
    "recv_words releases before the copy": (
        "lanes.py",
        "    def recv_words(",
        [_before(12 * " ", "size = slot[_META] & 0xFFFF\n", _RELEASE)],
    ),
}

FANOUT = {
    "send publishes before the payload": (
        "fanout.py",
        "    def send(",
        [_before(16 * " ", "slot[_META] = size ", _PUBLISH)],
    ),
    "send_word publishes before the payload": (
        "fanout.py",
        "    def send_word(",
        [_before(16 * " ", "slot[_META] = 4 ", _PUBLISH)],
    ),
    "a message for an earlier receiver is taken": (
        "lanes.py",
        "    def next_lane(",
        [("if header[_REST] & _STALE and ", "if 0 and ")],
    ),
    "a new receiver keeps what is queued": (
        "fanout.py",
        "class FanoutReceiver(",
        [
            (
                "            channel._unread += self._abandon(header)"
                "  # it was for an earlier receiver\n",
                "",
            )
        ],
    ),
    "a receiver opens before its lanes are emptied": (
        "fanout.py",
        "class FanoutReceiver(",
        [
            (
                "        block = channel._block\n",
                "        block = channel._block\n"
                "        self._told = epoch << 16 | core << 24\n"
                "        for header in self._headers:\n"
                "            _store(block, header + _ROOM, limit | self._told)\n",
            )
        ],
    ),
    "a receiver that has closed is still sent to": (
        "fanout.py",
        "    def close(",
        [
            (
                "            _store(block, header + _ROOM, self._told)  # room for none\n",
                "            pass\n",
            )
        ],
    ),
    "skip_to_latest counts what was for an earlier receiver": (
        "multicast.py",
        "    def skip_to_latest(",
        [("range(self._own() - 1)", "range(len(self) - 1)")],
    ),
}

REQUEST_REPLY = {
    "send_response publishes before the payload": (
        "request_reply.py",
        "    def send_response(",
        [_before(8 * " ", "target = int(entry) + _ENTRY_BYTES\n", "entry[_REPLIED] = id\n")],
    ),
    "send_request issues after the request": (
        "request_reply.py",
        "    def send_request(",
        [
            ("        entry[_ISSUED] = id\n", ""),
            _before(8 * " ", "own[_FREE] = free\n", "entry[_ISSUED] = id\n"),
        ],
    ),
}

ZERO_COPY = {
    "commit publishes before the size and the stamp": (
        "zero_copy.py",
        "    def commit(",
        [_before(8 * " ", "slot[_META] = size | priority << 16\n", _PUBLISH)],
    ),
    "commit reads twice whether the channel is closed": (
        "zero_copy.py",
        "    def commit(",
        [("if size < 0 or size >= limit:", "if size < 0 or size >= part[_LIMIT]:")],
    ),
    "peek chooses anew each time": (
        "zero_copy.py",
        "    def peek(",
        [
            (
                "        lane = part[_PEEKED]\n        if lane:\n",
                "        lane = 0\n        if lane:\n",
            )
        ],
    ),
}


def make(kind, name, package, folder):
    """Copy `package` to `folder`, broken by `kind`'s mutant `name`; return the copy's path."""
    file, begin, edits = kind[name]
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / file
    before, found, after = path.read_text().partition(begin)
    for old, new in edits:
        if not found or old not in after:
            raise LookupError(
                f"mutant {name!r} no longer applies: {old.strip()!r} after {begin!r}"
            )
        after = after.replace(old, new, 1)
    path.write_text(before + found + after)
    return copy
