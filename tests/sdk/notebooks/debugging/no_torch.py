"""A stranger's script without torch: it counts for a while, long enough to be looked at."""

import os
import sys
import time

began = time.time()
total = 0
while time.time() - began < 12:
    total += sum(range(1000))
    time.sleep(0.01)
assert "torch" not in sys.modules
with open(os.path.join(os.environ["SM_MODEL_DIR"], "total.txt"), "w") as file:
    file.write(str(total))
