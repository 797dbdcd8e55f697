import numpy as np
import torch

from cases.keypoints.flipping import FlippedFaces, flipping_loader, mirrored
from cases.keypoints.points import GROUPS, POINTS, columns_of, other_side, swapped
from cases.keypoints.reading import Faces, reduced
from cases.keypoints.training import inputs, targets
from tests.cases.faces import PLACES, synthetic

ALL = list(range(30))


def held(faces: Faces) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(inputs(faces)), torch.from_numpy(targets(faces))


def test_a_mirrored_face_has_its_dots_under_the_swapped_points() -> None:
    faces = synthetic(8, 2)
    X, y = held(faces)

    pictures, told = mirrored(X, y, ALL)

    pixels = (told.numpy() + 1) * 48
    assert not torch.equal(pictures, X)
    for row in range(8):
        for place, name in enumerate(POINTS):
            x, y_ = pixels[row, 2 * place : 2 * place + 2]
            assert np.isnan(x) == np.isnan(faces.points[row, 2 * POINTS.index(other_side(name))])
            if not np.isnan(x):
                assert pictures[row, 0, int(y_), int(x)] == 1.0  # the dot
    left = pixels[0, 2 * POINTS.index("left_eye_center")]
    assert left > 48  # the left eye of the person stays on the right of the picture
    assert PLACES["left_eye_center"][0] > 48


def test_mirrored_twice_is_the_face_itself_also_at_half_the_size() -> None:
    X, y = held(reduced(synthetic(4, 2), 48))

    again = mirrored(*mirrored(X, y, ALL), ALL)

    assert torch.equal(again[0], X)
    torch.testing.assert_close(again[1], y, equal_nan=True)


def test_each_group_of_the_specialists_is_closed_under_mirroring_and_together_they_are_all_points() -> None:
    columns = [column for points in GROUPS.values() for column in columns_of(points)]

    assert sorted(columns) == ALL
    for points in GROUPS.values():
        own = columns_of(points)
        assert sorted(swapped(own)) == list(range(len(own)))


def test_about_half_are_mirrored_and_the_faces_that_are_held_stay_as_they_are() -> None:
    X, y = held(synthetic(200, 2))
    before = X.clone()
    data = FlippedFaces(X, y, ALL, seed=0)

    pictures, _ = data.__getitems__(list(range(200)))

    turned = (pictures != X).flatten(1).any(dim=1)
    assert 80 < turned.sum() < 120
    assert torch.equal(X, before)
    torch.testing.assert_close(pictures[turned], X[turned].flip(-1))


def test_the_seed_decides_order_and_flips_and_an_epoch_has_every_row_once() -> None:
    X, y = held(synthetic(20, 2))

    first, same, other = (list(flipping_loader(X, y, ALL, batch_size=8, seed=seed)) for seed in (1, 1, 2))

    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, same, strict=True))
    assert not all(torch.equal(a[0], b[0]) for a, b in zip(first, other, strict=True))
    assert [len(batch[0]) for batch in first] == [8, 8, 4]
    seen = torch.cat([batch[0] for batch in first]).sum(dim=(1, 2, 3)).sort().values
    torch.testing.assert_close(seen, X.sum(dim=(1, 2, 3)).sort().values)
