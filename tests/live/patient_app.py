"""A relay whose batches wait for as many posts as the environment says, and for long: so that neither a slow machine nor a turn more or
less makes another number of commits."""

from __future__ import annotations

import os

from nursery_tasks import batch_writer
from relay.app import app

batch_writer.FULLER, batch_writer.FULLER_WITHIN_S = int(os.environ["PATIENT_FOR_POSTS"]), 10.0

__all__ = ["app"]
