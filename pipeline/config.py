"""What a build can be told: frozen dataclasses, one a section of the configuration file.

`Config` at the end is the whole; sections that are not here stand in the config_*.py beside it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.config_actions import GenerateConfig, ValidateConfig
from pipeline.config_model import STRICT, Count, ModelConfig, Positive
from pipeline.config_release import AnnotationConfig, ComposeConfig, PublishConfig, ReleaseConfig
from pipeline.config_sources import RedditConfig, SourceConfig

Share = Annotated[float, Field(ge=0, le=1)]
Similarity = Annotated[float, Field(ge=0.3, le=1)]
"""Lower ones find pairs without end."""


@dataclass(frozen=True, config=STRICT)
class BuildConfig:
    """Where and how a build is made. Only the first three fields can change what is built.

    Attributes:
        name: Short name of the build.
        demonstration: True if the result only shows that the machine works; the card says so.
        seed: Text that every draw is salted with.
        workspace: Folder of the stages' artifacts.
        ledger: SQLite file that keeps every model reply that was ever paid for.
        dist: Folder that receives the finished release.
        cache: Folder of what can be computed again (embeddings), shared by builds.
        engine: Who does the heavy stages: this machine ("local"), or the Ray cluster that
            RAY_ADDRESS names ("ray"); see docs/scale.md.
        partitions: Parts that their tables are cut into; 0 for one on this machine, and for four a
            processor on Ray.
        processes: Processes of the local engine.
    """

    name: str
    demonstration: bool
    seed: str
    workspace: str
    ledger: str
    dist: str
    cache: str = "cache"
    engine: Literal["local", "ray"] = "local"
    partitions: Count = 0
    processes: Positive = 1


DropTag = Literal[
    "recurring_thread", "update_post", "injection_like", "over_18", "minor", "self_harm", "sexual"
]


@dataclass(frozen=True, config=STRICT)
class ScreenConfig:
    """What a post must be; lengths in words of the body.

    Attributes:
        min_words: Shorter bodies are dropped (40 as published), links left out too.
        max_words: Longer bodies are dropped: they do not fit beside ten actions in a prompt.
        languages: ISO 639-1 codes that are kept.
        drop_tags: Posts with any of these tags are dropped; the first that fits is the reason.
        require_tags: Posts without one of these tags are dropped.
    """

    min_words: Positive = 40
    max_words: Positive = 600
    languages: tuple[str, ...] = ("en",)
    drop_tags: tuple[DropTag, ...] = (
        "recurring_thread",
        "update_post",
        "injection_like",
        "over_18",
        "minor",
        "self_harm",
        "sexual",
    )
    require_tags: tuple[Literal["question", "dilemma"], ...] = ("question", "dilemma")


@dataclass(frozen=True, config=STRICT)
class DedupConfig:
    """When two posts count as the same story.

    Attributes:
        jaccard: Least share of common shingles among all of two texts' shingles (Jaccard).
        containment: Least share of common shingles among those of the shorter text.
        shingle_words: Words in a shingle.
        cosine: Least cosine of embeddings.
        common_words: Least share of the words of the text with fewer different words that the other
            one has too, for a pair that embeddings find: forums are full of texts of one topic.
        common_words_of_longer: The same of the text with more different words: a text of thousands
            of words has most words of any short one, and its vector is near to all of its topic.
        embedding_model: "minilm-package" for the bundled model, else a sentence-transformers name;
            "" compares no meanings.
        window_words: Longer texts are embedded in windows of this many words and averaged.
        semantic_words: Shorter texts are compared by their words only.
        pool_per_domain: Posts a domain, drawn by id, that are looked at; 0 takes all.
        earlier: Releases (folders, or Parquet files with `scenario_id` and `scenario`) that no
            scenario may be like.
    """

    jaccard: Similarity = 0.6
    containment: Similarity = 0.9
    shingle_words: Positive = 3
    cosine: Similarity = 0.87
    common_words: Share = 0.55
    common_words_of_longer: Share = 0.4
    embedding_model: str = "minilm-package"
    window_words: Positive = 180
    semantic_words: Positive = 40
    pool_per_domain: Count = 0
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, config=STRICT)
class SelectConfig:
    """How many scenarios are drawn.

    Attributes:
        scenarios: Total, in equal parts over the domains.
        reserve: Further candidates a domain, which replace scenarios that fail.
        slots: Folder of an earlier release, or a file of slots, whose scenarios keep their slots
            and so their questions; "" for none.
    """

    scenarios: Positive
    reserve: Count = 0
    slots: str = ""


@dataclass(frozen=True, config=STRICT)
class VoteConfig:
    """Who judges whether a post is a personal decision with several defensible courses.

    Attributes:
        voters: Two names from [models], or none to let every post through.
        tie_breaker: A third name, asked where the two differ.
        decides: False records the votes and drops nothing.
        prompt: Prompt file in prompts/, without `.md`.
        attempts: Times a model is asked for a usable vote.
    """

    voters: tuple[str, ...] = ()
    tie_breaker: str = ""
    decides: bool = True
    prompt: str = "vote"
    attempts: Positive = 2


@dataclass(frozen=True, config=STRICT)
class RewriteConfig:
    """How a post becomes a scenario that does not lead back to its author.

    Attributes:
        model: A name from [models], none of the generators; "" if `release.text` needs none.
        prompt: Prompt file in prompts/, without `.md`.
        attempts: Times it is asked before the post is dropped.
        reserve: Posts a domain, beyond the quota, that are made ready to replace others.
        min_words: Least words of a retelling.
        max_words: Most words of a retelling.
        shared_run: So many words in a row that also stand in the post are too many.
        review: Pairs of post and retelling that experts look at, drawn by id.
        reviews: CSV file of what they said; see gate.read_reviews.
        least_survival: Least share of these pairs in which the dilemma, the stakes and the options
            survive; below it nothing is published.
    """

    model: str = ""
    prompt: str = "rewrite"
    attempts: Positive = 2
    reserve: Count = 60
    min_words: Positive = 40
    max_words: Positive = 250
    shared_run: Positive = 8
    review: Count = 60
    reviews: str = "annotations/rewriting_reviews.csv"
    least_survival: Share = 0.9


@dataclass(frozen=True, config=STRICT)
class RecogniseConfig:
    """Who names the value of each action without knowing what it was written for.

    Attributes:
        model: A name from [models], best a model that writes no actions; "" asks nobody.
        prompt: Prompt file in prompts/, without `.md`.
        attempts: Times it is asked before a scenario's actions stay without an answer.
    """

    model: str = ""
    prompt: str = "recognise"
    attempts: Positive = 2


@dataclass(frozen=True, config=STRICT)
class BudgetConfig:
    """What may be spent.

    Attributes:
        cap_usd: The most that this build's ledger may ever commit; 0 pays for nothing.
        prices: TOML file of prices, relative to the working folder.
        shard: "K/N" asks only the K-th (from 0) of N parts of the requests, by their keys, as one
            of N builds with a ledger and a cap each (docs/scale.md); "" asks all.
    """

    cap_usd: Annotated[float, Field(ge=0)] = 0.0
    prices: str = "configs/prices.toml"
    shard: Annotated[str, Field(pattern=r"^([0-9]{1,4}/[1-9][0-9]{0,3})?$")] = ""


@dataclass(frozen=True, config=STRICT)
class Config:
    """A whole build. `domains` maps each domain to its subreddits, in slot order."""

    build: BuildConfig
    source: SourceConfig
    domains: dict[str, tuple[str, ...]]
    screen: ScreenConfig
    dedup: DedupConfig
    select: SelectConfig
    models: dict[str, ModelConfig]
    generate: GenerateConfig
    compose: ComposeConfig
    release: ReleaseConfig
    budget: BudgetConfig = BudgetConfig()
    vote: VoteConfig = VoteConfig()
    rewrite: RewriteConfig = RewriteConfig()
    validate: ValidateConfig = ValidateConfig()
    recognise: RecogniseConfig = RecogniseConfig()
    annotation: AnnotationConfig = AnnotationConfig()
    publish: PublishConfig = PublishConfig()
    reddit: RedditConfig = RedditConfig()
    file: str = field(default="", kw_only=True)

    def section(self, name: str) -> Any:
        """Return a top-level section as plain data, for a stage's key."""
        value = getattr(self, name)
        return value if isinstance(value, dict) else dataclasses.asdict(value)
