"""One run of a peer, in its own virtual environment: nothing of ours is imported.

minhash: datasketch, MinHashLSH over triples of words, as its documents show it: a text goes if the
index has one like it, else it is put in. datatrove: its MinHash in three steps, its own settings.
semhash: self_deduplicate on vectors that are given to it.
Prints one line of JSON; reading files and importing count for no time.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import resource
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_PERMUTATIONS = 128
_ANGLES = {"A": 0.0, "B": 20.0, "C": 40.0}  # cosines 0.94, 0.94 and 0.77
_MODULES = {
    "minhash": ("datasketch",),
    "datatrove": ("datatrove.executor", "datatrove.pipeline.dedup", "spacy"),
    "semhash": ("semhash",),
    "chain": ("semhash",),
}
Pairs = list[tuple[str, str]]


class _Given:
    """Stands for a model where every vector is given."""

    def encode(self, inputs: Sequence[Any], **_: Any) -> Any:
        raise RuntimeError("a vector was asked for that was not given")


def minhash(posts: list[dict[str, str]], threshold: float) -> Pairs:
    """Return (removed, keeper): of what the index has, the likeliest by its own estimate."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
    kept: dict[str, Any] = {}
    removed = []
    for post in posts:
        words = post["words"].split(" ")
        triples = {" ".join(words[k : k + 3]).encode() for k in range(max(1, len(words) - 2))}
        signature = MinHash(num_perm=_PERMUTATIONS)
        signature.update_batch(triples)
        like = index.query(signature)
        if like:
            keeper = max(sorted(like), key=lambda name: signature.jaccard(kept[name]))
            removed.append((post["id"], keeper))
        else:
            index.insert(post["id"], signature)
            kept[post["id"]] = signature
    return removed


def datatrove(posts: list[dict[str, str]]) -> Pairs:
    """Return (removed, keeper), from the clusters that it makes."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    config = MinhashConfig()
    documents = [Document(text=post["words"], id=post["id"]) for post in posts]
    with tempfile.TemporaryDirectory() as folder:
        hashes, pairs, clusters = (f"{folder}/{name}" for name in ("hashes", "pairs", "clusters"))
        steps: list[tuple[list[Any], int]] = [
            ([documents, MinhashDedupSignature(hashes, config)], 1),
            ([MinhashDedupBuckets(hashes, pairs, config=config)], config.num_buckets),
            ([MinhashDedupCluster(pairs, clusters, config, save_cluster_id=True)], 1),
        ]
        for number, (step, tasks) in enumerate(steps):
            logs = f"{folder}/logs{number}"
            LocalPipelineExecutor(step, tasks=tasks, workers=1, logging_dir=logs).run()
        gone = {n for (n,) in _numbers(Path(clusters, "000000.remove"), "<I")}
        of = dict(_numbers(Path(clusters, "000000.clusters"), "<2I"))
    keeper = {cluster: row for row, cluster in of.items() if row not in gone}
    return [(posts[row]["id"], posts[keeper[of[row]]]["id"]) for row in sorted(gone)]


def _numbers(place: Path, form: str) -> Any:
    return struct.iter_unpack(form, place.read_bytes()) if place.exists() else ()


def semhash(posts: list[dict[str, str]], vectors: Any, threshold: float) -> Pairs:
    """Return (removed, keeper)."""
    from semhash import SemHash

    records = [{"id": post["id"], "text": post["text"]} for post in posts]
    index = SemHash.from_embeddings(vectors, records, model=_Given(), columns=["text"])
    filtered = index.self_deduplicate(threshold=threshold).filtered
    return [(each.record["id"], each.duplicate_of["id"]) for each in filtered]


def chain(threshold: float) -> dict[str, int]:
    """Return how many of A, B and C semhash keeps, by their order; only B is like both others."""
    kept = {}
    for order in itertools.permutations(_ANGLES):
        turns = np.radians([_ANGLES[name] for name in order])
        vectors = np.column_stack([np.cos(turns), np.sin(turns)]).astype(np.float32)
        posts = [{"id": name, "text": name} for name in order]
        kept["".join(order)] = len(order) - len(semhash(posts, vectors, threshold))
    return kept


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_mb() -> float:
    """Return the most resident memory of this process, without what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def main() -> None:
    """Deduplicate the posts of a JSON-lines file, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["minhash", "datatrove", "semhash", "chain"])
    parser.add_argument("folder", type=Path, help="posts.ndjson (id, words, text), vectors.npy")
    parser.add_argument("--threshold", type=float, default=0.0)
    parser.add_argument("--reversed", action="store_true")
    arguments = parser.parse_args()
    posts, vectors = [], None
    if arguments.kind != "chain":
        with (arguments.folder / "posts.ndjson").open(encoding="utf-8") as lines:
            posts = [json.loads(line) for line in lines]
    if arguments.kind == "semhash":
        vectors = np.load(arguments.folder / "vectors.npy")
    if arguments.reversed:
        posts.reverse()
        vectors = None if vectors is None else vectors[::-1].copy()
    for module in _MODULES[arguments.kind]:  # importing is no part of the job
        importlib.import_module(module)
    begun, cpu = time.perf_counter(), _cpu_seconds()
    found: Any
    if arguments.kind == "minhash":
        found = minhash(posts, arguments.threshold)
    elif arguments.kind == "datatrove":
        found = datatrove(posts)
    elif arguments.kind == "semhash":
        found = semhash(posts, vectors, arguments.threshold)
    else:
        found = chain(arguments.threshold)
    seconds, cpu_s = time.perf_counter() - begun, _cpu_seconds() - cpu
    taken = {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": _peak_mb(), "found": {"result": found}}
    sys.stdout.write("\n" + json.dumps(taken) + "\n")


if __name__ == "__main__":
    main()
