"""Do 95 % intervals hold the truth 95 % of the time? Two hundred simulated studies."""

import numpy as np
import pytest
from eval_coverage import study, truths

SCENARIOS, RUNS, STUDIES = 100, 10, 200


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_intervals_cover_the_truth():
    true = truths(SCENARIOS, RUNS, seed=10**6, times=200)
    studies = [study(SCENARIOS, RUNS, seed, draws=300) for seed in range(STUDIES)]
    covered = {}
    for name, truth in true.items():
        found = [one[name] for one in studies]
        known = [e.low <= truth <= e.high for e in found if e.low is not None]
        assert len(known) == STUDIES, f"{name}: no interval in some study"
        covered[name] = np.mean(known)
    table = "\n".join(f"{share:.3f}  {name}" for name, share in sorted(covered.items()))
    print(f"\n{table}\n{np.mean(list(covered.values())):.4f}  pooled over {len(covered)}")
    assert 0.93 <= np.mean(list(covered.values())) <= 0.97, table
    for name, share in covered.items():
        assert 0.88 <= share <= 0.995, f"{name}: {share:.3f}\n{table}"
