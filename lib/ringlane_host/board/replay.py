"""A recording, sent into the firmware's channel by a hard handler of its own."""

from collections import deque
from typing import Any

from .faults import BoardError
from .sources import Source

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's


def schedule(board, kernel, path, channel, after_ms):
    """As SimulatedBoard.replay."""
    from ..link.recording import Recording  # which needs packages that nothing else here does

    messages = Recording(path).messages(channel)
    due: deque[Any] = deque()
    found: list[Any] = []

    def send(_):
        if not found:
            name = messages[0].channel
            named = board.load("ringlane.registry").named
            if name not in named:
                there = ", ".join(sorted(named)) or "none"
                raise BoardError(f"the firmware has no channel {name!r}; there are {there}")
            found.append(named[name])
        while due:  # two at one instant are one interrupt
            message = due.popleft()
            found[0].send(message.head, message.priority)

    source = Source(kernel, f"the replay of {path}", order=(4, 0))
    source.listen(send, None, True)
    start = kernel.now + int(after_ms * 1000) - (messages[0].us if messages else 0)

    def at(message):
        def ring():
            due.append(message)
            source.fire()

        kernel.at(start + message.us, ring)

    for message in messages:
        at(message)
    return len(messages)


__all__ = ["schedule"]
