# For a firmware with ringlane frozen in: include("path/to/ringlane") in the board's manifest.

metadata(
    version="0.2.0",
    description="Allocation-free message channels from interrupt handlers to tasks",
    license="MIT",
)
package(
    "ringlane",
    files=[
        "__init__.py",
        "anycast.py",
        "channel.py",
        "checks.py",
        "clock.py",
        "cold.py",
        "constants.py",
        "cpu_clock.py",
        "drain.py",
        "ends.py",
        "fanout.py",
        "guard.py",
        "lanes.py",
        "latency.py",
        "multicast.py",
        "oldest.py",
        "port.py",
        "priority.py",
        "queue.py",
        "report.py",
        "request_reply.py",
        "trigger.py",
        "verbs.py",
        "waiting.py",
        "zero_copy.py",
    ],
    base_path="..",
)
