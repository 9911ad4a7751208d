#!/bin/sh
# ray 2.60.0: a pool of actors that takes all CPUs of a cluster waits for rows that no task can read.
#
# Ray Data reads Parquet with a task that lists the files, and tasks need a CPU each. An actor pool reserves its CPUs when
# it starts and keeps them, so with as many actors of one CPU as there are CPUs, the listing task never runs. Nothing
# fails: after a minute there is a warning that resources are "not enough to run any task from ActorPoolMapOperator", which
# is the one operator that has all of them. With 0.5 CPUs for an actor the same program reads its 400 rows in seconds.
# Seen: 400 rows after 14 s; no row after 100 s.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'ray[data]==2.60.0' pyarrow==26.0.1 numpy==2.4.6
cat > "$folder/label.py" <<'PYTHON'
import logging
import os
import sys
import threading
import time

import pyarrow
import pyarrow.parquet
import ray

PATIENCE = 100  # seconds
folder, cpus = sys.argv[1], float(sys.argv[2])
os.makedirs(folder, exist_ok=True)
for number in range(4):
    pyarrow.parquet.write_table(pyarrow.table({"n": list(range(100))}), f"{folder}/{number}.parquet")
ray.init(num_cpus=2, object_store_memory=150 << 20, include_dashboard=False, logging_level=logging.ERROR)


class Same:
    def __call__(self, batch):
        return batch


def give_up():
    print(f"{cpus} CPUs an actor: no row after {PATIENCE} s", flush=True)
    os._exit(0)


rows = ray.data.read_parquet(folder).map_batches(Same, compute=ray.data.ActorPoolStrategy(size=2), num_cpus=cpus)
timer = threading.Timer(PATIENCE, give_up)
timer.start()
started = time.time()
count = sum(len(batch["n"]) for batch in rows.iter_batches())
timer.cancel()
print(f"{cpus} CPUs an actor: {count} rows after {time.time() - started:.0f} s", flush=True)
PYTHON
export RAY_USAGE_STATS_ENABLED=0
half=$("$folder/venv/bin/python" "$folder/label.py" "$folder/data" 0.5 | grep 'CPUs an actor')
whole=$("$folder/venv/bin/python" "$folder/label.py" "$folder/data" 1 | grep 'CPUs an actor')
printf '%s\n%s\n' "$half" "$whole"
case "$half/$whole" in
*"400 rows"*/*"no row"*) ;;
*) echo "the behaviour has changed" && exit 1 ;;
esac
