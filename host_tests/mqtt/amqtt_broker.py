"""amqtt, as a process: amqtt_broker.py PORT [USER:PASSWORD | CERTIFICATE KEY]."""

import asyncio
import sys

from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin

_PLUGINS = "amqtt.plugins.authentication"


class Only(BaseAuthPlugin):
    """Lets in who gives the user name and password of the command line."""

    async def authenticate(self, *, session):
        return f"{session.username}:{session.password}" == sys.argv[2]


async def main(port, *rest):
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}"}
    plugins = {f"{_PLUGINS}.AnonymousAuthPlugin": {"allow_anonymous": True}}
    if len(rest) == 1:
        plugins = {"__main__.Only": {}}
    elif rest:
        listener |= {"ssl": True, "certfile": rest[0], "keyfile": rest[1]}
    broker = Broker({"listeners": {"default": listener}, "plugins": plugins})
    await broker.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
