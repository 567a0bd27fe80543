"""The application: settings, calls and legs, dialplan, run-time, records, command line."""

import os

# The engine's matrix products are small: with threads of its own, OpenBLAS spends more on waking them than they save,
# and takes other cores' time. numpy reads this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
