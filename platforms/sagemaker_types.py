"""What SageMaker answers, by the types of boto3-stubs: for type checks; plain dicts as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ContainerDefinitionOutputTypeDef as Container
    from mypy_boto3_sagemaker.type_defs import (
        DescribeEndpointConfigOutputTypeDef as EndpointConfig,
    )
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef as Endpoint
    from mypy_boto3_sagemaker.type_defs import (
        DescribeHyperParameterTuningJobResponseTypeDef as TuningJob,
    )
    from mypy_boto3_sagemaker.type_defs import DescribeModelOutputTypeDef as Model
    from mypy_boto3_sagemaker.type_defs import DescribeTrainingJobResponseTypeDef as TrainingJob
    from mypy_boto3_sagemaker.type_defs import DescribeTransformJobResponseTypeDef as TransformJob
    from mypy_boto3_sagemaker.type_defs import (
        HyperParameterTrainingJobDefinitionOutputTypeDef as DescribedTrials,
    )
    from mypy_boto3_sagemaker.type_defs import HyperParameterTrainingJobSummaryTypeDef as Trial
    from mypy_boto3_sagemaker.type_defs import (
        HyperParameterTuningJobObjectiveTypeDef as TuningObjective,
    )
    from mypy_boto3_sagemaker.type_defs import ParameterRangesOutputTypeDef as ParameterRanges
    from mypy_boto3_sagemaker.type_defs import (
        ProductionVariantOutputTypeDef as ConfiguredVariant,
    )
    from mypy_boto3_sagemaker.type_defs import ResourceConfigOutputTypeDef as ResourceConfig
    from mypy_boto3_sagemaker.type_defs import TagTypeDef as Tag
else:
    ConfiguredVariant = Container = DescribedTrials = Endpoint = EndpointConfig = dict[str, Any]
    Model = ParameterRanges = ResourceConfig = Tag = TrainingJob = TransformJob = dict[str, Any]
    Trial = TuningJob = TuningObjective = dict[str, Any]

__all__ = [
    "ConfiguredVariant",
    "Container",
    "DescribedTrials",
    "Endpoint",
    "EndpointConfig",
    "Model",
    "ParameterRanges",
    "ResourceConfig",
    "Tag",
    "TrainingJob",
    "TransformJob",
    "Trial",
    "TuningJob",
    "TuningObjective",
]
