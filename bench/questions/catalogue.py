"""Every question, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Sequence

from bench.questions import Question
from bench.questions.floor import Floor
from bench.questions.growth import Growth
from bench.questions.idle import Idle
from bench.questions.offline import Offline
from bench.questions.online import Online
from bench.questions.signals import Signals
from bench.questions.start import Start
from bench.questions.workers import Workers

QUESTIONS: Sequence[type[Question]] = (Online, Offline, Idle, Signals, Growth, Workers, Start, Floor)
