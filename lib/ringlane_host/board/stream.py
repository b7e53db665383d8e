"""asyncio's streams, of a UART, say, as loop.py has the rest."""

from .faults import NotSimulated
from .parking import Pause

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's


def make(core):
    """Return {name: what asyncio has by that name}."""

    class Stream:
        """StreamReader and StreamWriter: of a UART, say."""

        def __init__(self, s, e=None):
            self.s = s
            self.e = e or {}
            self.out_buf = b""

        def get_extra_info(self, v):
            return self.e[v]

        def close(self):
            pass

        async def wait_closed(self):
            self.s.close()

        async def _readable(self):
            core._io_queue.queue_read(self.s)
            await Pause()

        async def read(self, n=-1):
            found = b""
            while True:
                await self._readable()
                part = self.s.read(n)
                if part is not None:
                    if n >= 0:
                        return part
                    if not part:
                        return found
                    found += part
                elif found:
                    return found

        async def readinto(self, buf):
            await self._readable()
            return self.s.readinto(buf)

        async def readexactly(self, n):
            found = b""
            while n:
                await self._readable()
                part = self.s.read(n)
                if part is not None:
                    if not part:
                        raise EOFError
                    found += part
                    n -= len(part)
            return found

        async def readline(self):
            found = b""
            while True:
                await self._readable()
                part = self.s.readline()
                if part is None:
                    continue
                found += part
                if not part or found[-1] == 10:
                    return found

        def write(self, buf):
            self.out_buf += buf

        async def drain(self):
            if not self.out_buf:
                await core.sleep_ms(0)
            while self.out_buf:
                core._io_queue.queue_write(self.s)
                await Pause()
                count = self.s.write(self.out_buf)
                self.out_buf = self.out_buf[count or 0 :]

    def no_network(name):
        def refuse(*args, **keywords):
            raise NotSimulated(f"asyncio.{name}: there is no network on a simulated board")

        return refuse

    networks = {name: no_network(name) for name in ("open_connection", "start_server")}
    return {"StreamReader": Stream, "StreamWriter": Stream, **networks}


__all__ = ["make"]
