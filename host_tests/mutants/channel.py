"""What the tests must find broken in channel.py."""

MUTANTS = {
    "_capacities": {
        "a capacity of 0 is taken": ("capacity, 1, 65535", "capacity, 0, 65535"),
        "a capacity of 65536 is taken": ("capacity, 1, 65535", "capacity, 1, 65536"),
        "a capacity of 65535 is refused": ("capacity, 1, 65535", "capacity, 1, 65534"),
    },
}
