"""fanout.py and what it relies on broken on purpose, one mutant for each of its rules of order."""

import shutil

PUBLISH = "lane[_HEAD] = 0 if head + 1 == capacity + capacity else head + 1\n"
_OPEN = "            _store(block, header + _ROOM, limit | self._told)\n"
_BEGIN = "        self._told = epoch << 16 | core << 24\n"

# name: (file, from here on, what is there, what is there instead)
MUTANTS = {
    "send publishes before the payload": (
        "fanout.py",
        "    def send(",
        "                slot[_META] = size ",
        f"                {PUBLISH}                slot[_META] = size ",
    ),
    "send_word publishes before the payload": (
        "fanout.py",
        "    def send_word(",
        "                slot[_META] = 4 ",
        f"                {PUBLISH}                slot[_META] = 4 ",
    ),
    "a message for an earlier receiver is taken": (
        "lanes.py",
        "    def next_lane(",
        "if header[_REST] & _STALE and ",
        "if 0 and ",
    ),
    "a new receiver keeps what is queued": (
        "fanout.py",
        "class FanoutReceiver(",
        "            channel._unread += self._abandon(header)  # it was for an earlier receiver\n",
        "",
    ),
    "a receiver opens before its lanes are emptied": (
        "fanout.py",
        "class FanoutReceiver(",
        "        block = channel._block\n",
        f"        block = channel._block\n{_BEGIN}        for header in self._headers:\n{_OPEN}",
    ),
    "a receiver that has closed is still sent to": (
        "fanout.py",
        "    def close(",
        "            _store(block, header + _ROOM, self._told)  # room for none\n",
        "            pass\n",
    ),
}


def make(name, package, folder):
    """Copy `package` to `folder`, broken by mutant `name`; return the copy's path."""
    file, begin, old, new = MUTANTS[name]
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / file
    before, found, after = path.read_text().partition(begin)
    if not found or old not in after:
        raise LookupError(f"mutant {name!r} no longer applies: {old.strip()!r} after {begin!r}")
    path.write_text(before + found + after.replace(old, new, 1))
    return copy
