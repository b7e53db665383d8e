"""Runs the scenarios of device/*_tasks.py, on CPython and on MicroPython.

Such a scenario is an async function without arguments whose name does not begin with "_". What it
returns is a note to be printed.
"""

import asyncio
import gc
import sys

from harness import MICROPYTHON, PATIENCE_MS


def run(module, names):
    """Run the module's scenarios of these names: a line each, the name, then ok or the error."""
    for name in names:
        gc.collect()
        if MICROPYTHON:
            asyncio.new_event_loop()  # nothing of the scenario before is left
        try:
            note = asyncio.run(_within_patience(getattr(module, name)()))
        except Exception as error:
            print(name, "failed")
            sys.print_exception(error)
        else:
            print(name, "ok", note or "")


async def _within_patience(scenario):
    return await asyncio.wait_for_ms(scenario, PATIENCE_MS)
