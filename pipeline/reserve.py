"""How large a reserve must be, so that no domain runs out of scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scipy.optimize import brentq
from scipy.stats import nbinom

from pipeline.config import Config
from pipeline.funnel import Funnel
from pipeline.workspace import load_manifest

SURE = 0.99
"""Chance that every domain's reserve is enough."""
_UNTRIED = {"reserve_unused", "not_needed"}


def shortfall(quota: int, reserve: int, share: float) -> float:
    """Return the chance that fewer than `quota` of `quota + reserve` items can be used.

    Each fails by itself with the chance `share`: the failures before the `quota`-th success follow
    a negative binomial distribution.
    """
    return float(nbinom.sf(reserve, quota, 1 - share))


def most_failing(quota: int, reserve: int, domains: int) -> float:
    """Return the largest share of items that may fail, if every domain is to be filled."""
    allowed = (1 - SURE) / domains
    return float(brentq(lambda share: shortfall(quota, reserve, share) - allowed, 0.0, 1 - 1e-9))


def reserve_needed(quota: int, share: float, domains: int) -> int:
    """Return the least reserve of a domain that is enough if a share (below 1) of items fails."""
    return int(nbinom.ppf(1 - (1 - SURE) / domains, quota, 1 - share))


def lines(config: Config) -> list[str]:
    """Return what a plan says of the reserves, with what the last build lost if there was one."""
    domains = len(config.domains)
    quota = config.select.scenarios // domains
    workspace = Path(config.build.workspace)
    told = []
    reserves: Mapping[str, tuple[str, int, tuple[str, ...]]] = {
        "posts": ("select.reserve", config.select.reserve, ("vote", "rewrite", "generate")),
        "scenarios": ("rewrite.reserve", config.rewrite.reserve, ("generate",)),
    }
    for what, (key, reserve, stages) in reserves.items():
        most = most_failing(quota, reserve, domains)
        told.append(
            f"{key} = {reserve}: with {quota} wanted a domain, at most {most:.1%} of the {what} "
            f"may be unusable ({SURE:.0%} sure for all {domains} domains)"
        )
        lost = [_lost(workspace, stage) for stage in stages]
        if all(tried for _, tried in lost):
            share = 1.0
            for failed, tried in lost:
                share *= 1 - failed / tried
            counts = ", ".join(
                f"{stage} {failed:,} of {tried:,}"
                for stage, (failed, tried) in zip(stages, lost, strict=True)
            )
            needs = (
                f"{reserve_needed(quota, 1 - share, domains):,} would be needed"
                if share > 0
                else "none is enough"
            )
            told.append(f"    the last build lost {counts} ({1 - share:.1%} in all): {needs}")
    return told


def _lost(workspace: Path, stage: str) -> tuple[int, int]:
    """Return how many items of a finished stage failed, and of how many that were tried."""
    manifest = load_manifest(workspace, stage)
    if manifest is None:
        return 0, 0
    found = Funnel.from_json(manifest["funnel"])
    failed = sum(n for reason, n in found.reasons().items() if reason not in _UNTRIED)
    return failed, found.kept + failed
