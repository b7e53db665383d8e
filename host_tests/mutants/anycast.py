"""What the tests must find broken in anycast.py."""

MUTANTS = {
    "choose": {
        "the load is this sender's alone": (
            "first = other - step + _LANE_BYTES",
            "first = other = int(lane)",
        ),
        "of equal loads the last is chosen": ("if load < least:", "if load <= least:"),
        "a full receiver of the sender's core is the only choice": (
            "if used < (room & 0xFFFF):",
            "if room & 0xFFFF:",
        ),
        "every sender is on the first core": ("elif room >> 24 != core:", "elif room >> 24:"),
        "a register's address that is below 0 is a core": ("core < 0 or ", ""),
        "of two equal ones the first is chosen": ("at = part[_TURN]", "at = 0"),
        "one place is not looked at": ("while left:", "while left > 1:"),
        "at the wrap a full receiver has room": (
            "            if used < 0:\n                used += lane[",
            "            if 0:\n                used += lane[",
        ),
        "a full receiver may be chosen": (
            "if used < (room & 0xFFFF):",
            "if used <= (room & 0xFFFF) and room & 0xFFFF:",
        ),
        "the core and the epoch count as room": ("if used < (room & 0xFFFF):", "if used < room:"),
        "LEAST_LOADED goes by the core": ("if policy == _LEAST_LOADED:", "if 0:"),
        "every policy but RANDOM goes by the load": (
            "if policy == _LEAST_LOADED:",
            "if policy != _RANDOM:",
        ),
        "the mark of a reused place is a byte of the way": (
            "(lane[_REST] & ~_STALE)",
            "lane[_REST]",
        ),
        "the load is also that of the place before": (
            "first = other - step + _LANE_BYTES",
            "first = other - step",
        ),
        "the load is not the first sender's": (
            "first = other - step + _LANE_BYTES",
            "first = other - step + _LANE_BYTES + _LANE_BYTES",
        ),
        "the load is not the last sender's": ("while first <= other:", "while first < other:"),
        "at the wrap a load is below 0": (
            "if used < 0:\n                            used += its[",
            "if 0:\n                            used += its[",
        ),
        "the load is one sender's": ("load += used", "load = used"),
        "RANDOM goes by the core": ("elif policy == _RANDOM:", "elif 0:"),
        "RANDOM counts one": ("count += 1", "count = 1"),
        "RANDOM draws the same number again": ("                    part[_SEED] = seed\n", ""),
        "RANDOM takes the last": ("if (seed >> 16) * count >> 14:", "if 0:"),
        "RANDOM takes the first": ("if (seed >> 16) * count >> 14:", "if count > 1:"),
        "RANDOM takes the first half the time": (
            "if (seed >> 16) * count >> 14:",
            "if count > 1 and seed >> 29:",
        ),
        "AFFINITY_FIRST prefers the other cores": (
            "elif room >> 24 != core:",
            "elif room >> 24 == core:",
        ),
        "the epoch is part of the core": ("elif room >> 24 != core:", "elif room >> 16 != core:"),
        "the last place is not chosen": ("if at == places:", "if at >= places - 1:"),
    },
    "AnycastSender": {
        "every sender chooses for the first": ("_sender_at(number)", "_sender_at(0)"),
    },
    "AnycastReceiver.pending": {
        "counts what was received too": ("return len(self)", "return len(self) + self.received"),
    },
    "AnycastReceiver.processed": {
        "counts what is queued too": ("return self.received", "return self.received + len(self)"),
    },
    "AnycastReceiver.load_factor": {
        "is above 1 where there are several senders": (" * self._channel.senders", ""),
    },
    "AnycastChannel.__init__": {
        "another slot_size by default": ("slot_size=32", "slot_size=16"),
        "other max_receivers by default": ("max_receivers=4", "max_receivers=3"),
        "other senders by default": ("senders=1", "senders=2"),
        "statistics by default": ("stats=False", "stats=True"),
        "a policy of 0 is taken": ("policy, ROUND_ROBIN,", "policy, 0,"),
        "a policy of 5 is taken": (", AFFINITY_FIRST)", ", 5)"),
        "every sender draws the same numbers": (" ^ number * 0x9E3779", ""),
        "a sender does not look where it runs": ('_CPUID if sys.platform == "rp2" else 0', "0"),
        "a sender looks for a register where there is none": (
            '_CPUID if sys.platform == "rp2" else 0',
            "_CPUID",
        ),
    },
    "AnycastChannel._free": {
        "there is room of a class that does not exist": ("if priority is not None:", "if 0:"),
        "room must be asked for by class": ("if priority is not None:", "if 1:"),
        "another sender's room counts": ("Fanout._free(self, number,", "Fanout._free(self, 0,"),
    },
    "AnycastChannel.add_sender": {
        "the core is not checked": (
            "if core is not None:\n            whole",
            "if 0:\n            whole",
        ),
        "there must be a core": (
            "if core is not None:\n            whole",
            "if 1:\n            whole",
        ),
        "a core below 0 is taken": ("core, 0, _CORES_MAX - 1", "core, -1, _CORES_MAX - 1"),
        "a core of 64 is taken": ("core, 0, _CORES_MAX - 1", "core, 0, _CORES_MAX"),
        "a sender is taken before its core is checked": [
            ("        sender = Fanout.add_sender(self)\n", ""),
            (
                "        if core is not None:\n            whole",
                "        sender = Fanout.add_sender(self)\n"
                "        if core is not None:\n            whole",
            ),
        ],
        "core 0 is wherever it runs": (
            "if core is not None:\n            word",
            "if core:\n            word",
        ),
        "the core is not stored": (
            "if core is not None:\n            word",
            "if 0:\n            word",
        ),
        "the first sender moves to that core": ("_sender_at(sender._number)", "_sender_at(0)"),
    },
    "AnycastChannel.add_receiver": {
        "another core by default": ("core=0", "core=1"),
        "a core below 0 is taken": ("core, 0, _CORES_MAX - 1", "core, -1, _CORES_MAX - 1"),
        "a core of 64 is taken": ("core, 0, _CORES_MAX - 1", "core, 0, _CORES_MAX"),
        "the name is not passed on": ("self._add(name,", "self._add(None,"),
        "there is room for one": ("self._add(name, self.capacity,", "self._add(name, 1,"),
    },
}
