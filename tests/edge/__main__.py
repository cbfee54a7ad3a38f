"""`python -m tests.edge --seeds 10000`: run histories of programs, and print what they came to."""

import argparse
import sys
import time

from tests.edge.history import Broken, History

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--first", type=int, default=0, help="the first seed")
parser.add_argument("--seeds", type=int, default=10_000, help="how many")
options = parser.parse_args()

broken = takes = alarms = 0
began = time.process_time()
for seed in range(options.first, options.first + options.seeds):
    history = History(seed)
    try:
        history.run()
    except Broken as error:
        broken += 1
        print(error)
    takes, alarms = takes + history.takes, alarms + history.alarms
print(f"{options.seeds} histories, {broken} broken, {time.process_time() - began:.0f} s of processor time")
print(f"careful programs were asked {alarms} times for {takes} writes")
sys.exit(broken > 0)
