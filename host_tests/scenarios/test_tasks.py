"""Tasks that wait, call and serve: device/*_tasks.py as they are on each kind of machine."""

import asyncio
import importlib
import re

import pytest
from ringlane import RequestReplyChannel
from scenarios import anew, names, once, sets

SETS = sets("tasks")
EACH = [(module, name) for module in SETS for name in names(module)]


def program(module, only):
    return f"import tasks, {module}\ntasks.run({module}, {only})"


def check(printed):
    """Check what one scenario has printed after its name; print it: it may have a note."""
    assert re.fullmatch(r"ok .*\n", printed), printed
    print(printed)


@pytest.fixture(scope="module")
def on_rp2040(pico, request):
    return once(anew(pico), request, program)


def test_the_scenarios_are_found():
    assert len(SETS) == 2 and len(EACH) > 60
    for module in SETS:
        assert len(names(module)) > 10, module


@pytest.mark.parametrize("module, name", EACH)
def test_on_cpython(device, capsys, module, name):
    importlib.import_module("tasks").run(importlib.import_module(module), [name])
    check(capsys.readouterr().out.removeprefix(name).lstrip())


@pytest.mark.parametrize("module, name", EACH)
def test_on_micropython(micropython, module, name):
    # Each by itself: one that hangs or leaves a task behind does no harm to the others.
    check(micropython(program(module, [name])).removeprefix(name).lstrip())


@pytest.mark.parametrize("module, name", EACH)
def test_on_an_emulated_rp2040(on_rp2040, module, name):
    check(on_rp2040(module).get(name, "did not run"))


def test_a_call_and_its_reply_each_wake_the_other_core():
    rpc = RequestReplyChannel(2, slot_size=4)
    wakes = []
    rpc.notify = lambda: wakes.append(rpc.pending)

    async def ask():
        served = asyncio.create_task(rpc.serve(lambda request: b"yes"))
        await rpc.call(b"1", bytearray(4), 2000)
        rpc.close()
        await served

    asyncio.run(ask())
    assert wakes == [1, 1]
