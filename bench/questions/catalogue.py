"""Every question, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Sequence

from bench.questions import Question
from bench.questions.online import Online

QUESTIONS: Sequence[type[Question]] = (Online,)
