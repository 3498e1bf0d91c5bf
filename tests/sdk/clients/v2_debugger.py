"""SDK v2 as course projects use Debugger and the profiler, cell by cell.

Usage: v2_debugger.py SOURCE_DIR BUCKET ROLE FOLDER; prints one JSON line at the end.
"""

# %% setup
import json
import os
import subprocess
import sys

import boto3
import sagemaker
from sagemaker.debugger import (
    CollectionConfig,
    DebuggerHookConfig,
    FrameworkProfile,
    ProfilerConfig,
    ProfilerRule,
    Rule,
    rule_configs,
)
from sagemaker.pytorch import PyTorch

source, bucket, role, folder = sys.argv[1:]
os.chdir(folder)
session = sagemaker.Session(default_bucket=bucket)
found = {}


def estimate(entry_point, **options):
    """Return an estimator of one of the scripts."""
    return PyTorch(
        entry_point=entry_point,
        source_dir=source,
        role=role,
        instance_count=1,
        instance_type="ml.m5.xlarge",
        framework_version="1.8",
        py_version="py36",
        sagemaker_session=session,
        **options,
    )


# %% rules, hook and profiler
rules = [
    Rule.sagemaker(rule_configs.vanishing_gradient()),
    Rule.sagemaker(rule_configs.overfit()),
    Rule.sagemaker(rule_configs.overtraining()),
    Rule.sagemaker(rule_configs.poor_weight_initialization()),
    Rule.sagemaker(
        rule_configs.loss_not_decreasing(),
        collections_to_save=[CollectionConfig(name="losses", parameters={"save_interval": "2"})],
        rule_parameters={"num_steps": "4"},
    ),
    ProfilerRule.sagemaker(rule_configs.LowGPUUtilization()),
    ProfilerRule.sagemaker(rule_configs.ProfilerReport()),
]
hook_config = DebuggerHookConfig(
    hook_parameters={"train.save_interval": "2", "eval.save_interval": "1"},
    collection_configs=[
        CollectionConfig(name="weights"),
        CollectionConfig(name="gradients", parameters={"save_interval": "2"}),
    ],
)
profiler_config = ProfilerConfig(
    system_monitor_interval_millis=500, framework_profile_params=FrameworkProfile(num_steps=10)
)
hooked = estimate(
    "train_model.py",
    base_job_name="dogs-debugged",
    hyperparameters={"epochs": 2, "batch-size": 8, "gpu": False},
    rules=rules,
    debugger_hook_config=hook_config,
    profiler_config=profiler_config,
)
# Defaults: nothing is said of Debugger or the profiler.
plain = estimate("plain_cnn.py", base_job_name="plain", hyperparameters={"epochs": 3})
without = estimate(
    "no_torch.py",
    base_job_name="no-torch",
    rules=[
        Rule.sagemaker(rule_configs.loss_not_decreasing()),
        ProfilerRule.sagemaker(rule_configs.ProfilerReport()),
    ],
)
hooked.fit(wait=False)
plain.fit(wait=False)
without.fit(wait=False)
found["at once"] = [
    rule["RuleEvaluationStatus"] for rule in hooked.latest_training_job.rule_job_summary()
]
found["live"] = {"name": without.latest_training_job.name}
found["live"]["profiler"] = session.describe_training_job(found["live"]["name"])["ProfilerConfig"]
print(json.dumps({"live": found["live"]["name"]}), flush=True)
for estimator in (hooked, plain, without):
    estimator.latest_training_job.wait(logs="All")

# %% what the rules found
found["rules"] = {}
for name, estimator in (("hooked", hooked), ("plain", plain), ("without", without)):
    found["rules"][name] = {
        rule["RuleConfigurationName"]: [
            rule["RuleEvaluationStatus"],
            rule.get("StatusDetails", ""),
            rule["RuleEvaluationJobArn"],
            str(rule["LastModifiedTime"]),
        ]
        for rule in estimator.latest_training_job.rule_job_summary()
    }
found["first"] = hooked.latest_training_job.rule_job_summary()[0]["RuleConfigurationName"]

# %% where things are
found["artifacts"] = {
    "hooked": hooked.latest_job_debugger_artifacts_path(),
    "plain": plain.latest_job_debugger_artifacts_path(),
    "profiler": hooked.latest_job_profiler_artifacts_path(),
}
found["jobs"] = {
    "hooked": hooked.latest_training_job.name,
    "plain": plain.latest_training_job.name,
    "without": without.latest_training_job.name,
}

# %% the profiler's report, as the notebooks fetch it
aws = os.path.join(os.path.dirname(sys.executable), "aws")
found["reports"] = {}
for name, estimator in (("hooked", hooked), ("without", without)):
    rule_output_path = (
        estimator.output_path + estimator.latest_training_job.job_name + "/rule-output"
    )
    listed = subprocess.check_output([aws, "s3", "ls", rule_output_path, "--recursive"], text=True)
    target = os.path.join(folder, name)
    subprocess.check_output([aws, "s3", "cp", rule_output_path, target, "--recursive"])
    profiler_report_name = [  # noqa: RUF015 - the very cell
        rule["RuleConfigurationName"]
        for rule in estimator.latest_training_job.rule_job_summary()
        if "Profiler" in rule["RuleConfigurationName"]
    ][0]
    page = os.path.join(target, profiler_report_name, "profiler-output", "profiler-report.html")
    with open(page, encoding="utf-8") as file:
        found["reports"][name] = {"listed": listed, "page": page, "head": file.read(200)}

# %% all of its output
s3 = boto3.client("s3")
found["keys"] = {}
for name, job in found["jobs"].items():
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=job + "/")
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    found["keys"][name] = [key.removeprefix(job + "/") for key in keys]
print("\n" + json.dumps(found))
