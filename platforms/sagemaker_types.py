"""What SageMaker answers, by the types of boto3-stubs: for type checks; plain dicts as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import type_defs

    Container = type_defs.ContainerDefinitionOutputTypeDef
    EndpointConfig = type_defs.DescribeEndpointConfigOutputTypeDef
    Endpoint = type_defs.DescribeEndpointOutputTypeDef
    TuningJob = type_defs.DescribeHyperParameterTuningJobResponseTypeDef
    Model = type_defs.DescribeModelOutputTypeDef
    TrainingJob = type_defs.DescribeTrainingJobResponseTypeDef
    TransformJob = type_defs.DescribeTransformJobResponseTypeDef
    DescribedTrials = type_defs.HyperParameterTrainingJobDefinitionOutputTypeDef
    Trial = type_defs.HyperParameterTrainingJobSummaryTypeDef
    TuningObjective = type_defs.HyperParameterTuningJobObjectiveTypeDef
    ParameterRanges = type_defs.ParameterRangesOutputTypeDef
    ConfiguredVariant = type_defs.ProductionVariantOutputTypeDef
    ResourceConfig = type_defs.ResourceConfigOutputTypeDef
    Tag = type_defs.TagTypeDef
else:
    ConfiguredVariant = Container = DescribedTrials = Endpoint = EndpointConfig = dict[str, Any]
    Model = ParameterRanges = ResourceConfig = Tag = TrainingJob = TransformJob = dict[str, Any]
    Trial = TuningJob = TuningObjective = dict[str, Any]
