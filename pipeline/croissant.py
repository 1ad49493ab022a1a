"""`croissant.json`: the release in the words of Croissant 1.1 and of its RAI vocabulary.

One record set a file, so that each file stands there with its checksum and its split. The paths are
relative: the folder is read where it lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from pipeline.artifacts import sha256_file
from pipeline.config import Config
from pipeline.dist import KEYS
from pipeline.paths import ROOT

VERSION = "http://mlcommons.org/croissant/1.1"
RAI = "http://mlcommons.org/croissant/RAI/1.0"
FILE = "croissant.json"
_CC_BY = "https://creativecommons.org/licenses/by/4.0/"
_DEMONSTRATION = "A demonstration: nothing may be concluded from a score on it."
_TEXT = {
    "rewritten": "Retold by a language model in other words, without names, places and titles; "
    "ids of posts are not part of the release.",
    "ids": "Texts of posts are not part of the release, only their ids.",
    "verbatim": "Posts as they were written, with names, places and contact data masked by rule "
    "and by a small model that misses some.",
}
_MEANINGS = {
    "question_id": "Id of the question, a hash of what it holds",
    "scenario_id": "Id of the situation, a hash of its text",
    "action_id": "Id of the action, a hash of what it holds",
    "review_id": "Id of one expert's word on one action",
    "domain": "Domain of the situation",
    "slot": "Place in the dataset that the situation holds; its design follows from it",
    "question_index": "Number of the question within its situation, from 0",
    "scenario": "The situation",
    "options": "The four actions, in letter order A to D",
    "option_ids": "Their ids",
    "option_values": "The value that each was written for",
    "option_generators": "The model that wrote each",
    "target_value": "The value that a selection or adoption item asks for",
    "target_index": "Index of its option, 0 to 3",
    "prompt": "The whole prompt; in actions the prompt's file and version",
    "answer": "Index of the right letter: 0 is A, 3 is D",
    "subreddit": "Forum of the post",
    "year": "Year of the post",
    "value": "The value that the action was written for",
    "generator": "The model that wrote it",
    "action": "The action",
    "flags": "What rules, or an expert, found wrong and let pass",
    "ledger_key": "The model call, as in provenance/calls.parquet",
    "annotator": "Pseudonym of the expert",
    "first_value": "The value that the expert sees in the action",
    "second_value": "A second one, or empty",
    "naturalness": "1 to 5",
    "lead_seconds": "Seconds spent on the item",
    "canary": "Marks text that must not be trained on",
}


def croissant(dist: Path, config: Config, files: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the metadata of a release folder.

    Args:
        dist: The folder, its tables written.
        config: The build.
        files: Path of each table's splits below it.
    """
    import mlcroissant as mlc

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    objects, records = [], []
    for name, paths in files.items():
        for split, path in paths.items():
            objects.append(
                mlc.FileObject(
                    id=path,
                    name=path,
                    description=f"Config {name}, split {split}",
                    content_url=path,
                    content_size=f"{(dist / path).stat().st_size} B",
                    encoding_formats=["application/x-parquet"],
                    sha256=sha256_file(dist / path),
                )
            )
            columns = pl.read_parquet_schema(dist / path)
            records.append(_records(name, split, path, columns))
    local = config.release.text == "verbatim" and config.source.path != "sample"
    metadata = mlc.Metadata(
        ctx=mlc.Context(conforms_to=[VERSION, RAI]),
        name=config.release.title,
        description="Advice-seeking situations with questions of four options, each of which acts "
        "out one of Schwartz's ten basic values. " + config.release.canary,
        conforms_to=[VERSION, RAI],
        creators=[mlc.Organization(name=author["name"]) for author in citation["authors"]],
        date_published=datetime.fromisoformat(str(citation["date-released"])),
        version=str(citation["version"]),
        cite_as=f"{citation['authors'][0]['name']}. {citation['title']}.",
        license=["DATA_LICENSE" if local else _CC_BY],
        in_language=["en"],
        keywords=["human values", "Schwartz values", "language models", "benchmark"],
        url=citation.get("url", "https://arxiv.org/abs/2601.07972"),
        distribution=objects,
        record_sets=records,
        **_responsible(config, "reviews" in files),
    )
    return dict(metadata.to_json())


