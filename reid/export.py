"""The network for other runtimes: `python -m reid.export --weights W --out fpr.onnx` (or fpr.xml)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from reid.network.model import FPRNet
from reid.network.openvino_core import openvino_core
from reid.network.spec import Precision
from reid.network.weights import WeightsError, load_weights
from reid.progress import one_line_errors

OPSET = 17
OUTPUTS = ("cells", "foreground", "pooled")


class Whole(nn.Module):
    """The network from pictures to what the matcher compares."""

    def __init__(self, net: FPRNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cells (B, N, C), foreground probability (B, N) and unit pooled vector (B, D)."""
        output = self.net(images)
        return output.cells, output.foreground.sigmoid(), functional.normalize(output.pooled, dim=1)


def export(net: FPRNet, path: Path) -> None:
    """Write the network to an .onnx or OpenVINO .xml file; input (B, 3, H, W) float32 RGB in 0..255.

    B, H and W are free: multiples of 16, at least 32 x 16, what `reid.embed.fitted_size` says.

    Raises:
        ValueError: another suffix.
    """
    if path.suffix not in (".onnx", ".xml"):
        raise ValueError(f"{path}: must end in .onnx or .xml")
    written = onnx_file(Whole(net), net.spec.box, OUTPUTS)
    if path.suffix == ".onnx":
        path.write_bytes(written)
        return
    import openvino  # here: an ONNX file needs none of it

    openvino.save_model(openvino_core().read_model(written, b""), path, compress_to_fp16=False)


def onnx_file(module: nn.Module, box: tuple[int, int], outputs: tuple[str, ...]) -> bytes:
    """An ONNX file of a module that takes pictures, on the CPU; batch and size are free."""
    example = torch.zeros(2, 3, *box)
    free = {"images": {0: "batch", 2: "height", 3: "width"}, **{name: {0: "batch"} for name in outputs}}
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter by tracing is deprecated; the new one needs onnxscript
        torch.onnx.export(
            module.eval(),  # or the exporter leaves its parts training
            (example,),
            buffer,  # type: ignore[arg-type]
            input_names=["images"],
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()


def openvino_backbone(net: FPRNet, *, precision: Precision = "f32") -> Callable[[Tensor], Tensor]:
    """The backbone run by OpenVINO: in float32 the same map to 1e-5, in half of torch's time on a CPU.

    It uses as many threads as torch is set to when the network is loaded.

    Args:
        precision: bf16 is faster on CPUs that have units for it, and errs by 1e-3 in a cell.
    """
    import openvino  # here: a GPU machine needs none of it

    example = torch.zeros(1, 3, *net.spec.box, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and what the converter reads best
        traced = torch.jit.trace(net.backbone, example, check_trace=False)  # type: ignore[no-untyped-call]
        model = openvino.convert_model(traced, example_input=example)
    model.reshape([-1, 3, -1, -1])
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = openvino_core().compile_model(model, "CPU", settings)
    return lambda images: torch.from_numpy(compiled(images.contiguous().numpy())[0])


def onnxruntime_backbone(net: FPRNet) -> Callable[[Tensor], Tensor]:
    """The backbone run by ONNX Runtime on the CPU, with as many threads as torch."""
    import onnxruntime  # here: most machines run it by OpenVINO or CUDA

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        onnx_file(net.backbone, net.spec.box, ("map",)), options, providers=["CPUExecutionProvider"]
    )
    return lambda images: torch.from_numpy(session.run(["map"], {"images": images.float().numpy()})[0])


def main(
    weights: Annotated[Path, typer.Option(help="Checkpoint (.safetensors) of a whole network.")],
    out: Annotated[Path, typer.Option(help="File to write: .onnx, or .xml for OpenVINO.")],
) -> None:
    """Writes the network for other runtimes, with free batch and picture size."""
    with one_line_errors():
        net = load_weights(weights)
        if not isinstance(net, FPRNet):
            raise WeightsError(f"{weights} is only a head: its network is a file already")
        export(net, out)


if __name__ == "__main__":
    typer.run(main)
