"""channels(), those that have a name: imported when the first one is made."""

import micropython

named = {}  # name -> channel that is open


def channels():
    """Return the open channels that have a name, in the order of their names: a list.

    A name used again stands for the newer channel. Context: a task; it allocates.
    """
    found = [named.get(name) for name in sorted(named)]
    return [each for each in found if each is not None and not each.closed]


def register(channel):
    """Name the channel in report(), and forget those that are closed."""
    for name in list(named):
        if named[name].closed:
            del named[name]
    named[channel.name] = channel


def forget(name):
    """Let the channel of that name, which is closed, leave report() soon. Allocates nothing."""
    try:
        # Not here, as a hard handler may interrupt whoever else uses the dictionary.
        # By its name: the scheduler keeps what it has passed until its queue comes round.
        micropython.schedule(_forget, name)
    except RuntimeError:
        pass  # the scheduler's queue is full: the next channel with a name forgets it


def _forget(name):
    if name in named and named[name].closed:
        del named[name]
