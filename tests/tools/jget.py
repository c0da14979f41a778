#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""jget.py EXPR: evaluates EXPR over d, the JSON on stdin, and prints it: strings bare, the rest as
JSON. jget.py --lines NAME EXPR: JSON lines on stdin, a list called NAME."""
import json
import sys

args = sys.argv[1:]
if args[0] == "--lines":
    scope = {args[1]: [json.loads(line) for line in sys.stdin if line.endswith("\n")]}
else:
    scope = {"d": json.load(sys.stdin)}
try:
    value = eval("(%s)" % args[-1], scope)
except (KeyError, IndexError, TypeError) as e:
    print("%s in %s" % (type(e).__name__, e))
    sys.exit(1)
print(value if isinstance(value, str) else json.dumps(value))
