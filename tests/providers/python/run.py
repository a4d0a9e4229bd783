"""Every case, one after the other: a line for each that holds, and the reasons of those that do not."""

import sys

from against import prove
from cases import CASES

failed = False
for case in CASES:
    try:
        print(prove(case), flush=True)
    except AssertionError as e:
        print(e, file=sys.stderr)
        failed = True
sys.exit(failed)
