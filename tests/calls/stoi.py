"""How intelligible a recording still is: STOI of a reference and what was heard of it, as one number on standard output.

    python -m tests.calls.stoi reference.wav heard.wav

What was heard begins later by an unknown time, so it is aligned first, by the peak of the cross-correlation. STOI (Taal et al., 2011) is
pystoi's.
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
from pystoi import stoi


def read(path: Path) -> tuple[Any, int]:
    """Samples as floats, and how many a second."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2), "16 bit mono"
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64), file.getframerate()


def intelligibility(reference: Any, heard: Any, rate: int) -> float:
    """0 to 1. Both at `rate`; `heard` may begin anywhere and must hold all of the reference."""
    size = 1 << (len(reference) + len(heard) - 1).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(reference, size)), size)
    lag = int(np.argmax(correlation[: len(heard)]))
    aligned = heard[lag : lag + len(reference)]
    return float(stoi(reference[: len(aligned)], aligned, rate, extended=False))


def main(arguments: list[str]) -> None:
    (reference, rate), (heard, other_rate) = (read(Path(name)) for name in arguments)
    assert rate == other_rate, "both at one rate"
    sys.stdout.write(f"{intelligibility(reference, heard, rate):.4f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
