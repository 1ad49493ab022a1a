"""A model request as a value, and its key: a tagged hash of every field that can change a reply."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property

from pipeline.artifacts import canonical_json, sha256_text

KEY_TAG = "r1"
_PREFIX = 8  # hex digits of a key that decide on its shard
EXCLUDED_FROM_KEY = frozenset({"item", "name"})


@dataclass(frozen=True)
class Request:
    """One chat completion.

    Attributes:
        provider: As in ModelConfig.
        endpoint: Base URL, or the engine's and the model's package for one that the build serves.
        model: Model name as the endpoint knows it.
        messages: (role, text) pairs.
        max_tokens: Most tokens of the reply.
        temperature: Sampling temperature.
        top_p: Nucleus sampling mass.
        frequency_penalty: OpenAI's frequency penalty.
        seed: Sampling seed, or None to send none.
        schema: JSON schema that the reply must meet, as JSON text; "" for free text.
        replicate: Which of several independent askings of the same question this is.
        item: What the request is about, for people; not in the key.
        name: The model's name in [models], for its pace and price; not in the key.
    """

    provider: str
    endpoint: str
    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float
    top_p: float
    frequency_penalty: float
    seed: int | None
    schema: str
    replicate: int
    item: str
    name: str

    def components(self) -> dict[str, object]:
        """Return the fields that make the key, built from the dataclass's own fields."""
        return {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in EXCLUDED_FROM_KEY
        }

    @classmethod
    def from_components(cls, components: str, item: str, name: str) -> Request:
        """Return the request that was recorded as these components (canonical JSON)."""
        fields = json.loads(components)
        messages = tuple((role, text) for role, text in fields.pop("messages"))
        return cls(messages=messages, item=item, name=name, **fields)

    @cached_property
    def key(self) -> str:
        """The request's key: "r1:" and the SHA-256 of its components in canonical JSON."""
        return f"{KEY_TAG}:{sha256_text(canonical_json(self.components()))}"


def in_shard(key: str, shard: str) -> bool:
    """Return whether a key is in a shard "K/N": the K-th of N equal runs of keys; "" has all.

    The first digits of a key decide, so that a shard is a run of the ledger's keys in order.
    """
    if not shard:
        return True
    number, count = map(int, shard.split("/"))
    return int(key.removeprefix(f"{KEY_TAG}:")[:_PREFIX], 16) * count >> 4 * _PREFIX == number
