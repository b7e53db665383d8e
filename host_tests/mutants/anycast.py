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
    },
}
