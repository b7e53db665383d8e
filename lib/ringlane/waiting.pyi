from collections.abc import Awaitable, Callable, Coroutine
from io import IOBase
from typing import Any, Literal, TypeAlias, TypeVar, overload

from .fanout import FanoutSender
from .lanes import Receiver, Sender, _Buffer, _Message, _Receiving

_A = TypeVar("_A", bound=_Receiving)
_B = TypeVar("_B", bound=_Receiving)
_C = TypeVar("_C", bound=_Receiving)

# The ioctl of a stream.
_Look: TypeAlias = Callable[[int, int], int]

# As a stream, for asyncio and select.poll, it reads nothing.
class Waiter(IOBase):
    deadline: int | None
    ioctl: _Look

    def __init__(self, look: _Look | None, timeout_ms: int | None = None) -> None: ...
    def is_late(self) -> bool: ...
    def take(self) -> Waiter: ...
    def block(self, deadline: int | None) -> None: ...
    def send(self, value: object) -> None: ...

def make_look(end: _Receiving) -> _Look: ...
def pause(waiter: Waiter) -> Awaitable[None]: ...
def ready(end: _Receiving, timeout_ms: int | None) -> Coroutine[Any, Any, bool | None]: ...
def arecv(
    end: _Receiving, buf: _Buffer, timeout_ms: int | None
) -> Coroutine[Any, Any, list[int] | Literal[False] | None]: ...
def arecv_word(
    end: Receiver, timeout_ms: int | None
) -> Coroutine[Any, Any, list[int] | Literal[False] | None]: ...
def recv_wait(
    end: _Receiving, buf: _Buffer, timeout_ms: int | None
) -> list[int] | Literal[False] | None: ...
async def asend(
    sender: Sender | FanoutSender, data: _Message, priority: int, timeout_ms: int | None
) -> int: ...

# False: all are closed and drained. None comes of a time-out only. Ends of more types than three:
# their common type.
@overload
async def select(a: _A, b: _B, /, *, timeout_ms: None = None) -> _A | _B | Literal[False]: ...
@overload
async def select(
    a: _A, b: _B, /, *, timeout_ms: int | None
) -> _A | _B | Literal[False] | None: ...
@overload
async def select(
    a: _A, b: _B, c: _C, /, *, timeout_ms: None = None
) -> _A | _B | _C | Literal[False]: ...
@overload
async def select(
    a: _A, b: _B, c: _C, /, *, timeout_ms: int | None
) -> _A | _B | _C | Literal[False] | None: ...
@overload
async def select(*ends: _A, timeout_ms: None = None) -> _A | Literal[False]: ...
@overload
async def select(*ends: _A, timeout_ms: int | None) -> _A | Literal[False] | None: ...
