# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU rasterizer against the naive one, which is checked against finite differences."""

import threading
from dataclasses import fields, replace

import pytest
import torch

from headgas.splatting import Camera, Gaussians, get_threads, rasterize, set_threads
from headgas.splatting.example import egg
from headgas.splatting.pixels import count_contributions

NAMES = [field.name for field in fields(Gaussians)]


@pytest.fixture
def restore_threads():
    before = get_threads()
    yield
    set_threads(before)


def leaves(gaussians: Gaussians, dtype: torch.dtype) -> Gaussians:
    return Gaussians(*(getattr(gaussians, name).detach().to(dtype).clone().requires_grad_() for name in NAMES))


def random_like(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def render_and_differentiate(
    gaussians: Gaussians, camera: Camera, implementation: str, dtype: torch.dtype, depth_gradient=True, **options
):
    gaussians = leaves(gaussians, dtype)
    offsets = torch.zeros(len(gaussians), 2, dtype=dtype, requires_grad=True)
    options = {key: value.to(dtype) if isinstance(value, torch.Tensor) else value for key, value in options.items()}
    result = rasterize(gaussians, camera, implementation=implementation, screen_offsets=offsets, **options)
    loss = (result.color * random_like(*result.color.shape).to(dtype)).sum()
    loss = loss + (result.alpha * random_like(*result.alpha.shape).to(dtype)).sum()
    if result.depth is not None and depth_gradient:
        loss = loss + (result.depth * random_like(1, *result.depth.shape)[0].to(dtype))[result.alpha > 0].sum()
    loss.backward()
    gradients = {name: getattr(gaussians, name).grad for name in NAMES} | {"screen_offsets": offsets.grad}
    return result, gradients


def assert_gradients_close(ours: dict, truth: dict, tolerance: float) -> None:
    for name, wanted in truth.items():
        error = (ours[name].double() - wanted.double()).norm() / wanted.double().norm()
        assert error < tolerance, f"{name}: {error:.1e}"


def parallel(camera: Camera) -> Camera:
    """The orthographic camera that shows `egg` as large as `camera` does from 5 m."""
    return replace(camera, K=camera.K @ torch.diag(torch.tensor([0.2, 0.2, 1.0])), orthographic=True)


@pytest.mark.parametrize(
    ("channels", "antialiased", "with_depth", "size", "yaw", "orthographic"),
    [(3, False, True, (70, 45), 0.0, False), (3, True, True, (70, 45), 0.3, False),
     (3, True, False, (33, 64), 0.3, False), (4, False, True, (64, 32), -0.5, False),
     (1, True, True, (40, 41), 0.2, False), (7, False, True, (45, 37), 0.1, False),
     (17, True, True, (24, 33), 0.1, False), (3, False, True, (70, 45), 0.3, True),
     (3, True, True, (33, 64), -0.5, True)],
)  # fmt: skip
def test_numba_equals_the_reference(channels, antialiased, with_depth, size, yaw, orthographic):
    gaussians, camera = egg(300, *size, channels=channels, sigma=(0.8, 3.0), yaw=yaw)
    camera = parallel(camera) if orthographic else camera
    gaussians.means[:60] *= 1.8  # over the frame's border
    gaussians.means[60:64, 2] -= 4.9  # close to the camera and behind it
    options = {"antialiased": antialiased, "with_depth": with_depth, "background": torch.rand(channels)}
    ours, our_gradients = render_and_differentiate(gaussians, camera, "numba", torch.float32, **options)
    truth, true_gradients = render_and_differentiate(gaussians, camera, "reference", torch.float64, **options)
    torch.testing.assert_close(ours.color.double(), truth.color, rtol=0, atol=2e-5)
    torch.testing.assert_close(ours.alpha.double(), truth.alpha, rtol=0, atol=2e-5)
    if with_depth:
        torch.testing.assert_close(ours.depth.double(), truth.depth, rtol=3e-5, atol=0)
    assert_gradients_close(our_gradients, true_gradients, 2e-4)


def test_saturated_pixels_and_clamped_alphas_have_the_references_gradients():
    gaussians, camera = egg(400, 40, 40, sigma=(3.0, 8.0))
    gaussians = replace(gaussians, opacities=torch.linspace(0.9, 1.0, 400))
    ours, our_gradients = render_and_differentiate(gaussians, camera, "numba", torch.float32)
    truth, true_gradients = render_and_differentiate(gaussians, camera, "reference", torch.float64)
    assert (truth.alpha > 0.9989).any()
    # a pixel whose transmittance comes within float32's rounding of 1e-4 may stop one Gaussian earlier or later
    assert ((ours.color.double() - truth.color).abs().amax(-1) < 2e-5).float().mean() > 0.995
    assert_gradients_close(our_gradients, true_gradients, 2e-2)


def test_without_a_depth_gradient_the_depth_changes_nothing():
    gaussians, camera = egg(300, 50, 50)
    _, with_depth = render_and_differentiate(gaussians, camera, "numba", torch.float32, depth_gradient=False)
    _, without = render_and_differentiate(gaussians, camera, "numba", torch.float32, with_depth=False)
    for name, gradient in without.items():
        assert torch.equal(with_depth[name], gradient), name


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("antialiased", [False, True])
def test_the_reference_passes_gradcheck(antialiased, orthographic):
    gaussians, camera = egg(5, 6, 5, channels=2, sigma=(1.0, 2.0), yaw=0.2)
    camera = parallel(camera) if orthographic else camera
    inputs = [tensor.double().requires_grad_() for tensor in (*vars(gaussians).values(), torch.zeros(5, 2))]

    def outputs(*tensors):
        background = torch.tensor([0.3, 0.6]).double()
        result = rasterize(
            Gaussians(*tensors[:5]), camera, screen_offsets=tensors[5], implementation="reference",
            antialiased=antialiased, background=background, alpha_threshold=1e-9,
        )  # fmt: skip
        return result.color, result.alpha, result.depth

    assert torch.autograd.gradcheck(outputs, inputs, atol=1e-4)


@pytest.mark.parametrize("implementation", ["numba", "reference"])
def test_a_point_before_an_orthographic_camera_lies_where_its_distance_does_not_matter(implementation):
    view = parallel(egg(1, 40, 30, yaw=0.3)[1])
    place = torch.tensor([(33.5 - 20) / view.K[0, 0], (7.5 - 15) / view.K[1, 1], 0.0])
    for z in (0.5, 7.0):
        mean = view.viewmat[:3, :3].T @ (place + torch.tensor([0.0, 0.0, z]) - view.viewmat[:3, 3])
        one = Gaussians(mean[None], torch.ones(1, 4), torch.full((1, 3), 0.01), torch.ones(1), torch.ones(1, 3))
        result = rasterize(one, view, implementation=implementation)
        assert (result.alpha == result.alpha.max()).nonzero().tolist() == [[7, 33]] and result.alpha.max() > 0.99
        assert result.depth[7, 33].item() == pytest.approx(z, rel=1e-5)
    assert not rasterize(one, view, near=7.1, implementation=implementation).alpha.any()


def test_an_orthographic_camera_sees_what_a_narrow_one_sees_from_far_away():
    gaussians, camera = egg(300, 50, 40, yaw=0.4)
    far = camera.viewmat.double()
    far[2, 3] = 1e7
    zoomed = replace(camera, viewmat=far, K=camera.K.double() @ torch.diag(torch.tensor([2e6, 2e6, 1.0])).double())
    ours = rasterize(gaussians, parallel(camera))
    narrow = rasterize(leaves(gaussians, torch.float64), zoomed, implementation="reference")
    assert (ours.color - rasterize(gaussians, camera).color).abs().max() > 0.1
    torch.testing.assert_close(ours.color.double(), narrow.color, rtol=0, atol=1e-4)
    hit = ours.alpha > 0.1
    torch.testing.assert_close(ours.depth[hit].double(), narrow.depth[hit] - far[2, 3] + 5, rtol=0, atol=1e-3)


def test_an_orthographic_camera_looks_in_one_direction():
    view = parallel(egg(1, 40, 30, yaw=0.3)[1])
    directions = torch.nn.functional.normalize(torch.randn(50, 3) - view.position, dim=1)
    torch.testing.assert_close(directions, view.viewmat[2, :3].expand(50, 3), rtol=0, atol=1e-5)


def test_contributions_are_those_that_the_blending_counts():
    gaussians, camera = egg(150, 30, 25, sigma=(2.0, 5.0), yaw=0.2)
    gaussians = replace(gaussians, opacities=torch.linspace(0.3, 1.0, 150))
    for view, antialiased in ((camera, False), (parallel(camera), True)):
        counts = count_contributions(gaussians, view, antialiased=antialiased, near=4.8)
        truth = counted_one_by_one(gaussians, view, antialiased, 4.8)
        # a transmittance or an alpha within float32's rounding of its limit may count or not
        assert ((counts - truth).abs() <= 1).all() and (counts == truth).float().mean() > 0.995
        assert truth.max() > 8


def counted_one_by_one(gaussians: Gaussians, camera: Camera, antialiased: bool, near: float) -> torch.Tensor:
    """The naive twin: each Gaussian alone has its alpha in each pixel; then front to back until a pixel is full."""
    depths = gaussians.means @ camera.viewmat[2, :3] + camera.viewmat[2, 3]
    transmittance, live = torch.ones(camera.height, camera.width), torch.ones(camera.height, camera.width).bool()
    counts = torch.zeros(camera.height, camera.width, dtype=torch.int32)
    for i in depths.argsort().tolist():
        alone = Gaussians(*(getattr(gaussians, name)[i : i + 1] for name in NAMES))
        alpha = rasterize(alone, camera, antialiased=antialiased, near=near).alpha
        live &= transmittance * (1 - alpha) > 1e-4
        counts += live & (alpha > 0)
        transmittance = torch.where(live, transmittance * (1 - alpha), transmittance)
    return counts


def test_screen_offsets_move_the_picture():
    gaussians, camera = egg(200, 48, 48)
    moved = rasterize(gaussians, camera, screen_offsets=torch.tensor([[3.0, 2.0]]).repeat(200, 1))
    still = rasterize(gaussians, camera)
    torch.testing.assert_close(moved.color[2:, 3:], still.color[:-2, :-3], rtol=0, atol=2e-5)


def test_the_background_shows_through_and_gets_a_gradient():
    gaussians, camera = egg(200, 40, 30)
    background = torch.tensor([0.2, 0.5, 0.9], requires_grad=True)
    result = rasterize(gaussians, camera, background=background)
    black = rasterize(gaussians, camera)
    torch.testing.assert_close(result.color, black.color + (1 - black.alpha)[..., None] * background, rtol=0, atol=1e-6)
    result.color.sum().backward()
    torch.testing.assert_close(background.grad, (1 - black.alpha).sum().expand(3), rtol=1e-4, atol=0)


def test_the_bits_do_not_depend_on_the_threads(restore_threads):
    gaussians, camera = egg(3000, 150, 130)
    results = []
    for threads in (1, 2, 3, 7):
        set_threads(threads)
        result, gradients = render_and_differentiate(gaussians, camera, "numba", torch.float32)
        results.append([*vars(result).values(), *gradients.values()])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_several_images_can_wait_for_their_gradients():
    gaussians, camera = egg(500, 64, 64)
    _, separate = render_and_differentiate(gaussians, camera, "numba", torch.float32, with_depth=False)
    shared = leaves(gaussians, torch.float32)
    results = [rasterize(shared, replace(camera, width=w), with_depth=False) for w in (64, 30)]
    (results[1].color.sum() * 0).backward(retain_graph=True)
    color, alpha = random_like(64, 64, 3), random_like(64, 64)
    ((results[0].color * color).sum() + (results[0].alpha * alpha).sum()).backward()
    for name in NAMES:
        assert torch.equal(getattr(shared, name).grad, separate[name]), name


def test_threads_may_render_at_the_same_time():
    scenes = [egg(2000, 100, 100, seed=seed) for seed in range(4)]
    wanted = [rasterize(*scene).color for scene in scenes]
    wrong = []

    def work(index: int) -> None:
        for _ in range(10):
            if not torch.equal(rasterize(*scenes[index]).color, wanted[index]):
                wrong.append(index)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@pytest.mark.parametrize("implementation", ["numba", "reference"])
@pytest.mark.parametrize("size", [(1, 1), (9, 33), (8, 32)])
def test_nothing_to_see(implementation, size):
    gaussians, camera = egg(20, *size)
    behind = replace(gaussians, means=gaussians.means - torch.tensor([0.0, 0.0, 100.0]))
    none = Gaussians(*(getattr(gaussians, name)[:0] for name in NAMES))
    for invisible in (leaves(behind, torch.float32), leaves(none, torch.float32)):
        result = rasterize(invisible, camera, background=torch.tensor([0.1, 0.2, 0.3]), implementation=implementation)
        assert torch.equal(result.color, torch.tensor([0.1, 0.2, 0.3]).expand(size[1], size[0], 3))
        assert (result.alpha == 0).all() and (result.depth == 1e10).all()
    if implementation == "numba":
        (result.color.sum() + result.alpha.sum()).backward()
        assert all((getattr(invisible, name).grad == 0).all() for name in NAMES)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 0.0])
