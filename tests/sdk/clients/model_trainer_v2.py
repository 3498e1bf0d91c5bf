"""SDK v2's ModelTrainer: an entry script, then a command that fails.

Usage: model_trainer_v2.py SOURCE_DIR PICTURES BUCKET ROLE; prints one JSON line at the end.
"""

import json
import sys

from sagemaker.modules import Session
from sagemaker.modules.configs import Compute, InputData, SourceCode
from sagemaker.modules.train import ModelTrainer

source, pictures, bucket, role = sys.argv[1:]
IMAGE = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.0.0-cpu-py310"
session = Session(default_bucket=bucket)
common = {
    "training_image": IMAGE,
    "compute": Compute(instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=30),
    "role": role,
    "sagemaker_session": session,
}
found = {}

trainer = ModelTrainer(
    **common,
    source_code=SourceCode(source_dir=source, entry_script="hpo.py"),
    hyperparameters={"lr": 0.01, "batch-size": 2, "epochs": 2},
    base_job_name="trainer-v2",
)
inputs = [InputData(channel_name="training", data_source=pictures)]
trainer.train(input_data_config=inputs, wait=True, logs=True)
job = trainer._latest_training_job
found["script"] = [job.training_job_status, job.model_artifacts.s3_model_artifacts]

trainer = ModelTrainer(
    **common,
    source_code=SourceCode(source_dir=source, command="python hpo.py --epochs none"),
    base_job_name="fails-v2",
)
try:
    trainer.train(input_data_config=inputs, wait=True, logs=False)
except Exception as error:  # noqa: BLE001 - each SDK has its own
    found["command"] = str(error)
print("\n" + json.dumps(found))
