"""What the tests must find broken in latency.py."""

MUTANTS = {
    "summarise": {
        "the average is rounded down once too often": ("if rest >= count:", "if rest > count:"),
        "the value of the last rank is left out": (
            "half = count - (count >> 1)",
            "half = count >> 1",
        ),
    },
}
