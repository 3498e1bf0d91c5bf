"""What SageMaker is asked, by the types of boto3-stubs: for type checks; plain dicts as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import (
        ProductionVariantInstanceTypeType as HostingInstanceType,
    )
    from mypy_boto3_sagemaker.literals import TrainingInstanceTypeType as TrainingInstanceType
    from mypy_boto3_sagemaker.literals import TransformInstanceTypeType as TransformInstanceType
    from mypy_boto3_sagemaker.type_defs import (
        AlgorithmSpecificationTypeDef as AlgorithmSpecification,
    )
    from mypy_boto3_sagemaker.type_defs import AsyncInferenceConfigTypeDef as AsyncInferenceConfig
    from mypy_boto3_sagemaker.type_defs import (
        AsyncInferenceOutputConfigTypeDef as AsyncInferenceOutput,
    )
    from mypy_boto3_sagemaker.type_defs import (
        CategoricalParameterRangeTypeDef as RequestedChoice,
    )
    from mypy_boto3_sagemaker.type_defs import ChannelTypeDef as Channel
    from mypy_boto3_sagemaker.type_defs import ContinuousParameterRangeTypeDef as RequestedRange
    from mypy_boto3_sagemaker.type_defs import (
        CreateEndpointConfigInputTypeDef as EndpointConfigRequest,
    )
    from mypy_boto3_sagemaker.type_defs import CreateEndpointInputTypeDef as EndpointRequest
    from mypy_boto3_sagemaker.type_defs import (
        CreateHyperParameterTuningJobRequestTypeDef as TuningRequest,
    )
    from mypy_boto3_sagemaker.type_defs import CreateModelInputTypeDef as ModelRequest
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef as TrainingRequest
    from mypy_boto3_sagemaker.type_defs import CreateTransformJobRequestTypeDef as TransformRequest
    from mypy_boto3_sagemaker.type_defs import DebugHookConfigTypeDef as DebugHook
    from mypy_boto3_sagemaker.type_defs import (
        HyperParameterTrainingJobDefinitionTypeDef as TrialDefinition,
    )
    from mypy_boto3_sagemaker.type_defs import (
        HyperParameterTuningJobConfigTypeDef as TuningConfig,
    )
    from mypy_boto3_sagemaker.type_defs import (
        HyperParameterTuningJobWarmStartConfigTypeDef as WarmStart,
    )
    from mypy_boto3_sagemaker.type_defs import OutputDataConfigTypeDef as OutputData
    from mypy_boto3_sagemaker.type_defs import ParameterRangesTypeDef as RequestedRanges
    from mypy_boto3_sagemaker.type_defs import (
        ProductionVariantServerlessConfigTypeDef as ServerlessConfig,
    )
    from mypy_boto3_sagemaker.type_defs import ProductionVariantTypeDef as ProductionVariant
    from mypy_boto3_sagemaker.type_defs import ResourceConfigTypeDef as RequestedResources
    from mypy_boto3_sagemaker.type_defs import StoppingConditionTypeDef as StoppingCondition
    from mypy_boto3_sagemaker.type_defs import TransformOutputTypeDef as TransformOutput
    from mypy_boto3_sagemaker.type_defs import TransformResourcesTypeDef as TransformResources
    from mypy_boto3_sagemaker.type_defs import VpcConfigTypeDef as VpcConfig

    AnyRequest = (
        TuningRequest | TrainingRequest | ModelRequest | EndpointConfigRequest | EndpointRequest
    )
else:
    HostingInstanceType = TrainingInstanceType = TransformInstanceType = str
    AlgorithmSpecification = AsyncInferenceConfig = AsyncInferenceOutput = Channel = dict[str, Any]
    RequestedChoice = RequestedRange = WarmStart = dict[str, Any]
    DebugHook = OutputData = ProductionVariant = RequestedRanges = dict[str, Any]
    RequestedResources = ServerlessConfig = StoppingCondition = TransformOutput = dict[str, Any]
    TransformResources = TrialDefinition = TuningConfig = VpcConfig = dict[str, Any]
    EndpointConfigRequest = EndpointRequest = ModelRequest = TrainingRequest = dict[str, Any]
    TransformRequest = TuningRequest = AnyRequest = dict[str, Any]

__all__ = [
    "AlgorithmSpecification",
    "AnyRequest",
    "AsyncInferenceConfig",
    "AsyncInferenceOutput",
    "Channel",
    "DebugHook",
    "EndpointConfigRequest",
    "EndpointRequest",
    "HostingInstanceType",
    "ModelRequest",
    "OutputData",
    "ProductionVariant",
    "RequestedChoice",
    "RequestedRange",
    "RequestedRanges",
    "RequestedResources",
    "ServerlessConfig",
    "StoppingCondition",
    "TrainingInstanceType",
    "TrainingRequest",
    "TransformInstanceType",
    "TransformOutput",
    "TransformRequest",
    "TransformResources",
    "TrialDefinition",
    "TuningConfig",
    "TuningRequest",
    "VpcConfig",
    "WarmStart",
]
