"""What importing ringlane costs in RAM, and a channel. Import this one first."""

import gc
import json


def footprint():
    """Print the bytes as a JSON object."""
    gc.collect()
    before = gc.mem_alloc()
    from ringlane import PriorityChannel

    gc.collect()
    imported = gc.mem_alloc()
    first = PriorityChannel(16)  # which imports what a handler may need
    gc.collect()
    made = gc.mem_alloc()
    further = PriorityChannel(16)
    gc.collect()
    figures = {
        "import": imported - before,
        "first": made - imported,
        "channel": gc.mem_alloc() - made,
        "memory": further.memory(16),
    }
    assert first is not further
    print(json.dumps(figures))


# The arguments of a channel of each pattern, which it shares with memory() if named so there.
_ARGUMENTS = {
    "MulticastChannel": {"capacity": 8},
    "AnycastChannel": {"capacity": 8, "policy": 1},
    "RequestReplyChannel": {"capacity": 8},
}


def pattern(name):
    """Print what `name` takes after PriorityChannel has been imported; "waiting": a first wait.

    And what a channel of that pattern takes, without receivers, and its memory() says.

    asyncio is not ringlane's: where a pattern uses it, it has been imported before.
    """
    import asyncio  # noqa: F401

    import ringlane
    from ringlane import PriorityChannel  # noqa: F401

    gc.collect()
    before = gc.mem_alloc()
    if name == "waiting":
        import ringlane.waiting
    else:
        kind = getattr(ringlane, name)
    gc.collect()
    imported = gc.mem_alloc()
    result = {"name": name, "import": imported - before}
    if name != "waiting":
        arguments = _ARGUMENTS[name]
        channel = kind(**arguments)
        gc.collect()
        result["channel"] = gc.mem_alloc() - imported
        result["memory"] = channel.memory(arguments["capacity"])
    print(json.dumps(result))
