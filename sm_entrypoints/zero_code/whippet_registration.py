"""Register a script's model and losses with smdebug's hook, whether or not the script asks.

smdebug puts hooks into every module, where they are pickled, copied and compiled with the model.
PyTorch's global hooks do the same from outside, so the model stays as the script made it.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from whippet_zero_code import contained

# A main module with this name brings its own hook, as Whippet's own train.py does.
OWN_HOOK = "BRINGS_ITS_OWN_HOOK"
_LOSSES = "losses"


class Registration:
    """What is known of the modules of this process; one object a process."""

    def __init__(self) -> None:
        self._torch: Any = None
        self._hook: Any = None
        self._pid = os.getpid()
        self._handles: list[Any] = []
        # Identities, for as long as the modules live: folds of a cross-validation come and go.
        self._models: set[int] = set()
        self._layers: set[int] = set()
        self._wants_layers = False
        self._asked_for_one = False
        self._originals: dict[str, Callable[..., Any]] = {}
        self._off = False

    def watch(self, torch: Any) -> None:
        """Look at every call of a module from now on."""
        self._torch = torch
        if multiprocessing.parent_process() is not None:  # a worker of a data loader
            return
        # A compiled model is left alone, and its user has put no global hooks anywhere.
        warnings.filterwarnings(
            "ignore", message=r"Using `torch\.compile\(module\)` when there are"
        )
        module = torch.nn.modules.module
        self._handles = [
            module.register_module_forward_pre_hook(self._before),
            module.register_module_forward_hook(self._after),
        ]

    def adapt(self, hook_class: Any) -> None:
        """Let smdebug's ``register_module`` and ``register_loss`` do as we do."""
        self._originals = {
            name: getattr(hook_class, name) for name in ("register_module", "register_loss")
        }
        hook_class.register_module = lambda hook, module: self._asked(hook, module)
        hook_class.register_loss = lambda hook, module: self._asked_loss(hook, module)
        hook_class._make_numpy_array = staticmethod(
            _with_every_type(hook_class._make_numpy_array, self._torch)
        )

    def _asked(self, hook: Any, module: Any) -> None:
        """Register the module that the script names; a second time changes nothing."""
        if self._stands_aside() or not isinstance(module, self._torch.nn.Module):
            self._originals["register_module"](hook, module)
        elif id(module) not in self._models:
            self._asked_for_one = True
            self._contain(self._register, hook, module)

    def _asked_loss(self, hook: Any, module: Any) -> None:
        """Note the script's loss: every loss is observed anyway."""
        if self._stands_aside() or not self._is_loss(module):
            self._originals["register_loss"](hook, module)  # says what is wrong with it
        else:
            self._hook = hook
            hook.has_registered_loss_module = True

    def _stands_aside(self) -> bool:
        return not self._handles or self._off or _brings_its_own()

    def _before(self, module: Any, inputs: Any) -> None:
        # Called for every layer: what is usual is decided first.
        if self._models and id(module) not in self._models:
            return
        if self._is_elsewhere():
            return
        if not self._models and self._is_model(module):
            self._contain(self._find_model, module)
        if id(module) in self._models:
            self._contain(self._step, module, inputs)

    def _after(self, module: Any, inputs: Any, outputs: Any) -> None:
        identity = id(module)
        if identity in self._layers:
            if not self._wants_layers and identity not in self._models:
                return
            if not self._is_elsewhere():
                self._contain(self._layer, module, inputs, outputs)
        elif self._models and self._is_loss(module) and not self._is_elsewhere():
            self._contain(self._loss, module, inputs, outputs)

    def _is_elsewhere(self) -> bool:
        """Tell whether this call is none of the training's: in a loader's worker, or recorded."""
        torch = self._torch
        return bool(
            self._off
            or os.getpid() != self._pid
            or torch.jit.is_tracing()
            or torch.compiler.is_compiling()
            or (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())
        )

    def _is_model(self, module: Any) -> bool:
        """Tell whether this call is that of a whole model: the first that has something to learn.

        Transforms of pictures are modules too, and a loss may have parameters.
        """
        if self._is_loss(module) or not isinstance(module, self._torch.nn.Module):
            return False
        if isinstance(module, self._torch.jit.ScriptModule):
            return False
        return any(parameter.requires_grad for parameter in module.parameters())

    def _is_loss(self, module: Any) -> bool:
        return isinstance(module, self._torch.nn.modules.loss._Loss)

    def _find_model(self, module: Any) -> None:
        """Register the first model that is called, unless the script did or brings its own."""
        if _brings_its_own():
            self._stop()
        elif type(module).__name__ == "OptimizedModule":
            self._stop()
            print(
                "Debugger's hook cannot look into a compiled model: no tensors are saved.",
                flush=True,
            )
        else:
            hook = self._hook or _make_hook()
            if hook is None or self._asked_for_one:
                self._stop()
                return
            self._register(hook, module)

    def _register(self, hook: Any, module: Any) -> None:
        self._hook = hook
        for name, layer in module.named_modules():
            layer._module_name = name
            self._layers.add(id(layer))
            weakref.finalize(layer, self._forget, id(layer)).atexit = False
        module._module_name = module._get_name()
        _complete_collections(hook)
        if _saves_more_than_losses(hook):
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    self._watch_gradient(hook, f"{module._get_name()}_{name}", parameter)
        hook.has_registered_module = True
        self._models.add(id(module))

    def _forget(self, identity: int) -> None:
        self._models.discard(identity)
        self._layers.discard(identity)

    def _watch_gradient(self, hook: Any, name: str, parameter: Any) -> None:
        back = hook.backward_hook(name)

        def run(gradient: Any) -> None:
            if not self._off and back is not None:
                self._contain(back, gradient)

        parameter.register_hook(run)

    def _step(self, module: Any, inputs: Any) -> None:
        """Begin a step, and look whether it saves more than losses or records its phases.

        For a loss, smdebug matches the names of all layers with all patterns: 5 ms a step.
        """
        self._hook.forward_pre_hook(module, inputs)
        saved = self._hook._get_collections_to_save_for_step()
        self._wants_layers = self._hook.profiler_config_parser.profiling_enabled or any(
            each.name != _LOSSES for each in saved
        )

    def _layer(self, module: Any, inputs: Any, outputs: Any) -> None:
        if id(module) in self._models:
            self._hook.fhook(module, inputs, outputs)
        if self._wants_layers:
            self._hook.forward_hook(module, inputs, outputs)

    def _loss(self, module: Any, inputs: Any, outputs: Any) -> None:
        if self._hook.prepared_collections:
            module._module_name = module._get_name()
            self._hook.forward_hook(module, inputs, outputs)

    def _contain(self, work: Callable[..., object], *arguments: object) -> None:
        if not contained(work, *arguments):
            self._stop()

    def _stop(self) -> None:
        self._off = True
        for handle in self._handles:
            handle.remove()


def _make_hook() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its source predates Python 3.12's rules on escapes
        import smdebug.pytorch

        return smdebug.pytorch.get_hook(create_if_not_exists=True)


def _with_every_type(make: Callable[[Any], Any], torch: Any) -> Callable[[Any], Any]:
    """Return smdebug's way to NumPy, also for a type that NumPy does not have."""

    def to_numpy(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dtype is torch.bfloat16:
            value = value.float()
        return make(value)

    return to_numpy


def _complete_collections(hook: Any) -> None:
    """Say which tensors are in the collections that AWS's own rules ask for by name.

    smdebug knows its default collections only, and stops at any other without a pattern.
    """
    collections = hook.get_collections()
    for name in ("relu_input", "relu_output"):
        if name in collections and not collections[name].include_regex:
            collections[name].include(f".*{name}")


def _saves_more_than_losses(hook: Any) -> bool:
    return bool(hook.save_all or hook.include_regex or set(hook.include_collections) - {_LOSSES})


def _brings_its_own() -> bool:
    return bool(getattr(sys.modules.get("__main__"), OWN_HOOK, False))


REGISTRATION = Registration()
