"""What the tests must find broken in report.py."""

MUTANTS = {
    "report": {
        "channels come in any order": ("sorted(named)", "reversed(sorted(named))"),
        "a wide cell breaks its column": ("max(len(row[column])", "min(len(row[column])"),
        "a number is under another heading": (
            "zip(widths[2:], row[2:])",
            "zip(widths[2:], row[3:])",
        ),
    },
    "_rows": {
        "each line has the sums of its channel": ("_counters(place)", "_counters(None)"),
    },
}
