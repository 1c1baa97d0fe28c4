"""Makes `import torchvision` work where its wheel is a CUDA build beside a CPU-only torch."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch
from torch import Tensor

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
    "qroi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
    "_roi_align_backward(Tensor grad, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, SymInt batch_size, SymInt channels, SymInt height, SymInt width, "
    "int sampling_ratio, bool aligned) -> Tensor",
    "roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width) "
    "-> (Tensor, Tensor)",
    "_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, SymInt batch_size, SymInt channels, SymInt height, SymInt width) -> Tensor",
    "ps_roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio) -> (Tensor, Tensor)",
    "_ps_roi_align_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, "
    "SymInt pooled_height, SymInt pooled_width, int sampling_ratio, SymInt batch_size, SymInt channels, "
    "SymInt height, SymInt width) -> Tensor",
    "ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width) "
    "-> (Tensor, Tensor)",
    "_ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, "
    "SymInt pooled_height, SymInt pooled_width, SymInt batch_size, SymInt channels, SymInt height, "
    "SymInt width) -> Tensor",
    "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, "
    "SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, "
    "SymInt offset_groups, bool use_mask) -> Tensor",
    "_deform_conv2d_backward(Tensor grad, Tensor input, Tensor weight, Tensor offset, Tensor mask, "
    "Tensor bias, SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, "
    "SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
"""The operators of torchvision 0.28, as its Python code expects them to be declared."""
kept: list[torch.library.Library] = []
"""A declared operator lives as long as its library."""


def ensure_torchvision_ops() -> bool:
    """Whether torchvision's own operators load; where they do not, declare them and give nms a CPU version.

    Call it before anything imports torchvision or ultralytics. Calling it again changes nothing.
    """
    if native_ops_load():
        return True
    if not kept:
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for schema in SCHEMAS:
            library.define(schema)  # type: ignore[no-untyped-call]
        library.impl("nms", nms, "CPU")  # type: ignore[no-untyped-call]
        kept.append(library)
    mark_ops_present()
    return False


def native_ops_load() -> bool:
    """Whether torchvision's compiled library fits this torch; an absent torchvision counts as fitting."""
    if kept:
        return False
    if "torchvision" in sys.modules:
        return True
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return True
    libraries = [p for p in Path(found.origin).parent.iterdir() if p.stem.split(".")[0] == "_C"]
    try:
        for library in libraries:
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError):
        return False
    return bool(libraries) and hasattr(torch.ops.torchvision, "nms")


def mark_ops_present() -> None:
    """Tell torchvision that its operators are there, or it refuses to call them."""
    from torchvision import extension  # only importable once the operators are declared

    extension._has_ops = lambda: True


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes kept, best score first: one falls when it overlaps a better kept one by more.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        iou_threshold: 0..1.
    """
    order = scores.argsort(descending=True, stable=True)
    ranked = boxes[order].float()
    areas = (ranked[:, 2] - ranked[:, 0]) * (ranked[:, 3] - ranked[:, 1])
    alive = torch.ones(len(ranked), dtype=torch.bool)
    for i in range(len(ranked)):
        if not alive[i]:
            continue
        rest = ranked[i + 1 :]
        sides = torch.minimum(ranked[i, 2:], rest[:, 2:]) - torch.maximum(ranked[i, :2], rest[:, :2])
        overlap = sides.clamp(min=0).prod(1)
        alive[i + 1 :] &= overlap <= iou_threshold * (areas[i] + areas[i + 1 :] - overlap)
    return order[alive]
