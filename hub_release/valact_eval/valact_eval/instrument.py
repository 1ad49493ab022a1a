"""The questionnaire: the user's own copy of the PVQ-40, else forty portraits of our own."""

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from valact_eval.errors import ValactError
from valact_eval.key import ITEMS, KEY, SCALE, VALUE_OF

NOT_VALIDATED = "not validated"
STAND_IN = f"valact-portraits-40 ({NOT_VALIDATED})"
_SCALE_ROWS = tuple(f"scale_{rating}" for rating in range(SCALE[0], SCALE[1] + 1))
_SHORT = dict(zip(KEY, ("sd", "st", "he", "ac", "po", "se", "co", "tr", "be", "un"), strict=True))
# words that deny likeness, in the languages in which we could look up a published scale;
# letters match as words, the rest (Chinese, Japanese, Korean) anywhere
_DENIAL = re.compile(
    r"\b(?:not|isn't|nothing|unlike|nicht|kein|gar|pas|no|nada|non|não|nao|niet|inte|ikke|ei|nie"
    r"|ne|не|нет|δεν|değil|hiç|tidak|không|לא)\b|[不没無]|非(?!常)|ない|ません|않|아니|لا|ليس|नहीं",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Instrument:
    """A questionnaire: forty items by number and the six labels of its ratings.

    Attributes:
        name: what the answers table calls it; "not validated" is part of the stand-in's.
        texts: item number 1..40 to the item's wording.
        scale: labels of the ratings 1..6, least alike first.
        digest: first half of the SHA-256 of wording and labels.
    """

    name: str
    texts: Mapping[int, str]
    scale: tuple[str, ...]
    digest: str

    def items_of(self, value: str) -> tuple[str, ...]:
        """The wording of a value's items, in item order."""
        return tuple(self.texts[item] for item in KEY[value])


def load_instrument(path: Path | None) -> Instrument:
    """Reads a questionnaire.

    Args:
        path: CSV or TSV (UTF-8) with the columns ``item`` (1..40) and ``text``, and perhaps
            ``value``, in any language; rows ``scale_1`` to ``scale_6`` hold the ratings'
            labels, least alike first. None for the stand-in.

    Raises:
        ValactError: the file cannot be read, has not just the items 1 to 40, an item stands
            under another value than in the key, or the scale runs the other way or its
            direction cannot be told.
    """
    if path is None:
        source = files("valact_eval") / "instruments" / "portraits.csv"
        return _instrument(source.read_text("utf-8"), "portraits.csv", STAND_IN)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValactError(f"{path}: {error.strerror}; give --pvq a CSV or TSV file") from error
    except UnicodeDecodeError as error:
        raise ValactError(f"{path}: not UTF-8; save it as CSV with UTF-8 encoding") from error
    return _instrument(text, str(path), None)


def item_order(run: int) -> tuple[int, ...]:
    """The order of the items in a run: a shuffle drawn from the run's number alone."""

    def place(item: int) -> bytes:
        return hashlib.sha256(f"valact item order {run} {item}".encode()).digest()

    return tuple(sorted(range(1, ITEMS + 1), key=place))


def _instrument(text: str, where: str, name: str | None) -> Instrument:
    rows = _rows(text, where)
    labels = {row: rows.pop(row)[1] for row in _SCALE_ROWS if row in rows}
    wanted = {str(item) for item in range(1, ITEMS + 1)}
    if odd := sorted(set(rows) ^ wanted, key=lambda item: (len(item), item)):
        raise ValactError(
            f"{where}: item {odd[0]!r} is {'unknown' if odd[0] in rows else 'missing'}; it must "
            f"hold the items 1 to {ITEMS}, and perhaps scale_1 to scale_6"
        )
    texts = {item: rows[str(item)][1] for item in range(1, ITEMS + 1)}
    for item, wording in texts.items():
        if (other := next(n for n, said in texts.items() if said == wording)) != item:
            raise ValactError(f"{where}: items {other} and {item} have the same text; correct one")
        given = rows[str(item)][0]
        if given and _value(given) != VALUE_OF[item]:
            raise ValactError(
                f"{where}: item {item} stands under {given!r}, in the key of the PVQ-40 it is "
                f"{VALUE_OF[item]}; check the numbering"
            )
    scale = _checked_scale(labels, where) if labels else load_instrument(None).scale
    digest = hashlib.sha256(repr((sorted(texts.items()), scale)).encode()).hexdigest()[:32]
    return Instrument(name or f"PVQ-40 (own copy {digest[:8]})", texts, scale, digest)


def _rows(text: str, where: str) -> dict[str, tuple[str, str]]:
    """Item to (value, text); the delimiter is the one that the header line shows."""
    header = text.split("\n", 1)[0]
    delimiter = max("\t;,", key=header.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or []}
    if missing := [name for name in ("item", "text") if name not in names]:
        raise ValactError(
            f"{where}: no column {missing[0]!r} in the header; it needs item and text"
        )
    found: dict[str, tuple[str, str]] = {}
    try:
        for row in reader:
            place = f"{where}: line {reader.line_num}"
            if None in row or None in row.values():
                raise ValactError(f"{place}: not as many cells as the header; quote the text")
            item = unicodedata.normalize("NFKC", row[names["item"]]).strip().lower()
            said = " ".join(row[names["text"]].split())
            if not item and not said:
                continue
            item = item.lstrip("0") if item.isdecimal() else item
            if item in found:
                raise ValactError(f"{place}: item {item!r} comes twice; remove one")
            if not said:
                raise ValactError(f"{place}: item {item!r} has no text; fill it in")
            value = row[names["value"]].strip() if "value" in names else ""
            found[item] = (value, said)
    except csv.Error as error:
        raise ValactError(f"{where}: line {reader.line_num}: {error}; save it as CSV") from error
    return found


def _value(said: str) -> str | None:
    word = re.sub(r"[\W_]+", "_", said.strip().lower())
    return next((value for value in KEY if word in (value, _SHORT[value])), None)


def _checked_scale(labels: Mapping[str, str], where: str) -> tuple[str, ...]:
    if missing := [row for row in _SCALE_ROWS if row not in labels]:
        raise ValactError(f"{where}: {missing[0]} is missing; give all six labels or none")
    scale = tuple(labels[row] for row in _SCALE_ROWS)
    if len(set(scale)) != len(scale):
        raise ValactError(f"{where}: two labels of the scale are the same; correct one")
    low, high = (bool(_DENIAL.search(scale[end])) for end in (0, -1))
    if high and not low:
        raise ValactError(
            f"{where}: the scale runs the other way: scale_6 is {scale[-1]!r}, but 6 must be "
            "'very much like me'; number the labels the other way round"
        )
    if low == high:
        raise ValactError(
            f"{where}: cannot tell which way the scale runs from scale_1 {scale[0]!r} and scale_6 "
            f"{scale[-1]!r}; word scale_1 with 'not', or leave the labels out for the English ones"
        )
    return scale
