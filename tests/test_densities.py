"""Networks that return densities: heads, losses and mixtures, against PyTorch's distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import distributions, nn

import ddl
from ddl.models import (
    MeanVariance,
    MixtureDensity,
    beta_nll,
    cost,
    gaussian_nll,
    mixture_density,
    mixture_nll,
)


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


# Mean and variance


def test_the_two_heads_share_the_backbone():
    model = MeanVariance((3, 8, 6), outputs=2, activation=nn.ReLU, seed=0)
    x = normal(7, 3)
    h = F.relu(model.backbone.hidden2(F.relu(model.backbone.hidden1(x))))
    mean, variance = model(x).chunk(2, dim=-1)
    assert torch.allclose(mean, model.mean(h), atol=1e-6)
    assert torch.allclose(variance, F.softplus(model.variance(h)) + 1e-6, atol=1e-6)
    assert [name for name, _ in model.named_children()] == ["positive", "backbone", "mean", "variance"]
    assert cost(model).parameters == (3 * 8 + 8) + (8 * 6 + 6) + 2 * (6 * 2 + 2)


def test_without_hidden_layers_the_heads_are_linear():
    model = MeanVariance((3,), seed=0)
    assert torch.equal(model(normal(7, 3))[:, :1], model.mean(normal(7, 3)))


@pytest.mark.parametrize("link", ["softplus", "exp"])
def test_variances_stay_between_the_least_and_infinity(link):
    model = MeanVariance((1,), link=link, least=0.01)
    with torch.no_grad():
        model.variance.weight.fill_(1.0)
        model.variance.bias.zero_()
    x = torch.tensor([[-1e4], [-1.0], [0.0], [1.0], [1e4]])
    variance = model(x)[:, 1]
    assert torch.isfinite(variance).all()
    assert variance[0].item() == pytest.approx(0.01)
    formula = F.softplus if link == "softplus" else torch.exp
    assert torch.allclose(variance[1:4], 0.01 + formula(x[1:4, 0]))
    gaussian_nll(model(x), torch.ones(5, 1)).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_seed_fixes_the_weights_and_leaves_the_global_state_alone():
    state = torch.get_rng_state()
    for make in (lambda s: MeanVariance((2, 4), seed=s), lambda s: MixtureDensity((2, 4), 3, seed=s)):
        first, same, other = (torch.nn.utils.parameters_to_vector(make(s).parameters()) for s in (3, 3, 4))
        assert torch.equal(first, same)
        assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("targets", [1, 3])
def test_gaussian_nll_is_that_of_the_normal_distribution(targets):
    mean, variance, y = normal(9, targets), normal(9, targets, seed=1).exp(), normal(9, targets, seed=2)
    ours = gaussian_nll(torch.cat([mean, variance], dim=1), y)
    wanted = -distributions.Normal(mean, variance.sqrt()).log_prob(y).sum(1).mean()
    assert ours.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert ours.item() == pytest.approx(
        targets * F.gaussian_nll_loss(mean, y, variance, full=True).item(), rel=1e-6
    )


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_beta_nll_weighs_each_term_by_a_power_of_its_variance(beta):
    mean, variance, y = normal(9, 2).requires_grad_(), normal(9, 2, seed=1).exp(), normal(9, 2, seed=2)
    variance.requires_grad_()
    loss = beta_nll(torch.cat([mean, variance], dim=1), y, beta)
    for_mean, for_variance = torch.autograd.grad(loss, [mean, variance])
    assert torch.allclose(for_mean, (mean - y) * variance ** (beta - 1) / 9, atol=1e-6)
    by_hand = 0.5 * variance**beta * (1 / variance - (y - mean) ** 2 / variance**2) / 9
    assert torch.allclose(for_variance, by_hand, atol=1e-6)
    if beta == 0:
        assert loss.item() == pytest.approx(gaussian_nll(torch.cat([mean, variance], dim=1), y).item())


def test_beta_nll_of_one_half_is_the_default():
    output, y = torch.cat([normal(9, 1), normal(9, 1).exp()], dim=1), normal(9, 1, seed=2)
    assert torch.equal(beta_nll(output, y), beta_nll(output, y, 0.5))


@pytest.mark.parametrize("loss", [gaussian_nll, beta_nll])
@pytest.mark.parametrize("shapes", [((9, 2), (9,)), ((9, 2), (8, 1)), ((9, 3), (9, 1)), ((9, 1), (9, 1))])
def test_shapes_that_do_not_fit_are_refused(loss, shapes):
    with pytest.raises(ValueError, match="the output is"):
        loss(torch.ones(shapes[0]), torch.ones(shapes[1]))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: MeanVariance((1, 5), link="square"), ValueError, "link is 'square'"),
        (lambda: MeanVariance((1, 5), least=0), ValueError, "least is 0"),
        (lambda: MeanVariance((1, 5), outputs=0), ValueError, "outputs is 0"),
        (lambda: MeanVariance(()), ValueError, "at least the number of inputs"),
        (lambda: MixtureDensity((1, 5), components=0), ValueError, "components is 0"),
        (lambda: MixtureDensity((1, 5), components=2, outputs=1.5), TypeError, "outputs is 1.5"),
        (lambda: beta_nll(torch.ones(2, 2), torch.ones(2, 1), -1), ValueError, "beta is -1"),
        (lambda: mixture_density(torch.ones(4, 7)), ValueError, "multiple of 3"),
        (lambda: mixture_density(torch.ones(4, 0)), ValueError, "multiple of 3"),
        (lambda: mixture_nll(torch.ones(4, 6), torch.ones(5, 1)), ValueError, "differ in the examples"),
        (lambda: mixture_density(torch.ones(4, 6)).sample(3), TypeError, "rng is 3"),
    ],
)
def test_wrong_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_learned_variance_finds_the_noise_of_each_place():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(2000, 1))
    y = 2 * x + rng.normal(size=x.shape) * np.where(x < 0, 0.1, 0.5)
    x, y = (torch.from_numpy(values).float() for values in (x, y))
    model = MeanVariance((1, 16), seed=0)
    ddl.fit(model, (x, y), loss=gaussian_nll, epochs=400, lr=0.02, optimizer="adam")
    deviation = model(torch.tensor([[-0.5], [0.5]]))[:, 1].sqrt()
    assert deviation.tolist() == pytest.approx([0.1, 0.5], rel=0.15)


def test_an_ensemble_trains_two_heads():
    data = ddl.datasets.heteroscedastic_sine(50, rng=ddl.rng(1)).standardized()
    models = [MeanVariance((1, 8), seed=seed) for seed in range(3)]
    ensemble = ddl.Ensemble(models, batched=True)
    together = ddl.fit(ensemble, data, loss=gaussian_nll, epochs=5, lr=0.1)
    for index, model in enumerate(models):
        alone = ddl.fit(model, data, loss=gaussian_nll, epochs=5, lr=0.1)
        assert together["loss"][:, index] == pytest.approx(alone["loss"], rel=1e-4)


# Mixtures


def pieces(n=9, K=4, m=2):
    """The output of a network, and the same distribution made by PyTorch."""
    logits, means, variances = normal(n, K), normal(n, K, m, seed=1), normal(n, K, m, seed=2).exp()
    output = torch.cat([logits, means.flatten(1), variances.flatten(1)], dim=1)
    components = distributions.Independent(distributions.Normal(means, variances.sqrt()), 1)
    return output, distributions.MixtureSameFamily(distributions.Categorical(logits=logits), components)


@pytest.mark.parametrize("m", [1, 2])
def test_a_mixture_is_the_one_of_pytorch(m):
    output, theirs = pieces(m=m)
    ours, y = mixture_density(output, m), normal(9, m, seed=3)
    assert torch.allclose(ours.log_density(y), theirs.log_prob(y), atol=1e-5)
    assert mixture_nll(output, y).item() == pytest.approx(-theirs.log_prob(y).mean().item(), rel=1e-5)
    assert torch.allclose(ours.mean(), theirs.mean, atol=1e-6)
    assert torch.allclose(ours.variance(), theirs.variance, atol=1e-5)
    joint = theirs.component_distribution.log_prob(y[:, None]).exp() * theirs.mixture_distribution.probs
    assert torch.allclose(ours.responsibilities(y), joint / joint.sum(1, keepdim=True), atol=1e-5)


def test_far_away_the_likelihood_is_small_but_finite():
    output, _ = pieces(m=1)
    output.requires_grad_()
    y = torch.full((9, 1), 1e6)
    loss = mixture_nll(output, y)
    loss.backward()
    assert 1e6 < loss.item() < math.inf
    assert output.grad.isfinite().all()
    responsibilities = mixture_density(output.detach()).responsibilities(y)
    assert torch.allclose(responsibilities.sum(1), torch.ones(9))


def test_the_mode_is_the_mean_where_the_density_is_highest():
    # a light narrow component beats a heavy wide one; two that overlap beat a single one
    output = torch.tensor(
        [[0.4, 0.6, 0.001, 0.0, 5.0, 9.0, 0.01, 1.0, 1.0], [0.35, 0.25, 0.4, 0.0, 0.1, 9.0, 1.0, 1.0, 1.0]]
    )
    output[:, :3] = output[:, :3].log()
    density = mixture_density(output)
    assert density.mode().tolist() == [[0.0], [0.0]]
    grid = torch.linspace(-5, 15, 2001)
    for row in range(2):
        values = mixture_density(output[row].expand(2001, -1)).log_density(grid[:, None])
        assert abs(grid[values.argmax()] - density.mode()[row]) < 0.1


def test_samples_come_from_the_mixture():
    output, theirs = pieces(n=1, K=3, m=2)
    drawn = mixture_density(output.expand(40000, -1), 2).sample(np.random.default_rng(0))
    assert drawn.shape == (40000, 2)
    assert torch.allclose(drawn.mean(0), theirs.mean[0], atol=0.05)
    assert torch.allclose(drawn.var(0), theirs.variance[0], rtol=0.05)
    again = mixture_density(output.expand(40000, -1), 2).sample(np.random.default_rng(0))
    assert torch.equal(drawn, again)
    certain = mixture_density(torch.tensor([[-1e9, 0.0, 1.0, 2.0, 1e-12, 1e-12]]).expand(50, -1))
    assert torch.allclose(certain.sample(np.random.default_rng(0)), torch.tensor(2.0), atol=1e-4)


def test_heads_are_packed_as_they_are_read():
    model = MixtureDensity((3, 8), components=4, outputs=2, seed=0)
    x = normal(2, 7, 3)
    density = mixture_density(model(x), 2)
    h = torch.tanh(model.backbone.hidden1(x))
    assert torch.allclose(density.log_weights, model.gate(h).log_softmax(-1), atol=1e-6)
    assert torch.allclose(density.means, model.means(h).reshape(2, 7, 4, 2), atol=1e-6)
    raw = model.variances(h).reshape(2, 7, 4, 2)
    assert torch.allclose(density.variances, F.softplus(raw) + 1e-6, atol=1e-6)
    assert density.mode().shape == density.mean().shape == (2, 7, 2)


def test_constant_variances_do_not_depend_on_the_input_and_are_learned():
    model = MixtureDensity((1,), components=2, constant_variance=True, seed=0)
    x = normal(300, 1)
    y = torch.where(x > 0, 3 * x, -x) + 0.1 * normal(300, 1, seed=5)
    ddl.fit(model, (x, y), loss=mixture_nll, epochs=600, lr=0.05, optimizer="adam")
    density = mixture_density(model(x))
    assert torch.equal(density.variances, density.variances[:1].expand(300, -1, -1))
    assert density.variances[0].sqrt().flatten().tolist() == pytest.approx([0.1, 0.1], rel=0.2)
    assert sorted(model.means.weight.flatten().tolist()) == pytest.approx([-1, 3], abs=0.1)
