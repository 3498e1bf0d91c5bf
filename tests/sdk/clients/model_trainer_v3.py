"""SDK v3's ModelTrainer: an entry script, a command, and what CloudWatch knows of them.

Usage: model_trainer_v3.py SOURCE_DIR PICTURES BUCKET ROLE; prints one JSON line at the end.
"""

import json
import sys

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.train import ModelTrainer

source, pictures, bucket, role = sys.argv[1:]
IMAGE = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.0.0-cpu-py310"
session = Session(default_bucket=bucket)
common = {
    "training_image": IMAGE,
    "compute": Compute(instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=30),
    "role": role,
    "sagemaker_session": session,
}
inputs = [InputData(channel_name="training", data_source=pictures)]
found = {}

trainer = ModelTrainer(
    **common,
    source_code=SourceCode(source_dir=source, entry_script="hpo.py"),
    hyperparameters={"lr": 0.01, "batch-size": 2, "epochs": 2},
    base_job_name="trainer-v3",
)
trainer.train(input_data_config=inputs, wait=True, logs=True)
job = trainer._latest_training_job
found["script"] = [job.training_job_status, job.model_artifacts.s3_model_artifacts]

trainer = ModelTrainer(
    **common,
    source_code=SourceCode(
        source_dir=source, command="python hpo.py --epochs 1 --lr 0.1 --batch-size 6"
    ),
    base_job_name="command-v3",
)
trainer.train(input_data_config=inputs, wait=True, logs=False)
job = trainer._latest_training_job
found["command"] = [job.training_job_status, job.model_artifacts.s3_model_artifacts]

sagemaker = boto3.client("sagemaker")
answer = sagemaker.search(
    Resource="TrainingJob",
    SearchExpression={
        "Filters": [
            {"Name": "TrainingJobName", "Operator": "Contains", "Value": "-v3-"},
            {"Name": "TrainingJobStatus", "Operator": "Equals", "Value": "Completed"},
        ]
    },
    SortBy="CreationTime",
)
found["searched"] = [
    each["TrainingJob"]["TrainingJobName"].rsplit("-", 1)[0] for each in answer["Results"]
]
print("\n" + json.dumps(found))
