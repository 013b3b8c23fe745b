"""A batch is past and future, bytes until it is used, and knows displacements as far as its clips do."""

import torch

from vidgan.data.batch import ClipBatch, collate


def test_a_batch_is_past_and_future_and_is_scaled_where_it_is_used():
    frames = torch.arange(256, dtype=torch.uint8).view(4, 4, 1, 4, 4)
    batch = collate([(clip, label) for label, clip in enumerate(frames)], 3)
    assert (len(batch), batch.context_frames, batch.frames.dtype) == (4, 3, torch.uint8)
    assert batch.past.shape[1] == 3
    assert torch.equal(torch.cat([batch.past, batch.future], 1), frames)
    scaled = batch.to("cpu")
    assert (scaled.frames.dtype, scaled.frames.min(), scaled.frames.max()) == (torch.float32, -1, 1)
    assert torch.equal(scaled.to("cpu").frames, scaled.frames)
    part = scaled[1:3]
    assert isinstance(part, ClipBatch)
    assert part.labels.tolist() == [1, 2]
    assert torch.equal(part.frames, scaled.frames[1:3])


def test_displacements_are_kept_for_the_clips_that_have_them():
    frames, known = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.randn(2, 2, 8, 8)
    batch = collate([(frames, 0), (frames, 3, known), (frames, 1)], 2).to("cpu")
    assert batch.labels.tolist() == [0, 3, 1]
    assert torch.equal(batch.displacement[1], known)
    assert batch.displacement[[0, 2]].isnan().all()
    assert torch.equal(batch[1:2].displacement[0], known)
    assert collate([(frames, 0)], 2).displacement is None
