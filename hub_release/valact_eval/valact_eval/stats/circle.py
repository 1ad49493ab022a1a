"""The ten values in circle order, the PVQ-40 scoring key, angles and higher-order values."""

import math
from collections.abc import Mapping
from typing import Final

VALUES: Final = (
    "self_direction",
    "stimulation",
    "hedonism",
    "achievement",
    "power",
    "security",
    "conformity",
    "tradition",
    "benevolence",
    "universalism",
)

PVQ40_KEY: Final[Mapping[str, tuple[int, ...]]] = {
    "self_direction": (1, 11, 22, 34),
    "stimulation": (6, 15, 30),
    "hedonism": (10, 26, 37),
    "achievement": (4, 13, 24, 32),
    "power": (2, 17, 39),
    "security": (5, 14, 21, 31, 35),
    "conformity": (7, 16, 28, 36),
    "tradition": (9, 20, 25, 38),
    "benevolence": (12, 18, 27, 33),
    "universalism": (3, 8, 19, 23, 29, 40),
}
"""Items (1-40) of each value in the PVQ-40. No item is reversed."""

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
