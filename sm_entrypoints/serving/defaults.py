"""The handlers that a program may leave out: those of SageMaker's PyTorch image.

Facts: ``default_pytorch_inference_handler`` of ``sagemaker-pytorch-inference`` 2.0.25. Where that
answers, these answer with the same bytes. Torch is imported when a default is first called:
programs of other frameworks bring their own handlers and may have no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.serving.accept import media_type
from sm_entrypoints.serving.payloads import TEXT_TYPES, PayloadError, read_array, write_answer

if TYPE_CHECKING:
    import torch

MODEL_FILE = "model.pt"
MODEL_SUFFIXES = (".pt", ".pth")


class ModelFileError(Exception):
    """Raised when there is no model that the default ``model_fn`` can load; says which it takes."""


def default_model_fn(model_dir: str) -> Any:
    """Load ``model.pt``, or the only ``.pt`` or ``.pth`` file, as TorchScript.

    Raises:
        ModelFileError: no such file, several, or not TorchScript.
    """
    import torch

    folder = Path(model_dir)
    path = folder / MODEL_FILE
    if not path.exists():
        models = sorted(
            file.name
            for file in folder.iterdir()
            if file.suffix in MODEL_SUFFIXES and file.is_file()
        )
        if len(models) != 1:
            raise ModelFileError(
                f"Exactly one .pth or .pt file is required for PyTorch models: {models}"
            )
        path = folder / models[0]
    device = _device()
    try:
        return torch.jit.load(str(path), map_location=device).to(device)
    except RuntimeError as error:
        raise ModelFileError(
            f"Failed to load {path}. Please ensure model is saved using torchscript."
        ) from error


def default_input_fn(data: bytes | str, content_type: str | None) -> torch.Tensor:
    """Return the numbers of a body as a tensor on the device: float32 of JSON and CSV.

    Raises:
        PayloadError: 415 another type, 400 a body that is not a tensor.
    """
    import torch

    array = read_array(data, content_type)
    try:
        if media_type(content_type) not in TEXT_TYPES:
            return torch.from_numpy(array).to(_device())
        if array.ndim == 0 and array.dtype.names is None:
            # The toolkit's torch.FloatTensor(5) is five numbers that were never set.
            raise PayloadError(400, f"The body is a single value: write a list, [{array}].")
        return torch.FloatTensor(array).to(_device())
    except (TypeError, ValueError) as error:
        kind = media_type(content_type)
        raise PayloadError(
            400,
            f"The body cannot be made a tensor of numbers ({kind}): {ended(error)}"
            + _mixed(array.dtype.names),
        ) from error


def _mixed(columns: Any) -> str:
    if not columns:
        return ""
    return " The columns of the CSV are of several types: write 2.0 instead of 2 in all of them."


def default_predict_fn(data: Any, model: Any) -> Any:
    """Call a model, in evaluation mode, on the device, without gradients.

    Raises:
        TypeError: data or model is nothing that PyTorch moves to a device.
    """
    import torch

    device = _device()
    for value, source in ((model, "model_fn"), (data, "input_fn")):
        if not hasattr(value, "to"):
            raise TypeError(
                f"the default predict_fn calls model.to(device), model.eval() and "
                f"model(data.to(device)), but {source} returned {type(value).__name__}: return a "
                f"{'torch.nn.Module' if source == 'model_fn' else 'torch.Tensor'}, or define "
                "predict_fn"
            )
    with torch.no_grad():
        model = model.to(device)
        on_device = data.to(device)
        model.eval()
        return model(on_device)


def default_output_fn(prediction: Any, accept: str) -> tuple[bytes | str, str]:
    """Return a prediction as the most welcome of JSON, CSV and NPY.

    Raises:
        PayloadError: 406, none is accepted, or the prediction is nothing that it can hold.
    """
    import torch

    if type(prediction) is torch.Tensor:
        prediction = prediction.detach().cpu().tolist()
    return write_answer(prediction, accept)


def _device() -> torch.device:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