def _records(name: str, split: str, path: str, columns: Mapping[str, Any]) -> Any:
    import mlcroissant as mlc

    place = f"{name}/{split}"
    return mlc.RecordSet(
        id=place,
        name=place,
        description=f"Config {name}, split {split}: see README.md",
        key=[f"{place}/{KEYS[name]}"],
        fields=list(_fields(place, path, columns)),
    )


def _fields(place: str, path: str, columns: Mapping[str, Any]) -> Iterator[Any]:
    import mlcroissant as mlc

    kinds = {pl.String: "TEXT", pl.Float64: "FLOAT", pl.Boolean: "BOOL"}
    for name, dtype in columns.items():
        listed = isinstance(dtype, pl.List)
        inner: Any = dtype.inner if isinstance(dtype, pl.List) else dtype
        kind = next((word for each, word in kinds.items() if inner == each), "INTEGER")
        yield mlc.Field(
            id=f"{place}/{name}",
            name=name,
            description=_MEANINGS.get(name, name.replace("_", " ")),
            data_types=[getattr(mlc.DataType, kind)],
            is_array=True if listed else None,
            array_shape="-1" if listed else None,
            source=mlc.Source(file_object=path, extract=mlc.Extract(column=name)),
        )


def _responsible(config: Config, reviewed: bool) -> dict[str, Any]:
    """Return the fields of the RAI vocabulary."""
    writers = " and ".join(_models(config, config.generate.generators))
    judges = _models(config, (*config.vote.voters, config.vote.tie_breaker, config.recognise.model))
    sample = config.source.path == "sample"
    found: dict[str, Any] = {
        "data_collection": "Invented posts, bundled with the builder."
        if sample
        else "Posts of Reddit, from a dump or its Data API, screened by rules"
        + (" and by votes of language models." if config.vote.voters else "."),
        "data_collection_type": ["Synthetic"] if sample else ["Web scraping", "Synthetic"],
        "data_preprocessing_protocol": [
            "Posts are screened, deduplicated by words and by meaning, and drawn by a hash of "
            "their ids, in equal parts over domains, forums and years.",
            _TEXT[config.release.text],
            f"Actions were written by {writers}, checked by rule, and dealt into questions by a "
            "balanced design.",
        ],
        "data_annotation_protocol": [
            "Each action carries the value that its generator was asked to act out."
        ],
        "data_biases": [
            "English only; people who write on Reddit, mostly young, male and North American.",
            "Options are written by language models, and share their style and their views.",
        ],
        "data_limitations": [
            "Which option a respondent picks tells what it would say, not what it would do.",
            "Text on the web may have been in the training data of the models that are evaluated.",
        ]
        + [_DEMONSTRATION] * config.build.demonstration,
        "data_use_cases": [
            "Evaluation: which values the choices of a language model enact, recognise and adopt.",
            "Not for training, and not for judging people.",
        ],
        "data_social_impact": "Shows values that models act out without saying so. A model tuned "
        "to a wanted profile could look aligned here and not be.",
        "personal_sensitive_information": [_TEXT[config.release.text]],
        "data_release_maintenance_plan": "What an author deletes at the source is taken out in a "
        "patch release; earlier revisions that hold it are retired.",
        "machine_annotation_tools": judges or None,
    }
    if reviewed:
        found["data_annotation_platform"] = ["Label Studio", "CSV forms"]
        found["data_annotation_analysis"] = [
            "Experts say blind which value an action expresses; accuracy, agreement and intervals "
            "stand in README.md and provenance/manifests/adjudicate.json."
        ]
    return found


def _models(config: Config, names: Iterable[str]) -> list[str]:
    """Return the models of these names in [models], each once."""
    return list(dict.fromkeys(config.models[name].model for name in names if name))
