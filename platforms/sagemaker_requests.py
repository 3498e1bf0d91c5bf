"""What SageMaker is asked, by the types of boto3-stubs: for type checks; plain dicts as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import literals, type_defs

    HostingInstanceType = literals.ProductionVariantInstanceTypeType
    TrainingInstanceType = literals.TrainingInstanceTypeType
    TransformInstanceType = literals.TransformInstanceTypeType
    AlgorithmSpecification = type_defs.AlgorithmSpecificationTypeDef
    AsyncInferenceConfig = type_defs.AsyncInferenceConfigTypeDef
    AsyncInferenceOutput = type_defs.AsyncInferenceOutputConfigTypeDef
    RequestedChoice = type_defs.CategoricalParameterRangeTypeDef
    Channel = type_defs.ChannelTypeDef
    RequestedRange = type_defs.ContinuousParameterRangeTypeDef
    EndpointConfigRequest = type_defs.CreateEndpointConfigInputTypeDef
    EndpointRequest = type_defs.CreateEndpointInputTypeDef
    TuningRequest = type_defs.CreateHyperParameterTuningJobRequestTypeDef
    ModelRequest = type_defs.CreateModelInputTypeDef
    TrainingRequest = type_defs.CreateTrainingJobRequestTypeDef
    TransformRequest = type_defs.CreateTransformJobRequestTypeDef
    DebugHook = type_defs.DebugHookConfigTypeDef
    TrialDefinition = type_defs.HyperParameterTrainingJobDefinitionTypeDef
    TuningConfig = type_defs.HyperParameterTuningJobConfigTypeDef
    WarmStart = type_defs.HyperParameterTuningJobWarmStartConfigTypeDef
    OutputData = type_defs.OutputDataConfigTypeDef
    RequestedRanges = type_defs.ParameterRangesTypeDef
    ServerlessConfig = type_defs.ProductionVariantServerlessConfigTypeDef
    ProductionVariant = type_defs.ProductionVariantTypeDef
    RequestedResources = type_defs.ResourceConfigTypeDef
    StoppingCondition = type_defs.StoppingConditionTypeDef
    TransformOutput = type_defs.TransformOutputTypeDef
    TransformResources = type_defs.TransformResourcesTypeDef
    VpcConfig = type_defs.VpcConfigTypeDef
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
