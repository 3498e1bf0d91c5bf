"""SDK v2 as course projects on dog breeds use it, cell by cell: tune, attach, train, deploy.

Usage: v2_dog_breeds.py SOURCE_DIR PICTURES BUCKET ROLE PICTURE; prints one JSON line at the end.
"""

# %% setup
import json
import os
import sys

import boto3
import sagemaker
from sagemaker.analytics import HyperparameterTuningJobAnalytics, TrainingJobAnalytics
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorch, PyTorchModel
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner

source, pictures, bucket, role, picture = sys.argv[1:]
os.chdir(source)
found = {}
sagemaker_session = sagemaker.Session(default_bucket=bucket)
region = sagemaker_session.boto_region_name
prefix = "sagemaker/dogImages"

# %% data
inputs = sagemaker_session.upload_data(path=pictures, bucket=bucket, key_prefix=prefix)
found["inputs"] = inputs
found["uploaded"] = len(sagemaker_session.list_s3_files(bucket, prefix))

# %% hyperparameter tuning
hyperparameter_ranges = {
    "lr": ContinuousParameter(0.001, 0.1),
    "batch-size": CategoricalParameter([2, 6]),
}
objective_metric_name = "average test loss"
metric_definitions = [
    {"Name": "average test loss", "Regex": "Test set: Average loss: ([0-9\\.]+)"},
    {"Name": "train loss", "Regex": "Loss: ([0-9\\.]+)"},
]
estimator = PyTorch(
    entry_point="hpo.py",
    source_dir="./",
    base_job_name="dog-pytorch",
    role=role,
    framework_version="1.8",
    instance_count=1,
    instance_type="ml.g4dn.xlarge",
    py_version="py36",
    sagemaker_session=sagemaker_session,
)
tuner = HyperparameterTuner(
    estimator,
    objective_metric_name,
    hyperparameter_ranges,
    metric_definitions,
    max_jobs=2,
    max_parallel_jobs=2,
    objective_type="Minimize",
)
tuner.fit({"training": inputs}, wait=True)
tuning_job_name = tuner.latest_tuning_job.name

# %% after a restart of the kernel
tuner = HyperparameterTuner.attach(tuning_job_name, sagemaker_session=sagemaker_session)
best_job = tuner.best_training_job()
best_estimator = tuner.best_estimator()
best = best_estimator.hyperparameters()
found["tuning"] = {
    "best": best_job,
    "hyperparameters": {key: best[key] for key in ("batch-size", "lr")},
    "reserved": "_tuning_objective_metric" in tuner.estimator.hyperparameters(),
    "ranges": sorted(tuner.hyperparameter_ranges_dict() or tuner._hyperparameter_ranges),
    "objective": [tuner.objective_metric_name, tuner.objective_type, tuner.max_jobs],
    "class": type(best_estimator).__name__,
    "status": tuner.describe()["HyperParameterTuningJobStatus"],
}
table = tuner.analytics().dataframe()
again = HyperparameterTuningJobAnalytics(tuning_job_name, sagemaker_session).dataframe()
found["analytics"] = {
    "rows": [len(table), len(again)],
    "columns": sorted(table.columns),
    "best": table.sort_values("FinalObjectiveValue").iloc[0]["TrainingJobName"],
    "ranges": tuner.analytics().tuning_ranges["lr"]["MaxValue"],
}
tuner.stop_tuning_job()

# %% training with the best hyperparameters
hyperparameters = {
    "batch-size": int(best["batch-size"].replace('"', "")),
    "lr": best["lr"],
    "epochs": 3,
}
estimator = PyTorch(
    entry_point="hpo.py",
    base_job_name="dog-best",
    role=role,
    framework_version="1.12",
    py_version="py38",
    instance_count=1,
    instance_type="ml.m5.xlarge",
    hyperparameters=hyperparameters,
    metric_definitions=metric_definitions,
    sagemaker_session=sagemaker_session,
)
estimator.fit({"training": inputs}, wait=False)
estimator.latest_training_job.wait(logs="Training")
job_name = estimator.latest_training_job.job_name
curves = estimator.training_job_analytics.dataframe()
one = TrainingJobAnalytics(
    job_name, metric_names=["train loss"], sagemaker_session=sagemaker_session, period=1
).dataframe()
found["training"] = {
    "name": job_name,
    "curves": curves.to_dict("records"),
    "fine": len(one),
    "metrics": {
        each["MetricName"]: each["Value"]
        for each in estimator.latest_training_job.describe()["FinalMetricDataList"]
    },
}
cloudwatch = boto3.client("cloudwatch")
listed = cloudwatch.list_metrics(
    Namespace="/aws/sagemaker/TrainingJobs",
    Dimensions=[{"Name": "TrainingJobName", "Value": job_name}],
)["Metrics"]
found["training"]["listed"] = sorted(each["MetricName"] for each in listed)

# %% deploying
jpeg_serializer = sagemaker.serializers.IdentitySerializer("image/jpeg")
json_deserializer = sagemaker.deserializers.JSONDeserializer()


class ImagePredictor(Predictor):
    """As the course's own."""

    def __init__(self, endpoint_name, sagemaker_session):
        super().__init__(
            endpoint_name,
            sagemaker_session=sagemaker_session,
            serializer=jpeg_serializer,
            deserializer=json_deserializer,
        )


pytorch_model = PyTorchModel(
    model_data=estimator.model_data,
    role=role,
    entry_point="inference.py",
    py_version="py36",
    framework_version="1.8",
    predictor_cls=ImagePredictor,
    sagemaker_session=sagemaker_session,
)
predictor = pytorch_model.deploy(initial_instance_count=1, instance_type="ml.m5.large")
try:
    with open(picture, "rb") as f:
        payload = f.read()
    found["predictions"] = [
        predictor.predict(payload, initial_args={"ContentType": "image/jpeg"}),
        Predictor(predictor.endpoint_name, sagemaker_session)
        .predict(payload, initial_args={"ContentType": "image/jpeg", "Accept": "application/json"})
        .decode(),
        predictor.predict(
            json.dumps({"colour": [20, 200, 40]}),
            initial_args={"ContentType": "application/json"},
        ),
    ]
    runtime = boto3.Session().client("sagemaker-runtime")
    response = runtime.invoke_endpoint(
        EndpointName=predictor.endpoint_name, ContentType="image/jpeg", Body=payload
    )
    found["predictions"].append(json.loads(response["Body"].read().decode("utf-8")))
    found["content_type"] = response["ContentType"]
finally:
    predictor.delete_endpoint()
    pytorch_model.delete_model()

# %% deploying what is attached to
attached = HyperparameterTuner.attach(tuning_job_name, sagemaker_session=sagemaker_session)
deployed = attached.deploy(
    initial_instance_count=1,
    instance_type="ml.t2.medium",
    entry_point="inference.py",
    serializer=jpeg_serializer,
    deserializer=json_deserializer,
)
try:
    found["of the best"] = deployed.predict(payload)
finally:
    deployed.delete_model()
    deployed.delete_endpoint()
found["left"] = sagemaker_session.sagemaker_client.list_endpoints()["Endpoints"]
print("\n" + json.dumps(found, default=str))
