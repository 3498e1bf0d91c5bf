"""SDK v2, unmodified: an estimator trains, a tuner tunes, a model is deployed and predicts.

Usage: train_v2.py SOURCE_DIR DATA_URI BUCKET ROLE PICTURE; prints one JSON line at the end.
"""

import json
import sys
from pathlib import Path

import boto3
from sagemaker.deserializers import JSONDeserializer
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorch, PyTorchModel
from sagemaker.serializers import IdentitySerializer
from sagemaker.session import Session
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner

source, data, bucket, role, picture = sys.argv[1:]
# For a bucket of its own choice it would ask STS at AWS's own address, whatever the variables say.
session = Session(default_bucket=bucket)
common = {
    "entry_point": "train.py",
    "source_dir": source,
    "role": role,
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "framework_version": "2.6.0",
    "py_version": "py312",
    "sagemaker_session": session,
    "metric_definitions": [{"Name": "valid_loss", "Regex": r"valid_loss=([0-9.]+);"}],
}
found = {}

estimator = PyTorch(**common, hyperparameters={"epochs": 2, "optimizer": "ad am"})
estimator.fit({"train": data}, logs="All")
described = session.describe_training_job(estimator.latest_training_job.name)
found["training"] = {
    "name": described["TrainingJobName"],
    "status": described["TrainingJobStatus"],
    "metrics": {each["MetricName"]: each["Value"] for each in described["FinalMetricDataList"]},
    "model_data": estimator.model_data,
    "again": PyTorch.attach(described["TrainingJobName"], session).hyperparameters()["epochs"],
}

tuner = HyperparameterTuner(
    PyTorch(**common, hyperparameters={"epochs": 1}),
    objective_metric_name="valid_loss",
    objective_type="Minimize",
    hyperparameter_ranges={
        "bias": ContinuousParameter(1.0, 100.0),
        "optimizer": CategoricalParameter(["sgd", "adam"]),
    },
    metric_definitions=common["metric_definitions"],
    strategy="Random",
    max_jobs=2,
    max_parallel_jobs=2,
    base_tuning_job_name="colours",
)
tuner.fit({"train": data})
best = tuner.best_training_job()
found["tuning"] = {
    "status": tuner.describe()["HyperParameterTuningJobStatus"],
    "best": best,
    "biases": {
        each["TrainingJobName"]: each["TunedHyperParameters"]["bias"]
        for each in session.sagemaker_client.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=tuner.latest_tuning_job.name
        )["TrainingJobSummaries"]
    },
    "rows": len(tuner.analytics().dataframe()),
}

model = PyTorchModel(
    model_data=estimator.model_data,
    role=role,
    entry_point="inference.py",
    source_dir=source,
    framework_version="2.6.0",
    py_version="py312",
    sagemaker_session=session,
)
predictor = model.deploy(1, "ml.m5.xlarge", endpoint_name="colours")
try:
    asking = Predictor("colours", session, IdentitySerializer("image/jpeg"), JSONDeserializer())
    found["prediction"] = asking.predict(Path(picture).read_bytes())
finally:
    predictor.delete_endpoint(delete_endpoint_config=True)
    model.delete_model()
found["left"] = boto3.client("sagemaker").list_endpoints()["Endpoints"]
# What waiting printed may not have ended its line.
print("\n" + json.dumps(found))
