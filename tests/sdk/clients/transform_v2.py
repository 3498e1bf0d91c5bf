"""SDK v2: label all objects below a prefix, as notebooks on batch transform do.

Usage: transform_v2.py SOURCE_DIR PICTURES BUCKET ROLE; prints one JSON line at the end.
"""

import json
import sys

import sagemaker
from sagemaker.pytorch import PyTorch, PyTorchModel
from sagemaker.transformer import Transformer

source, pictures, bucket, role = sys.argv[1:]
session = sagemaker.Session(default_bucket=bucket)

# %% a model that was trained here
estimator = PyTorch(
    entry_point="train.py",
    source_dir=source,
    role=role,
    framework_version="1.12",
    py_version="py38",
    instance_count=1,
    instance_type="ml.m5.xlarge",
    hyperparameters={"epochs": 1, "optimizer": "adam"},
    sagemaker_session=session,
)
estimator.fit({"train": pictures}, logs=False)

# %% label everything
model = PyTorchModel(
    model_data=estimator.model_data,
    role=role,
    entry_point="inference.py",
    source_dir=source,
    framework_version="1.12",
    py_version="py38",
    sagemaker_session=session,
)
transformer = model.transformer(
    instance_count=1,
    instance_type="ml.m5.xlarge",
    output_path=f"s3://{bucket}/labels",
    strategy="SingleRecord",
    accept="application/json",
    max_payload=6,
)
transformer.transform(pictures, content_type="image/jpeg", wait=True, logs=True)
name = transformer.latest_transform_job.name

# %% after a restart of the kernel
again = Transformer.attach(name, sagemaker_session=session)
keys = sorted(session.list_s3_files(bucket, "labels"))
described = session.sagemaker_client.describe_transform_job(TransformJobName=name)
first = session.read_s3_file(bucket, keys[0])
transformer.delete_model()
print(
    json.dumps(
        {
            "status": described["TransformJobStatus"],
            "keys": keys,
            "first": json.loads(first),
            "attached": [again.output_path, again.accept],
            "models": session.sagemaker_client.list_models()["Models"],
        }
    )
)
