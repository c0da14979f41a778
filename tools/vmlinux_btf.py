#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Takes the BTF out of an uncompressed kernel image, as boot/vmlinuz of Debian's arm64 packages is.

Usage: vmlinux_btf.py IMAGE > BTF
"""
import struct
import sys

HEADER = struct.pack("<HBBI", 0xEB9F, 1, 0, 24)  # magic, version, flags, header length
SMALLEST = 1 << 20  # a kernel's; modules and programs have less


def find(image):
    at = image.find(HEADER)
    while at >= 0:
        types_at, types, strings_at, strings = struct.unpack_from("<IIII", image, at + 8)
        end = at + len(HEADER) + 16 + strings_at + strings
        if types_at == 0 and strings_at == types >= SMALLEST and end <= len(image):
            return image[at:end]
        at = image.find(HEADER, at + 1)
    return None


def main():
    with open(sys.argv[1], "rb") as f:
        btf = find(f.read())
    if btf is None:
        sys.exit("vmlinux_btf: no BTF in it; is it compressed?")
    sys.stdout.buffer.write(btf)


if __name__ == "__main__":
    main()
