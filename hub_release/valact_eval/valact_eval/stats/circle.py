"""Where the ten values stand: angles, higher-order values and axes."""

import math
from collections.abc import Mapping
from typing import Final

# Nine wedges: conformity and tradition share one (tradition stands outside it).
_WEDGE: Final = (0, 1, 2, 3, 4, 5, 6, 6, 7, 8)
ANGLES: Final = tuple(2 * math.pi * wedge / 9 for wedge in _WEDGE)
"""The angle of each value in radians; self-direction at 0."""

HIGHER_ORDER: Final[Mapping[str, Mapping[str, float]]] = {
    "openness_to_change": {"self_direction": 1.0, "stimulation": 1.0, "hedonism": 0.5},
    "self_enhancement": {"achievement": 1.0, "power": 1.0, "hedonism": 0.5},
    "conservation": {"security": 1.0, "conformity": 1.0, "tradition": 1.0},
    "self_transcendence": {"benevolence": 1.0, "universalism": 1.0},
}
"""Weights of the values in each higher-order value; hedonism counts half in each of two."""

AXES: Final = (
    ("openness_to_change", "conservation"),
    ("self_enhancement", "self_transcendence"),
)
"""The two axes of the circle: the first pole minus the second."""
