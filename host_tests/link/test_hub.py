"""The port beside a program's terminal: what its user gets."""

import os
import threading

from ringlane_host.link.hub import Hub

GOODBYE = b"goodbye"


class Said:
    """A program's wire: `said` is what it gives next."""

    name, careful_s, said = "here", 0.0, b""

    def read(self, timeout):
        """As ProgramWire.read."""
        return self.said

    def write(self, data):
        """As ProgramWire.write: a frame of the port's user has come."""
        self.said = GOODBYE


def test_the_ports_user_gets_what_came_last():
    got = []

    def use(port):
        user = os.open(port, os.O_RDWR | os.O_NOCTTY)
        os.write(user, b"\0frame\0")
        while b"".join(got) != GOODBYE and (came := os.read(user, 100)):
            got.append(came)
        os.close(user)

    for _ in range(100):  # as the kernel is often quick enough
        got.clear()
        wire = Said()
        with Hub(wire) as hub:
            user = threading.Thread(target=use, args=(hub.port,))
            user.start()
            while hub.turn(0) != GOODBYE:
                pass
        user.join(10)
        assert b"".join(got) == GOODBYE
