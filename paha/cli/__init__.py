"""The command line: one file a verb."""

import os

# Before numpy is imported: of our small matrices OpenBLAS's threads wait, spinning, for longer than they reckon. A
# quarter of an evaluation's CPU went there.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