@pytest.mark.parametrize("name", NAMES)
def test_numbers_that_make_no_sense_do_not_crash(name, bad):
    gaussians, camera = egg(100, 50, 50)
    getattr(gaussians, name)[::3] = bad
    result, _ = render_and_differentiate(gaussians, camera, "numba", torch.float32)
    assert result.color.shape == (50, 50, 3)
    clean, _ = egg(100, 50, 50)
    assert rasterize(clean, camera).color.isfinite().all()


def test_gradients_reach_inputs_that_are_not_contiguous():
    gaussians, camera = egg(100, 40, 40)
    _, wanted = render_and_differentiate(gaussians, camera, "numba", torch.float32, with_depth=False)
    flipped = replace(gaussians, means=gaussians.means.T.contiguous().T, colors=gaussians.colors.repeat(1, 2)[:, :3])
    flipped = Gaussians(*(getattr(flipped, name).requires_grad_() for name in NAMES))
    result = rasterize(flipped, camera, with_depth=False)
    torch.autograd.backward((result.color, result.alpha), (random_like(40, 40, 3), random_like(40, 40)))
    for name in NAMES:
        assert torch.equal(getattr(flipped, name).grad, wanted[name]), name


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [({"means": torch.zeros(20, 2)}, {}, r"means must have the shape \[20, 3\]"),
     ({"scales": torch.zeros(19, 3)}, {}, "scales must have the shape"),
     ({"opacities": torch.zeros(20, 1)}, {}, "opacities must have the shape"),
     ({"colors": torch.zeros(20, 0)}, {}, "at least one channel"),
     ({"colors": torch.zeros(20, 3).double()}, {}, "colors must be torch.float32"),
     ({}, {"background": torch.zeros(4)}, "background must have the shape"),
     ({}, {"screen_offsets": torch.zeros(20, 3)}, "screen_offsets must have the shape"),
     ({}, {"alpha_max": 1.0}, "alpha_max"),
     ({}, {"near": 0.0}, "near must be positive"),
     ({}, {"implementation": "gpu"}, "implementation must be"),
     ({}, {"implementation": "gsplat"}, "CUDA device")],
)  # fmt: skip
def test_what_does_not_fit_is_named(changes, options, words):
    gaussians, camera = egg(20, 10, 10)
    with pytest.raises(ValueError, match=words):
        rasterize(replace(gaussians, **changes), camera, **options)


def test_an_image_needs_pixels():
    gaussians, camera = egg(20, 10, 10)
    with pytest.raises(ValueError, match="pixels along each side"):
        rasterize(gaussians, replace(camera, width=0))
