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
