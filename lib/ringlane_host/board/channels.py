"""What the firmware's channels carry: each message, who sent it and who received it.

The verbs of ringlane are viper functions, and the board makes viper functions: it records what
those do that close over an end of a channel, and sees that one context has each end to itself.
"""

from typing import NamedTuple

from .faults import BoardError, ClaimOpen, Overflowed, TwoContexts
from .results import Results

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_CLASSES = ("REALTIME", "HIGH", "NORMAL", "LOW", "BULK")
# By a verb's name: whether it sends, whose it is, which argument is first, whether it is a word's.
_VERBS = {
    "send": (True, "sender", 0, False),
    "send_word": (True, "sender", 0, True),
    "recv": (False, "receiver", 0, False),
    "recv_word": (False, "receiver", 0, True),
    "send_request": (True, "client", 0, False),
    "recv_response": (False, "client's receiver", 1, False),
    "recv_request": (False, "server's receiver", 0, False),
    "send_response": (True, "server", 1, False),
}
_FIXES = {
    "sender": "add_sender()",
    "receiver": "recv_guard= and add_receiver()",
    "client": "a channel",
    "client's receiver": "a channel",
    "server": "a channel",
    "server's receiver": "a channel",
}
# Their verbs call those that are recorded.
_WRAPPERS = (
    "ringlane.debug",
    "ringlane.guard",
    "ringlane.latency",
    "ringlane.measure",
    "ringlane.tap",
    "ringlane.tap_calls",
    "ringlane.tap_fanout",
)


class Message(NamedTuple):
    """A message when it was sent or received.

    `us`: the time; `priority`: its class, 0 to 4, and None for requests and replies; `latency`:
    ticks from send to receive, None where it is sent; `accepted`: whether it was queued; `who`:
    the handler, task or core; `end`: which sender or receiver of the channel it was, an id.
    """

    us: int
    data: bytes
    priority: int | None
    latency: int | None
    accepted: bool
    context: str
    who: str
    end: int

    @property
    def word(self):
        """Its 4 bytes as a signed number."""
        return int.from_bytes(self.data, "little", signed=True)


class ChannelRecord:
    """What passed through one channel.

    `sent`: each message that was offered, by a commit also; `received`: each that was taken by
    recv, recv_word or release, or by what waits with them. recv_words, skip, clear and triggers
    are not recorded, only counted, by the channel's own counters. `depths`: (microseconds,
    messages queued), after each of those messages, skip and clear.
    """

    def __init__(self, channel):
        self.channel = channel
        self.sent = []
        self.received = []
        self.depths = []
        self.overflowed = False

    @property
    def messages(self):
        """The received messages' bytes."""
        return [message.data for message in self.received]

    @property
    def words(self):
        """The received messages as signed numbers; of those of 4 bytes."""
        return [message.word for message in self.received if len(message.data) == 4]

    @property
    def latencies(self):
        """The received messages' latencies, in ticks of the channel's clock: microseconds."""
        return [message.latency for message in self.received]

    def __getattr__(self, name):
        # Counters and the rest, as the firmware sees them.
        if name in ("dropped", "rejected", "high_water", "closed", "capacity", "name"):
            return getattr(self.channel, name)
        raise AttributeError(name)

    def __len__(self):
        return len(self.channel)

    def __repr__(self):
        return repr(self.channel)


