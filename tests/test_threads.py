"""Little work stays on one thread, and whoever calls finds torch as before."""

import pytest
import torch

from gatework.engine.threads import SHARED_FROM, threads_for


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_little_work_has_one_thread_and_much_has_all():
    with threads_for(SHARED_FROM - 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with threads_for(SHARED_FROM):
        assert torch.get_num_threads() == 2


def test_an_error_leaves_the_threads_as_they_were():
    with pytest.raises(ZeroDivisionError), threads_for(1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


def test_one_window_is_predicted_on_one_thread_and_training_is_left_alone():
    from gatework.data.samples import Batch
    from gatework.model import SequenceModel
    from gatework.ragged import Ragged

    seen: list[int] = []

    class Network(SequenceModel):
        def __init__(self):
            torch.nn.Module.__init__(self)
            self.recurrent = torch.nn.LSTM(1, 8)

        def forward(self, inputs, future=None):
            seen.append(torch.get_num_threads())
            return inputs.values

    none = torch.zeros(1, 0)
    batch = Batch(Ragged.dense(torch.zeros(1, 5, 1)), none, none, none, torch.zeros(1))
    with torch.inference_mode():
        Network().predict(batch)
    Network().predict(batch)
    assert seen == [1, 2]
