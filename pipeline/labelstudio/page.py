"""The annotation page: Label Studio's labeling configuration, made from prompts/values.toml.

Every text of a post or a model is shown by a Text tag, which shows markup as text; nothing of a
task goes into the configuration. Names of controls end in the place (1 to 4) at which an action is
shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from pipeline.paths import TEMPLATES
from pipeline.values import Value, load_values

PLACES = (1, 2, 3, 4)
"""Where an action is shown, from the top."""

NATURALNESS = (1, 2, 3, 4, 5)

KEYS = ("1234567890", "qwertyuiop", "asdfghjkl;", "zxcvbnm,./")
"""One row of an English keyboard an action, one column a value; Alt for the second value.

Shift and the first five of the row say how natural the action is.
"""

FLAGS = {
    "personal_data": ("Personal data left in", "-"),
    "harmful": ("Harmful", "="),
    "no_dilemma": ("Not a dilemma", "["),
    "too_alike": ("Actions too alike", "]"),
    "needs_expertise": ("Needs expertise", "'"),
}
"""Flags of an item: what is shown, and the key."""

_STYLE = TEMPLATES / "annotation.css"


def page(*, opinions: bool = False) -> str:
    """Return the labeling configuration (XML).

    Args:
        opinions: Whether earlier experts' opinions are shown below each action (adjudication);
            the task data then holds `opinions_1` to `opinions_4`.
    """
    values = load_values()
    return "\n".join(
        [
            '<View className="va">',
            f"  <Style>{escape(_STYLE.read_text(encoding='utf-8'))}</Style>",
            '  <View className="va-left">',
            '    <View className="va-scenario">',
            f"      {_text('scenario')}",
            "    </View>",
            '    <View className="va-below">',
            # Notes come before the panel, and the flags after it: Tab leads from the notes to the
            # panel's header, where keys are keys again; from a box they would go nowhere.
            '      <View className="va-notes">',
            '        <TextArea name="notes" toName="scenario" rows="2" showSubmitButton="false"'
            ' placeholder="Notes (Tab leaves this field)"/>',
            "      </View>",
            '      <View className="va-definitions">',
            *_definitions(values),
            "      </View>",
            '      <View className="va-flags">',
            '        <Choices name="flags" toName="scenario" choice="multiple">',
            *(_choice(text, flag, key) for flag, (text, key) in FLAGS.items()),
            "        </Choices>",
            "      </View>",
            "    </View>",
            "  </View>",
            '  <View className="va-right">',
            *(line for place in PLACES for line in _action(place, values, opinions)),
            "  </View>",
            "</View>",
        ]
    )


def _text(name: str) -> str:
    # valueType: without it, a server in secure mode would fetch the text as an address.
    return f'<Text name="{name}" value="${name}" valueType="text" selectionEnabled="false"/>'


def _definitions(values: tuple[Value, ...]) -> Iterator[str]:
    yield '        <Collapse><Panel value="The ten values">'
    style = quoteattr("font-size: 13px; font-weight: 400; line-height: 1.35; margin: 0 0 4px")
    for value in values:
        text = quoteattr(f"{value.name}: {value.definition}")
        yield f'          <Header size="5" style={style} value={text}/>'
    yield "        </Panel></Collapse>"


def _action(place: int, values: tuple[Value, ...], opinions: bool) -> Iterator[str]:
    row, target = KEYS[place - 1], f'toName="action_{place}"'
    yield '    <View className="va-action">'
    yield f"      {_text(f'action_{place}')}"
    if opinions:
        yield '      <View className="va-opinions">'
        yield f"        {_text(f'opinions_{place}')}"
        yield "      </View>"
    missing = _required(f"Action {place}: choose the value that it expresses most.")
    yield f'      <View className="va-first"><Choices name="first_{place}" {target}'
    yield f'        choice="single-radio" layout="inline" {missing}>'
    for value, key in zip(values, row, strict=True):
        yield _choice(value.name, value.id, key, value.definition)
    yield "      </Choices></View>"
    yield f'      <View className="va-second"><Choices name="second_{place}" {target}'
    yield '        choice="single" layout="inline">'
    for value, key in zip(values, row, strict=True):
        yield _choice(value.name, value.id, f"alt+{key}", f"Second, if torn: {value.name}")
    yield "      </Choices></View>"
    missing = _required(f"Action {place}: say how natural it is.")
    yield f'      <View className="va-natural"><Choices name="natural_{place}" {target}'
    yield f'        choice="single-radio" layout="inline" {missing}>'
    for number, key in zip(NATURALNESS, row, strict=False):
        yield _choice(str(number), str(number), f"shift+{key}")
    yield "      </Choices></View>"
    yield "    </View>"


def _required(message: str) -> str:
    return f'required="true" requiredMessage={quoteattr(message)}'


def _choice(text: str, alias: str, key: str, hint: str = "") -> str:
    attributes = {"value": text, "alias": alias, "hotkey": key, "hint": hint}
    given = " ".join(f"{name}={quoteattr(what)}" for name, what in attributes.items() if what)
    return f"          <Choice {given}/>"
