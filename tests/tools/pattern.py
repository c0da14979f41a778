# SPDX-License-Identifier: BSD-2-Clause
"""A byte stream both ends can compute at any offset, in which no two blocks are alike: bytes lost,
doubled or swapped show at once, and where, which a hash of the whole would not tell."""
import random
import struct

BLOCK = 65536
_base = random.Random(8803).randbytes(2 * BLOCK)


def _block(i):
    at = (i * 4099) % BLOCK
    return struct.pack(">Q", i) + _base[at:at + BLOCK - 8]


def at(offset, n):
    first, skip = divmod(offset, BLOCK)
    if skip + n <= BLOCK:
        return _block(first)[skip:skip + n]
    blocks = range(first, (offset + n + BLOCK - 1) // BLOCK)
    return b"".join(_block(i) for i in blocks)[skip:skip + n]


class Check:
    """Takes a received stream piece by piece."""

    def __init__(self):
        self.bytes, self.wrong_at, self.head = 0, None, b""

    def add(self, data):
        if len(self.head) < 64:
            self.head += data[:64 - len(self.head)]
        if self.wrong_at is None and data != at(self.bytes, len(data)):
            want = at(self.bytes, len(data))
            self.wrong_at = self.bytes + next(i for i, b in enumerate(data) if b != want[i])
        self.bytes += len(data)

    def report(self):
        return {"bytes": self.bytes, "text": self.head.decode("latin-1"),
                "wrong_at": self.wrong_at}

