#!/usr/bin/env python3
"""Carries frames between two interfaces, late and with losses: relay.py IF_A IF_B DELAY_MS LOSS_PERCENT

Stands in for the kernel's netem, which not every kernel has. Order is kept. Senders must compute
their checksums themselves (ethtool -K IF tx off), or the frames that pass here are refused.
"""

import collections
import random
import select
import signal
import socket
import sys
import time


def opened(name):
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    frames.bind((name, 0))
    frames.setblocking(False)
    return frames


def main():
    delay, loss = float(sys.argv[3]) / 1000, float(sys.argv[4]) / 100
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    dice = random.Random(1)
    sides = [opened(name) for name in sys.argv[1:3]]
    late = collections.deque()
    while True:
        wait = max(0, late[0][0] - time.monotonic()) if late else None
        for side in select.select(sides, [], [], wait)[0]:
            try:
                frame, sender = side.recvfrom(1 << 16)
            except BlockingIOError:
                continue
            if sender[2] == socket.PACKET_OUTGOING or dice.random() < loss:
                continue
            other = sides[1 - sides.index(side)]
            late.append((time.monotonic() + delay, other, frame))
        while late and late[0][0] <= time.monotonic():
            _, other, frame = late.popleft()
            try:
                other.send(frame)
            except OSError:
                pass  # The interface is gone or its queue full: lost, like any other frame.


main()
