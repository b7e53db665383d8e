"""What a receiving verb returns: the receiver's own list, which its next call writes anew."""

from typing import Any

from .faults import ResultReused

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_VERBS = ("recv", "recv_word", "recv_request", "recv_response", "peek")


class Results:
    """The lists that receivers have handed out."""

    def __init__(self, kernel):
        self._kernel = kernel
        self._current = {}  # id(list): (list, how often it was handed out)

    def of(self, function):
        """Return whether that viper function hands out its receiver's list."""
        return (function.__module__ or "").startswith("ringlane.") and function.__name__ in _VERBS

    def hand_out(self, items, verb):
        """Return `items` as the firmware gets it: it is seen when an old one is read."""
        count = self._current.get(id(items), (items, 0))[1] + 1
        self._current[id(items)] = items, count
        made = self._kernel.place()

        def read():
            if self._current[id(items)][1] != count:
                place = self._kernel.place()
                self._kernel.fault_once(
                    ResultReused,
                    place,
                    f"{place} reads what {verb} returned at {made}, after the receiver's next "
                    f"{verb}, which writes into the same list: unpack it at once, before any "
                    "await, or keep tuple(m)",
                )
            return items

        return Result(items, read)


class Result(list[Any]):
    """A receiver's list as the firmware has it: what is in it is what is in that one now."""

    def __init__(self, items, read):
        super().__init__(items)
        self._read = read

    def __getitem__(self, place):
        return self._read()[place]

    def __iter__(self):
        return iter(self._read())

    def __eq__(self, other):
        return self._read() == other

    __hash__ = None

    def __repr__(self):
        return repr(self._read())


__all__ = ["Results"]
