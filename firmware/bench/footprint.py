"""What importing ringlane costs in RAM, and a channel beside its block. Import this one first."""

import gc
import json


def footprint():
    """Print the bytes as a JSON object."""
    gc.collect()
    before = gc.mem_alloc()
    from ringlane import PriorityChannel

    gc.collect()
    imported = gc.mem_alloc()
    channel = PriorityChannel(16)
    gc.collect()
    objects = gc.mem_alloc() - imported - channel.memory(16)
    print(json.dumps({"import": imported - before, "channel": objects}))


def pattern(name):
    """Print what `name` takes after PriorityChannel has been imported; "waiting": a first wait.

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
        getattr(ringlane, name)
    gc.collect()
    print(json.dumps({"name": name, "import": gc.mem_alloc() - before}))