class Channels:
    """The firmware's channels: by name, or by number in the order of their first message."""

    def __init__(self, kernel, note, gil):
        self._kernel = kernel
        self._gil = gil
        self._note = note
        self.results = Results(kernel)
        self._records = {}  # id(channel): record, which keeps the channel
        self._owners = {}  # (id(end), "send" or "recv"): (end, contexts)
        self._ends = {}  # by the cell of a zero-copy end's words: that cell, the end's cell
        self._claims = {}  # of open ones, by end and lane: (slot, end, context, line)
        self._peeked = {}  # id(end): (message, priority, latency)

    def __getitem__(self, key):
        records = list(self._records.values())
        if isinstance(key, int) and key < len(records):
            return records[key]
        found = [each for each in records if each.channel.name == key]
        if not found:
            there = ", ".join(repr(each.channel.name) for each in records) or "none"
            raise BoardError(f"no channel {key!r} has carried a message; there are {there}")
        return found[-1]

    def __iter__(self):
        return iter(self._records.values())

    def __len__(self):
        return len(self._records)

    def recorder(self, function):
        """Return record(args, result) for a verb of ringlane; None for another function."""
        module = function.__module__ or ""
        if not module.startswith("ringlane.") or module in _WRAPPERS:
            return None
        if function.__name__ in ("_drop", "recv_words"):  # skip and clear
            return lambda args, result: self._taken(args[0])
        if module == "ringlane.trigger" and function.__name__ == "trigger":
            end = function.__closure__[function.__code__.co_freevars.index("cold")]
            return lambda args, result: self._triggered(end.cell_contents)
        if module == "ringlane.zero_copy":
            return self._in_place(function)
        verb = _VERBS.get(function.__name__)
        names = function.__code__.co_freevars
        if verb is None or not {"cold", "own"} & {*names}:
            return None
        sends, side, first, word = verb
        note = self._sent if sends else self._received
        if "cold" in names:
            cell = function.__closure__[names.index("cold")]
            return lambda args, result: note(cell.cell_contents, args[first:], result, side, word)
        # The direct form's verbs have all that they close over in a list.
        own = function.__closure__[names.index("own")]
        return lambda args, result: note(own.cell_contents[1], args[first:], result, side, word)

    def _in_place(self, function):
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        note = {
            "claim": self._claimed,
            "commit": self._committed,
            "abort": self._aborted,
            "peek": self._peek,
            "release": self._released,
        }.get(function.__name__)
        if note is None:
            return None
        at = cells["at"]  # which release shares with peek, and has nothing else
        if "cold" in cells:
            self._ends[id(at)] = at, cells["cold"]
        end = self._ends[id(at)][1]
        return lambda args, result: note(end.cell_contents, args, result)

    def _claimed(self, end, args, result):
        if result is None:
            self._blocked(end, args[0], "claim()")
            self._overflow(self._record(end))
        else:
            kernel = self._kernel
            self._claims[_lane(end, args[0])] = result, end, kernel.context(), kernel.place()

    def _committed(self, end, args, result):
        priority, size = args
        data = bytes(self._claims.pop(_lane(end, priority))[0][:size])
        self._send(end, data, data, priority, result, "sender")

    def _aborted(self, end, args, result):
        del self._claims[_lane(end, args[0])]

    def _blocked(self, end, priority, what):
        # Where a claim is open, nothing else enters that lane.
        claimed = self._claims.get(_lane(end, priority))
        if claimed is not None and not self._record(end).channel.closed:
            self._left_open(end, claimed[3], f", so {what} is rejected")

    def _left_open(self, end, place, text):
        self._kernel.fault_once(
            ClaimOpen,
            place,
            f"{self._record(end).channel._title()}: the claim of {place} is open still{text}: "
            "commit() or abort() it",
        )

    def ended(self):
        """Note what the main program has left, which has ended; handlers go on."""
        for _, end, context, place in self._claims.values():
            if context == "tasks":
                self._left_open(end, place, ", and the program has ended")

    def _peek(self, end, args, result):
        if result:
            size, priority, latency = result
            self._peeked[id(end)] = bytes(end.view[:size]), priority, latency
        else:
            self._receive(end, None, "receiver")

    def _released(self, end, args, result):
        if result:
            self._receive(end, self._peeked.pop(id(end)), "receiver")

    def _record(self, end):
        channel = getattr(end, "_channel", end)
        record = self._records.get(id(channel))
        if record is None:
            record = self._records[id(channel)] = ChannelRecord(channel)
        return record

    def _depth(self, record):
        record.depths.append((self._kernel.now, len(record.channel)))

    def _sent(self, end, args, result, side, word):
        data = args[0]
        data = (data & 0xFFFFFFFF).to_bytes(4, "little") if word else bytes(data)
        priority = args[1] if len(args) > 1 else None
        self._send(end, data, args[0] if word else data, priority, result, side)

    def _send(self, end, data, what, priority, result, side):
        record = self._record(end)
        context = self._kernel.context()
        kernel = self._kernel
        record.sent.append(
            Message(kernel.now, data, priority, None, bool(result), context, kernel.who(), id(end))
        )
        self._depth(record)
        label = "" if priority is None else f" {_CLASSES[priority & 7]}"
        outcome = "" if result else ": no room"
        self._note("send", f"{_name(record.channel)} <- {what!r}{label}{outcome}")
        if not result:
            if priority is not None:
                self._blocked(end, priority, "a send")
            self._overflow(record)
        self._own_sender(end, side)

    def _overflow(self, record):
        if not record.overflowed and record.channel.dropped:
            record.overflowed = True
            self._kernel.fault(
                Overflowed,
                f"{record.channel._title()}: no room for a message of {self._kernel.who()}, "
                f"{self._kernel.place()}: "
                f"its capacity is {record.channel.capacity}",
            )

    def _received(self, end, args, result, side, word):
        message = None
        if result:
            size, priority, latency = result
            if word:
                data = (size & 0xFFFFFFFF).to_bytes(4, "little")
            else:
                data = bytes(args[0][:size])
            message = data, priority, latency
        self._receive(end, message, side, result[0] if word and result else None)

    def _receive(self, end, message, side, word=None):
        record = self._record(end)
        context = self._kernel.context()
        if message:
            data, priority, latency = message
            kernel = self._kernel
            record.received.append(
                Message(kernel.now, data, priority, latency, True, context, kernel.who(), id(end))
            )
            self._depth(record)
            what = data if word is None else word
            self._note("recv", f"{_name(record.channel)} -> {what!r} after {latency}")
        self._own_receiver(end, side)

    def _taken(self, end):
        self._depth(self._record(end))
        if not self._kernel.core.viper:  # else a receiver that opens or closes does it
            self._own_receiver(end, "receiver")

    def _triggered(self, end):
        self._depth(self._record(end))
        self._own_sender(end, "sender")

    def _own_receiver(self, end, side):
        if getattr(getattr(end, "_channel", end), "_recv_guard", None) is None:
            self._own(end, side, self._kernel.context())

    def _own_sender(self, end, side):
        if getattr(getattr(end, "_channel", end), "_send_guard", None) is None:
            # Soft handlers and tasks may share what sends, and threads under a GIL: neither
            # comes within a verb.
            context = self._kernel.context()
            if context == "soft handler" or self._gil and context != "hard handler":
                context = "tasks"
            self._own(end, side, context)

    def _own(self, end, side, context):
        key = id(end), side
        owner = self._owners.setdefault(key, (end, {}))[1]
        if context in owner:
            return
        owner[context] = f"{self._kernel.who()} ({context}, {self._kernel.place()})"
        if len(owner) > 1:
            users = " and ".join(owner.values())
            channel = getattr(end, "_channel", end)
            self._kernel.fault(
                TwoContexts,
                f"{users} share one {side} of {channel._title()}: use {_FIXES[side]} for each",
            )


def _lane(end, priority):
    return id(end), priority if getattr(end, "_channel", end)._by_class else 0


def _name(channel):
    return channel.name or type(channel).__name__


__all__ = ["ChannelRecord", "Channels", "Message"]
