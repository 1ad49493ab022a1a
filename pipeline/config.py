"""What a build can be told: frozen dataclasses, one a section of the configuration file."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.config_actions import GenerateConfig, ValidateConfig
from pipeline.config_model import STRICT, Count, ModelConfig, Positive

Share = Annotated[float, Field(ge=0, le=1)]
Similarity = Annotated[float, Field(ge=0.3, le=1)]
"""Lower ones find pairs without end."""
ListingName = Annotated[
    str,
    Field(
        pattern=r"^(new|hot|(top|controversial)(:(hour|day|week|month|year|all))?"
        r"|search(:(hour|day|week|month|year|all))? \S.*)$"
    ),
]
SafeUrl = Annotated[str, Field(pattern=r"^(https://[^/]+|http://127\.0\.0\.1(:\d+)?)$")]
"""Secrets go there: encrypted, or not off this machine."""


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


@dataclass(frozen=True, config=STRICT)
class SourceConfig:
    """Where posts come from.

    Attributes:
        path: A dump (`.ndjson`, plain, `.gz` or `.zst`), or "sample" for the bundled posts.
        mapping: Name of a column mapping (configs/mappings.toml) if `path` is an export in CSV,
            TSV or JSON; "" for a dump.
        html_escaped: True if a dump escapes `&`, `<`, `>` once (published ones do, PRAW does not);
            a mapping says it for itself.
        author_key_env: Environment variable with the private key that authors' names are hashed
            with; without it no hash is kept. Names in clear are never kept.
        tombstones: File of posts that must not be used; see tombstones.py.
        max_bad_lines: Unreadable lines after which the scrape stops.
        limit: Read only this many lines; 0 reads all.
    """

    path: str
    mapping: str = ""
    html_escaped: bool = True
    author_key_env: str = "VALACT_AUTHOR_KEY"
    tombstones: str = "tombstones.ndjson"
    max_bad_lines: Count = 10_000
    limit: Count = 0


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
class ComposeConfig:
    """How actions become questions.

    Attributes:
        design: Balanced design in pipeline/designs/, without `.json`: "cycle12" makes five
            questions of a scenario's twenty actions, "one60" one question.
    """

    design: str = "cycle12"


@dataclass(frozen=True, config=STRICT)
class ReleaseConfig:
    """What the release folder says of itself.

    Attributes:
        title: Heading of the card.
        text: What is published of a post: a retelling ("rewritten"), nothing but its id ("ids"),
            or its masked text ("verbatim", which keeps a release of real posts local).
        canary: GUID that stands in every row and file, so that training on the data can be
            detected.
        contact: Where somebody writes who wants a post taken back: an address or a page; the card
            says so if it is "".
        dev_slots_per_domain: The first slots of each domain are split "dev", for work on prompts;
            whole cycles of the design (24 with five domains), so that both splits stay balanced.
            Never to be changed from one release to the next.
        held_out_slots_per_domain: The next slots of each domain are not released: they are written
            to a folder of their own, beside the release.
    """

    title: str
    text: Literal["rewritten", "ids", "verbatim"]
    canary: str
    contact: str = ""
    dev_slots_per_domain: Count = 0
    held_out_slots_per_domain: Count = 0


@dataclass(frozen=True, config=STRICT)
class AnnotationConfig:
    """Whether experts check the actions before a release, and where their work is kept.

    Attributes:
        by: "" for nobody; "label_studio" or "csv" for experts who work there. The build then waits
            for their reviews.
        plan: The annotation's plan; see pipeline/annotation/plan.py.
        rounds: Rounds of the plan that the build waits for.
        folder: Holds a folder for each workspace: rounds and reviews, private, and kept.
        server: Folder of our own Label Studio: database, accounts, raw answers; private.
        port: Of our own Label Studio, on 127.0.0.1.
    """

    by: Literal["", "label_studio", "csv"] = ""
    plan: str = "annotations/plan.toml"
    rounds: Positive = 1
    folder: str = "annotations/rounds"
    server: str = "annotations/private"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080


@dataclass(frozen=True, config=STRICT)
class PublishConfig:
    """What a maintainer says before a release may go to a Hub; a build never reads it.

    Attributes:
        rights: On what ground the texts may be published, in a sentence; nothing goes without it.
        private: The repository is made private.
        gated: Who asks for access gets it at once ("auto"), after a person has looked ("manual"),
            or there is nothing to ask for ("no").
        demonstration: True to let a demonstration be published as one.
        verbatim: True to let posts be published as they were written, names and places masked.
    """

    rights: str = ""
    private: bool = True
    gated: Literal["auto", "manual", "no"] = "manual"
    demonstration: bool = False
    verbatim: bool = False


@dataclass(frozen=True, config=STRICT)
class RedditConfig:
    """What `sweep` asks of Reddit's Data API; a build never reads it.

    Attributes:
        subreddits: Names without "r/"; none for those of [domains].
        listings: Asked in this order in every subreddit: "new", "hot", "top:TIME",
            "controversial:TIME", "search:TIME QUERY", with TIME one of hour, day, week, month,
            year, all ("all" if left out).
        out: Dump that the posts are added to; not HTML-escaped.
        max_per_listing: Most items read of one listing; Reddit itself ends near 1,000.
        user_agent: Who asks, as Reddit wants it: "<platform>:<app>:<version> (by /u/<you>)".
        client_id_env: Environment variable that holds the script app's id.
        client_secret_env: Environment variable that holds its secret.
        timeout_s: Seconds after which a request counts as unanswered.
        reddit_url: Where tokens come from.
        oauth_url: Where listings come from.
        short_url: Reddit's short links; PRAW wants to know them.
    """

    subreddits: tuple[str, ...] = ()
    listings: tuple[ListingName, ...] = ("new", "top:all", "top:year", "hot", "controversial:all")
    out: str = "posts/reddit.ndjson"
    max_per_listing: Positive = 1000
    user_agent: str = ""
    client_id_env: str = "REDDIT_CLIENT_ID"
    client_secret_env: str = "REDDIT_CLIENT_SECRET"  # noqa: S105 - a name, not a secret
    timeout_s: Annotated[float, Field(gt=0)] = 30.0
    reddit_url: SafeUrl = "https://www.reddit.com"
    oauth_url: SafeUrl = "https://oauth.reddit.com"
    short_url: SafeUrl = "https://redd.it"


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
