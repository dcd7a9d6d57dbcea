"""The measure itself: what is the same scores high, what is noise or hacked to pieces scores low, whenever it begins."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.calls.stoi import intelligibility, read
from tests.postgres.server import temporary_directory


def _speech(directory: Path) -> tuple[np.ndarray, int]:
    file = directory / "speech.wav"
    words = "The quick brown fox jumps over the lazy dog, and nobody hears it."
    subprocess.run(["espeak-ng", "-v", "en", "-s", "150", "-w", str(file), words], check=True)
    return read(file)


@pytest.fixture(scope="module")
def speech() -> tuple[np.ndarray, int]:
    with temporary_directory() as directory:
        return _speech(directory)


def test_a_copy_that_begins_later_is_understood(speech: tuple[np.ndarray, int]) -> None:
    samples, rate = speech
    heard = np.concatenate([np.zeros(rate // 3), samples * 0.5, np.zeros(rate // 2)])
    assert intelligibility(samples, heard, rate) > 0.99


def test_noise_is_not_understood(speech: tuple[np.ndarray, int]) -> None:
    samples, rate = speech
    noise = np.random.default_rng(1).normal(0, samples.std(), len(samples) * 2)
    assert intelligibility(samples, noise, rate) < 0.5


def test_a_voice_that_comes_and_goes_is_not_understood(speech: tuple[np.ndarray, int]) -> None:
    samples, rate = speech
    gaps = np.where((np.arange(len(samples)) // (rate // 8)) % 2 == 0, samples, 0.0)
    heard = np.concatenate([gaps, np.zeros(rate)])
    assert intelligibility(samples, heard, rate) < 0.75
