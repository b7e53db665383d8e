"""What the tests must find broken in priority.py."""

MUTANTS = {
    "": {
        "HIGH is not 1": ("\nHIGH = 1\n", "\nHIGH = 2\n"),
        "two names of classes change places": ('"LOW", "BULK")', '"BULK", "LOW")'),
    },
    "PriorityClass": {
        "a class has another number than its name": ("LOW = LOW", "LOW = BULK"),
    },
    "PriorityChannel": {
        "nothing is counted by class": ("_by_class = True", "_by_class = False"),
    },
    "_rows": {
        "a class of capacity 0 is in the report": (" if self._places[i]", ""),
        "a class of the report is another's line": ("self._places[i], i)", "self._places[i], 4)"),
    },
    "_capacities": {
        "a capacity for each class must be a tuple": ("(tuple, list)", "tuple"),
        "a capacity for each class is no int": (
            "if isinstance(capacity, (tuple, list)):",
            "if 0:",
        ),
        "four capacities are five": ("len(capacity) != 5", "len(capacity) < 4"),
        "six capacities are five": ("len(capacity) != 5", "len(capacity) < 5"),
        "a class without capacity is refused": ("each, 0, 65535", "each, 1, 65535"),
        "a class of capacity -1 is taken": ("each, 0, 65535", "each, -1, 65535"),
        "a class of capacity 65536 is taken": ("each, 0, 65535", "each, 0, 65536"),
        "a channel without any capacity is taken": ("if not any(capacities):", "if 0:"),
        "a capacity of 0 is taken": ("capacity, 1, 65535", "capacity, 0, 65535"),
        "a capacity of 65536 is taken": ("capacity, 1, 65535", "capacity, 1, 65536"),
    },
}
