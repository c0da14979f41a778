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


def _search(piece, near):
    """Where these bytes may belong, within some megabytes; the nearest places first."""
    start = max(0, near - 64 * BLOCK)
    whole, found = at(start, 128 * BLOCK), []
    i = whole.find(piece)
    while i >= 0:
        found.append(start + i)
        i = whole.find(piece, i + 1)
    return sorted(found, key=lambda offset: abs(offset - near))[:8]


class Check:
    """Takes a received stream piece by piece."""

    def __init__(self):
        self.bytes, self.wrong_at, self.wrong, self.head = 0, None, None, b""

    def look(self, data, want):
        """The first place that is wrong: how far, what was there instead, and from where."""
        first = next(i for i, b in enumerate(data) if b != want[i])
        last = next((i for i in range(first, len(data) - 16) if data[i:i + 16] == want[i:i + 16]),
                    len(data))
        self.wrong_at = self.bytes + first
        if not self.wrong_at:
            return  # another stream altogether, as most of the tests send
        self.wrong = {"bytes": last - first, "piece_at": self.bytes, "piece_bytes": len(data),
                      "belongs_at": _search(data[first:min(last, first + 64)], self.wrong_at),
                      "hex": data[first:first + 32].hex()}

    def add(self, data):
        if len(self.head) < 64:
            self.head += data[:64 - len(self.head)]
        if self.wrong_at is None and data != at(self.bytes, len(data)):
            self.look(data, at(self.bytes, len(data)))
        self.bytes += len(data)

    def report(self):
        wrong = {"wrong": self.wrong} if self.wrong else {}
        return {"bytes": self.bytes, "wrong_at": self.wrong_at, **wrong,
                "text": self.head.decode("latin-1")}

