"""The ten values in circle order, and which of the forty questionnaire items measures which.

Key of the PVQ-40 (Schwartz 2021, doi 10.9707/2307-0919.1173); no item is reversed. The wording
of the PVQ-40 is not part of this package.
"""

SCALE = (1, 6)
"""Least and greatest rating: 1 = not like me at all, 6 = very much like me."""

KEY: dict[str, tuple[int, ...]] = {
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
"""Item numbers 1..40 per value, values in circle order."""

VALUES = tuple(KEY)
ITEMS = sum(len(items) for items in KEY.values())
VALUE_OF = {item: value for value, items in sorted(KEY.items()) for item in items}
"""Value id per item number."""
