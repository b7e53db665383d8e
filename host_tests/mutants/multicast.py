"""What the tests must find broken in multicast.py."""

MUTANTS = {
    "lag": {
        "counts what was received too": ("return len(self)", "return len(self) + self.received"),
    },
    "dropped": {
        "what an earlier one missed is among it": (" - self._dropped_before", ""),
    },
    "skip_to_latest": {
        "counts what was for an earlier receiver": (
            "range(self._own() - 1)",
            "range(len(self) - 1)",
        ),
        "once closed it finds nothing": (
            "        self._next_lane()"
            "  # drops what an earlier receiver was sent; once closed it raises\n",
            "",
        ),
        "drops the newest too": ("range(self._own() - 1)", "range(self._own())"),
        "drops one": ("range(self._own() - 1)", "range(1 if self._own() > 1 else 0)"),
        "tells of one": ("count += self.skip()", "count = self.skip()"),
    },
    "MulticastChannel.__init__": {
        "another slot_size by default": ("slot_size=32", "slot_size=16"),
        "other max_receivers by default": ("max_receivers=4", "max_receivers=3"),
        "other senders by default": ("senders=1", "senders=2"),
        "statistics by default": ("stats=False", "stats=True"),
        "a wrong capacity is a wrong max_lag": (
            "        self._capacities(capacity, max_receivers)\n",
            "",
        ),
        "without max_lag it is 1": ("capacity if max_lag is None", "1 if max_lag is None"),
        "a max_lag of 0 is taken": ("max_lag, 1, capacity)", "max_lag, 0, capacity)"),
        "a max_lag above the capacity is taken": (
            "max_lag, 1, capacity)",
            "max_lag, 1, capacity + 1)",
        ),
        "max_lag is not heeded": (
            'capacity if max_lag is None else whole("max_lag"',
            'capacity if whole("max_lag", max_lag or 1, 1, capacity) else whole("max_lag"',
        ),
        "one receiver gets a message": ("self, capacity, 0, slot", "self, capacity, 1, slot"),
    },
    "_free": {
        "there is room of a class that does not exist": ("if priority is not None:", "if 0:"),
        "room must be asked for by class": ("if priority is not None:", "if 1:"),
        "a place without a receiver has no room": [
            ("for end in self._ends:", "for place in range(self.max_receivers):"),
            ("if end is not None:", "if 1:"),
            ("end.id", "place"),
        ],
        "no receiver has more room than the channel's max_lag": (
            "free = self.capacity",
            "free = self.max_lag",
        ),
        "the last receiver's room counts": ("min(free, self._room", "min(9**9, self._room"),
        "another sender's room counts": ("self._header(number,", "self._header(0,"),
    },
    "add_receiver": {
        "a receiver without a max_lag may lag by the capacity": (
            "self.max_lag if max_lag is None",
            "self.capacity if max_lag is None",
        ),
        "a receiver's own max_lag is not heeded": (
            "self.max_lag if max_lag is None",
            'self.max_lag if max_lag is None or whole("max_lag", max_lag, 1, self.capacity)',
        ),
        "a max_lag of 0 is taken": ("max_lag, 1, self.capacity)", "max_lag, 0, self.capacity)"),
        "a max_lag above the capacity is taken": (
            "max_lag, 1, self.capacity)",
            "max_lag, 1, self.capacity + 1)",
        ),
        "the name is not passed on": ("self._add(name,", "self._add(None,"),
    },
}
