from __future__ import annotations

from benchmarks.peers.batch_job import BATCH, batches


def test_every_recipient_is_in_one_batch() -> None:
    for count in (1, BATCH, BATCH + 1, 3 * BATCH):
        numbers = [n for first, last in batches(count) for n in range(first, last + 1)]
        assert numbers == list(range(1, count + 1))
