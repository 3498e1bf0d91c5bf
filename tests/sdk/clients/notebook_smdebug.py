"""smdebug in a notebook, over what jobs left: run in an environment that has it.

Usage: notebook_smdebug.py trial PATH | job NAME REGION; prints one JSON line at the end.
"""

import importlib.util
import json
import os
import sys
import time
import warnings
from unittest.mock import MagicMock

INNER = {
    "bokeh": ("", ".io", ".layouts", ".models", ".models.glyphs", ".models.widgets", ".plotting"),
    "IPython": ("", ".display"),
}

os.environ["SMDEBUG_LOG_LEVEL"] = "error"
warnings.simplefilter("ignore")

kind, *rest = sys.argv[1:]
found = {}

if kind == "trial":
    from smdebug.core.modes import ModeKeys
    from smdebug.trials import create_trial

    began = time.time()
    trial = create_trial(rest[0])
    found["names"] = trial.tensor_names()
    found["steps"] = {
        mode.name: len(trial.steps(mode=mode)) for mode in (ModeKeys.TRAIN, ModeKeys.EVAL)
    }
    found["global"] = len(trial.steps())
    name = next(iter(trial.tensor_names(regex="CrossEntropyLoss_output")))
    tensor = trial.tensor(name)
    found["losses"] = [float(tensor.value(step)) for step in tensor.steps()]
    found["train"] = len(tensor.steps(mode=ModeKeys.TRAIN))
    found["collections"] = sorted(trial.collections())
    found["ended"] = trial.loaded_all_steps
    found["seconds"] = time.time() - began
else:
    # It draws, and whatever draws is imported with everything else; nothing is drawn here.
    for module in ("bokeh", "IPython"):
        if importlib.util.find_spec(module) is None:
            for name in (f"{module}{inner}" for inner in INNER[module]):
                sys.modules[name] = MagicMock()
    from smdebug.profiler.analysis.notebook_utils.training_job import TrainingJob

    began = time.time()
    tj = TrainingJob(rest[0], rest[1])
    tj.wait_for_sys_profiling_data_to_be_available()
    found["waited"] = time.time() - began
    found["status"] = tj.describe_training_job()["TrainingJobStatus"]
    reader = tj.get_systems_metrics_reader()
    reader.refresh_event_file_list()
    last = reader.get_timestamp_of_latest_available_file()
    events = reader.get_events(0, last + 60_000_000)
    found["kinds"] = sorted({(event.type, event.dimension) for event in events})
    found["events"] = len(events)
    found["nodes"] = sorted({event.node_id for event in events})
    if "framework" in rest:
        tj.wait_for_framework_profiling_data_to_be_available()
        frames = tj.get_framework_metrics_reader()
        frames.refresh_event_file_list()
        last = frames.get_timestamp_of_latest_available_file()
        found["framework"] = sorted(
            {event.event_phase for event in frames.get_events(0, last + 60_000_000)}
        )
print("\n" + json.dumps(found))
