# SPDX-License-Identifier: BSD-2-Clause
"""What steering must never do, counted: the end-to-end tests that assert that it is none say how many
of how many there were."""
import os
import re
import subprocess

from net import BenchError

# part: what its test counts
PARTS = {"drain": "sessions broken by the drain",
         "failure": "sessions broken by another proxy's failure",
         "joins": "joins at the wrong proxy"}
PATIENCE_S = 115
SAID = re.compile(r"^# (.*): (\d+) of (\d+)$", re.M)
FAILED = re.compile(r"^not ok .*|^Bail out!.*", re.M)


def measure(part, root, build, say, refuse):
    test = os.path.join(root, "tests", "e2e", "test_steer_%s.sh" % part)
    running = subprocess.Popen([test], env={**os.environ, "BUILD": build}, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        got = running.communicate(timeout=PATIENCE_S)[0]
    except subprocess.TimeoutExpired:
        raise BenchError("%s: not within %d s" % (test, PATIENCE_S))
    finally:
        if running.poll() is None:
            running.terminate()  # it takes its network away
            running.wait(20)
    counted = {what: (int(n), int(of)) for what, n, of in SAID.findall(got)}
    for line in FAILED.findall(got):
        refuse(part, line)
    if PARTS[part] not in counted:
        refuse(part, "no figure")
        return None
    n, of = counted[PARTS[part]]
    say("  %s: %d of %d", PARTS[part], n, of)
    return {"what": PARTS[part], "count": n, "of": of}
