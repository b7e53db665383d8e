# For a firmware with ringlane frozen in: include("path/to/ringlane") in the board's manifest.

metadata(
    version="0.1.0",
    description="Allocation-free message channels from interrupt handlers to tasks",
    license="MIT",
)
package(
    "ringlane",
    files=[
        "__init__.py",
        "channel.py",
        "clock.py",
        "lanes.py",
        "latency.py",
        "priority.py",
        "report.py",
    ],
    base_path="..",
)
