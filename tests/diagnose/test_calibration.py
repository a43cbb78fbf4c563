"""The expected calibration error by its definition, and a temperature that is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from stages.diagnose.calibration import BINS, calibration


def drawn(temperature: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a model that is right as often as it says if its logits are divided by the temperature."""
    generator = np.random.default_rng(0)
    logits = 2 * generator.normal(size=(count, 3))
    true = softmax(logits, axis=1)
    labels = (true.cumsum(1) > generator.random((count, 1))).argmax(1)
    return softmax(logits * temperature, axis=1), labels


def test_the_error_is_that_of_its_definition() -> None:
    """Σ |B|/n · |acc(B) − conf(B)| over bins (Guo et al. 2017, equation 3), bin by bin."""
    probabilities, labels = drawn(2.0, 500)
    found = calibration(probabilities, labels)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0.0
    for number in range(BINS):
        above = 2 if number == BINS - 1 else (number + 1) / BINS
        inside = [place for place in range(500) if number / BINS <= confidence[place] < above]
        if inside:
            expected += len(inside) / 500 * abs(right[inside].mean() - confidence[inside].mean())
    assert found.error == pytest.approx(expected)
    assert sum(each.examples for each in found.bins) == 500


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_is_found(temperature: float) -> None:
    found = calibration(*drawn(temperature))
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert (found.error < 0.02) == (temperature == 1.0)


def test_a_model_that_is_always_sure_and_right_errs_in_nothing() -> None:
    found = calibration(np.eye(2)[[0, 1, 1]], np.array([0, 1, 1]))
    assert (found.error, [each.examples for each in found.bins]) == (0, [3])
