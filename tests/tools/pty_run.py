#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A command on a terminal of its own: pty_run.py ROWS COLS REGEX KEYS CMD...

Waits (10 s) until REGEX matches what the command wrote, sends KEYS (escapes such as \\x03 allowed;
"-SIGNAL" sends that signal instead), waits (10 s) for the end. Writes to stdout what the command
wrote; a last line says "status N" and whether the terminal was left as it was found.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time


def main():
    rows, cols, regex, keys = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    before = termios.tcgetattr(slave)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        os.execvp(sys.argv[5], sys.argv[5:])
    output, sent, status = b"", False, None
    deadline = time.monotonic() + 10
    while status is None and time.monotonic() < deadline:
        if select.select([master], [], [], 0.05)[0]:
            output += os.read(master, 65536)
        if not sent and re.search(regex.encode(), output, re.S):
            sent, deadline = True, time.monotonic() + 10
            if keys.startswith("-"):
                os.kill(pid, getattr(signal, keys[1:]))
            else:
                os.write(master, keys.encode().decode("unicode_escape").encode())
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(code)
    while select.select([master], [], [], 0)[0]:
        output += os.read(master, 65536)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        status = "none (killed)"
    same = termios.tcgetattr(slave) == before
    sys.stdout.buffer.write(output)
    print("\nmatched %s status %s terminal %s" % (sent, status, "restored" if same else "SPOILT"))


main()
