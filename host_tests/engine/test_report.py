"""What report() prints: the same on CPython and on MicroPython."""

import subprocess
import sys

from conftest import PACKAGE

PROGRAM = """
{imports}
from ringlane import *

bus = PriorityChannel((12345, 1, 2, 0, 1), 4, 2, "bus")
second = bus.add_sender()
second.send_word(1, HIGH)
second.send_word(2, HIGH)
bus.send_word(3, REALTIME)
bus.send_word(4, REALTIME)
bus.send(b"12345", NORMAL)
bus.recv_word()

Channel(3, name="axle").send_word(1, LOW)
Channel(3)  # without a name

news = MulticastChannel(2, None, 4, 3, 1, "news")
screen, disk = news.add_receiver("screen"), news.add_receiver()
for number in range(3):
    news.send_word(number, LOW)
screen.recv_word()
news.add_receiver("gone").close()

rpc = RequestReplyChannel(4, name="rpc")
RequestReplyChannel(4)
last = rpc.send_request(bytes(33))
for _ in range(6):
    last = rpc.send_request(b"x") or last
rpc.send_response(last, bytes(33))
report()
"""
PRINTED = """\
channel  lane      capacity  queued  sent  received  dropped  rejected  high water
axle     -                3       1     1         0        0         0           1
bus      REALTIME     12345       1     2         1        0         0           2
bus      HIGH             1       1     1         0        1         0           1
bus      NORMAL           2       0     0         0        0         1           0
bus      BULK             1       0     0         0        0         0           0
news     -                2       3     4         1        2         0           2
news     screen           2       1     2         1        1         -           -
news     1                2       2     2         0        1         -           -
rpc      -                4       4     4         0        2         2           4
"""


def test_it_lists_every_named_channel_on_micropython(micropython):
    assert micropython(PROGRAM.format(imports="")) == PRINTED


def test_it_lists_every_named_channel_on_cpython():
    program = PROGRAM.format(imports="import ringlane_host.simulate")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert done.stdout == PRINTED, done.stdout + done.stderr
