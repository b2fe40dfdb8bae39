"""A traced run holds the numbers of autograd, and leaves the reader's tensors as they were."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from ddl.diagrams import ComputationGraph, one_node, trace
from ddl.diagrams.labels import operation_label, rounded, symbol


def scalars(*numbers):
    return [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers]


def labels(graph):
    return [node.label for node in graph.nodes]


def links(graph):
    """Edges by the labels of their ends."""
    label = {node.index: node.label for node in graph.nodes}
    return [(label[edge.source], label[edge.target]) for edge in graph.edges]


def neuron(x, w, b):
    z = x * w + b
    return {"z": z, "a": torch.tanh(z)}


def fan_out(x):
    a = x * x
    c = a * torch.exp(-x)
    return {"a": a, "c": c, "J": c + a}


class Square(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return 2 * x * gradient


# Numbers


def test_a_neuron_has_the_numbers_that_one_computes_by_hand():
    graph = trace(neuron, *scalars(2.0, -0.5, 0.3))
    assert [(node.name, node.operation) for node in graph.nodes] == [
        *(("x", ""), ("w", ""), ("b", "")),
        *(("", "×"), ("z", "+"), ("a", "tanh")),
    ]
    slope = 1 - math.tanh(-0.7) ** 2
    values = [node.value.item() for node in graph.nodes]
    assert values == pytest.approx([2, -0.5, 0.3, -1, -0.7, math.tanh(-0.7)])
    gradients = [node.gradient.item() for node in graph.nodes]
    assert gradients == pytest.approx([-0.5 * slope, 2 * slope, slope, slope, slope, 1])
    assert links(graph) == [("x", "×"), ("w", "×"), ("×", "z"), ("b", "z"), ("z", "a")]
    assert [edge.derivative for edge in graph.edges] == pytest.approx([-0.5, 2, 1, 1, slope])
    handed = [edge.contribution.item() for edge in graph.edges]
    assert handed == pytest.approx([-0.5 * slope, 2 * slope, slope, slope, slope])
    assert graph.output is graph.node("a")
    assert repr(graph) == "ComputationGraph of a: 3 leaves, 3 operations"


def test_a_tensor_that_is_used_twice_gets_two_contributions_which_add_up():
    graph = trace(lambda x: x * x + x, *scalars(3.0))
    assert links(graph) == [("x", "×"), ("x", "×"), ("×", "+"), ("x", "+")]
    assert [edge.slot for edge in graph.edges] == [0, 1, 0, 1]
    assert [edge.derivative for edge in graph.children("x")] == [3, 3, 1]
    assert [edge.contribution.item() for edge in graph.children("x")] == [3, 3, 1]
    assert graph.node("x").gradient.item() == 7


def test_a_local_derivative_is_that_of_one_argument_alone():
    """Here a depends on x too, but not in the step from x to c."""
    graph = trace(lambda x: {"a": (a := x**2), "c": a * x}, *scalars(3.0))
    assert [edge.derivative for edge in graph.parents("c")] == [3, 9]
    assert [edge.contribution.item() for edge in graph.children("x")] == [18, 9]
    assert graph.node("x").gradient.item() == 27  # the derivative of x³


def test_a_local_derivative_stays_where_the_gradient_is_zero():
    graph = trace(lambda x: torch.relu(x) * 5, *scalars(-1.0))
    assert [edge.derivative for edge in graph.edges] == [0, 5]
    graph = trace(lambda x: {"y": (y := x * 3), "J": y**2}, *scalars(0.0))
    assert [edge.derivative for edge in graph.edges] == [3, 0]
    assert [edge.contribution.item() for edge in graph.edges] == [0, 0]


def mlp():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


@pytest.mark.parametrize("open_linear", [False, True])
def test_values_and_gradients_are_those_of_autograd(open_linear):
    model, x, y = mlp(), torch.randn(6, 4, requires_grad=True), torch.arange(6) % 3

    def loss(x, y):
        hidden = model[1](model[0](x))
        return {"h": hidden, "L": functional.cross_entropy(model[2](hidden), y)}

    graph = trace(loss, x, y, module=model, open_linear=open_linear)
    hidden = model[1](model[0](x))
    hidden.retain_grad()
    loss = functional.cross_entropy(model[2](hidden), y)
    loss.backward()
    for name, tensor in {"x": x, "h": hidden, **dict(model.named_parameters())}.items():
        assert torch.allclose(graph.node(name).value, tensor, atol=1e-6)
        assert torch.allclose(graph.node(name).gradient, tensor.grad, atol=1e-6)
    assert torch.allclose(graph.node("L").value, loss)
    assert graph.node("L").gradient == 1
    assert graph.node("y").gradient is None


def test_a_linear_layer_is_one_operation_or_two():
    model, x = mlp(), torch.randn(6, 4)
    assert [node.label for node in trace(model, x).operations] == ["linear", "tanh", "linear"]
    opened = trace(model, x, open_linear=True)
    assert [node.label for node in opened.operations] == ["matmul", "+", "tanh", "matmul", "+"]
    assert torch.allclose(opened.operations[0].value, x @ model[0].weight.T)
    assert torch.allclose(opened.output.value, model(x))
    assert links(opened)[:4] == [
        *(("input", "matmul"), ("0.weight", "matmul")),
        *(("matmul", "+"), ("0.bias", "+")),
    ]
    bare = trace(nn.Linear(4, 2, bias=False), x, open_linear=True)
    assert [node.label for node in bare.operations] == ["linear"]
    weight, bias = model[0].weight, model[0].bias
    by_name = trace(
        lambda x: functional.linear(x, bias=bias, weight=weight), x, module=model[0], open_linear=True
    )
    assert links(by_name) == [("x", "matmul"), ("weight", "matmul"), ("matmul", "+"), ("bias", "+")]


def recurrent():
    layer = nn.LSTM(3, 4)
    return lambda x: layer(x)[0], layer


def embedding():
    layer = nn.Embedding(5, 3)
    return lambda x: layer(x.argmax(1)).square(), layer


MODULES = {
    "convolution, in place": (
        nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2)
        ),
        (2, 1, 8, 8),
    ),
    "batch norm": (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sigmoid(), nn.Linear(4, 1)), (5, 3)),
    "batch norm, eval": (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval(), (5, 3)),
    "dropout": (nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1)), (5, 3)),
    "attention": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 3, 8)),
    "recurrent": (*recurrent(), (2, 1, 3)),
    "embedding": (*embedding(), (4, 5)),
}


@pytest.mark.parametrize(("function", "module", "shape"), [
    (found[0], found[-2], found[-1]) for found in MODULES.values()
], ids=MODULES)  # fmt: skip
def test_gradients_of_modules_are_those_of_autograd_and_sums_of_contributions(function, module, shape):
    x = torch.randn(shape)
    state = torch.get_rng_state()
    graph = trace(function, x, module=module)
    torch.set_rng_state(state)
    buffers = copy.deepcopy(dict(module.named_buffers()))
    module.zero_grad()
    function(x).sum().backward()
    for name, buffer in module.named_buffers():
        buffer.copy_(buffers[name])
    found = {node.name: node.gradient for node in graph.nodes if node.kind == "parameter"}
    assert found.keys() == dict(module.named_parameters()).keys()
    for name, parameter in module.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-5), name
    for node in graph.nodes:
        handed = [edge.contribution for edge in graph.edges if edge.source == node.index]
        if node.gradient is not None and node is not graph.output:
            total = sum(part for part in handed if part is not None)
            assert torch.allclose(total, node.gradient, atol=1e-5), node.label


def test_an_output_of_any_shape_has_the_gradient_of_its_sum():
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    graph = trace(lambda x: x**3, x)
    assert torch.equal(graph.output.gradient, torch.ones_like(x))
    assert torch.allclose(graph.node("x").gradient, 3 * x**2)
    assert graph.edges[0].derivative is None  # it is no single number


def test_values_are_copies():
    (x,) = scalars(3.0)
    graph = trace(lambda x: x * 2, x)
    with torch.no_grad():
        x.zero_()
    assert graph.node("x").value == 3
    assert not any(node.value.requires_grad for node in graph.nodes)


# Operations of every kind


def test_what_carries_no_gradient_is_drawn_without_one():
    (w,) = scalars(2.0)
    graph = trace(lambda w, t: {"p": (p := w * t), "L": (p - p.detach() + t) ** 2}, w, torch.tensor(3.0))
    assert graph.node("t").gradient is None
    assert graph.nodes[labels(graph).index("detach")].gradient is None
    ends = dict(zip(links(graph), graph.edges, strict=True))
    assert ends["p", "detach"].contribution is None
    assert graph.node("w").gradient == 2 * 3 * 3


def test_an_operation_in_place_is_a_node_of_its_own():
    def function(x):
        h = x * 2
        g = h * 5
        h += 1
        h[0] = 7.0
        return h.sum() + g.sum()

    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    graph = trace(function, x)
    assert [node.label for node in graph.operations] == ["× 2", "× 5", "+ 1", "set entries", "Σ", "Σ", "+"]
    twice, _, plus, entries = graph.operations[:4]
    assert twice.value.tolist() == [2, 4, 6]
    assert plus.value.tolist() == [3, 5, 7]
    assert entries.value.tolist() == [7, 5, 7]
    assert entries.gradient.tolist() == [1, 1, 1]
    assert plus.gradient.tolist() == [0, 1, 1]
    assert twice.gradient.tolist() == [5, 6, 6]
    handed = {
        label: edge.contribution.tolist() for (_, label), edge in zip(links(graph), graph.edges, strict=True)
    }
    assert handed["× 5"] == [5, 5, 5]
    assert handed["+ 1"] == [0, 1, 1]
    assert graph.node("x").gradient.tolist() == [10, 12, 12]


def test_each_result_of_an_operation_is_a_node():
    def function(x):
        first, second = x.unbind()
        return first * 2 + second * 3

    graph = trace(function, torch.tensor([1.0, 2.0], requires_grad=True))
    assert labels(graph)[1:3] == ["unbind [0]", "unbind [1]"]
    assert [edge.contribution.tolist() for edge in graph.children("x")] == [[2, 0], [0, 3]]
    assert graph.node("x").gradient.tolist() == [2, 3]


def test_what_does_not_lead_to_the_output_is_left_out():
    def function(x):
        loss = (x**2).sum()
        (x > 0).float().mean().item()
        torch.exp(x)
        return loss

    assert labels(trace(function, torch.ones(3, requires_grad=True))) == ["x", "(·)²", "Σ"]


def test_operations_that_do_nothing_are_no_nodes():
    (x,) = scalars(2.0)
    graph = trace(lambda x: functional.dropout(x.contiguous(), 0.5, training=False) * 2, x)
    assert labels(graph) == ["x", "× 2"]


def test_batch_norm_has_running_statistics_as_inputs_only_where_it_reads_them():
    model = nn.BatchNorm1d(2)
    x = torch.randn(5, 2)
    assert labels(trace(model, x)) == ["input", "weight", "bias", "batch norm"]
    model.eval()
    read = ["input", "running_mean", "running_var", "weight", "bias", "batch norm"]
    assert labels(trace(model, x)) == read
    assert trace(model, x).node("running_mean").kind == "constant"


def test_random_tensors_are_leaves():
    (x,) = scalars(2.0)
    graph = trace(lambda x: x * torch.ones(()), x)
    assert [(node.label, node.kind) for node in graph.nodes] == [
        *(("x", "input"), ("ones", "constant"), ("×", "operation"))
    ]  # fmt: skip


def test_a_tensor_made_inside_may_ask_for_gradients():
    def function(x):
        w = torch.full((), 4.0)
        w.requires_grad_()
        return {"w": w, "y": w * x}

    graph = trace(function, torch.tensor(3.0))
    assert graph.node("w").gradient == 3


def test_requests_of_the_function_reach_its_own_tensors():
    seen, kept = [], []

    def function(x):
        h = x * 2
        h.retain_grad()
        h.register_hook(lambda gradient: seen.append(gradient.item()))
        h.grad = torch.tensor(7.0, dtype=torch.float64)
        kept.append(h)
        frozen.requires_grad_(False)
        return h * 5 + frozen

    x, frozen = scalars(3.0, 1.0)
    graph = trace(function, x)
    assert labels(graph) == ["x", "× 2", "× 5", "constant", "+"]
    assert seen == [5]
    assert kept[0].retains_grad
    assert kept[0].grad == 7 + 5  # what was there, and what the backward pass brings


def test_a_single_number_that_is_spread_has_no_local_derivative():
    graph = trace(lambda x: x * torch.ones(3), torch.tensor(2.0, requires_grad=True))
    assert graph.edges[0].derivative is None
    assert graph.edges[0].contribution == 3


def test_a_function_may_use_what_was_computed_before():
    (w,) = scalars(2.0)
    h = w * 5
    graph = trace(lambda: h * h, names={"h": h})
    assert labels(graph) == ["h", "×"]
    assert graph.node("h").gradient == 20
    (h * h).backward()  # the reader's own graph is still there
    assert w.grad == 100


@pytest.mark.parametrize(
    ("function", "label"),
    [
        (lambda x: x * x, "×"),
        (lambda x: x + x, "+"),
        (lambda x: x - x, "−"),
        (lambda x: x / x, "÷"),
        (lambda x: -x, "−"),
        (lambda x: x * 0.5, "× 0.5"),
        (lambda x: 0.5 * x, "× 0.5"),
        (lambda x: x + 1, "+ 1"),
        (lambda x: 1 + x, "+ 1"),
        (lambda x: x - 1, "− 1"),
        (lambda x: 1 - x, "1 −"),
        (lambda x: x / 3, "÷ 3"),
        (lambda x: 3 / x, "3 ÷"),
        (lambda x: x**2, "(·)²"),
        (lambda x: x**0.5, "(·)^0.5"),
        (lambda x: 2**x, "2 ^"),
        (lambda x: x @ x, "matmul"),
        (lambda x: torch.mm(x, x), "matmul"),
        (lambda x: x.T, "ᵀ"),
        (lambda x: x.t(), "ᵀ"),
        (lambda x: x.sum(), "Σ"),
        (lambda x: x.mean(), "mean"),
        (lambda x: x.sigmoid(), "σ"),
        (lambda x: torch.sigmoid(x), "σ"),
        (lambda x: x.tanh(), "tanh"),
        (lambda x: torch.relu(x), "ReLU"),
        (lambda x: functional.relu(x), "ReLU"),
        (lambda x: nn.ReLU()(x), "ReLU"),
        (lambda x: functional.leaky_relu(x), "leaky ReLU"),
        (lambda x: functional.softmax(x, 1), "softmax"),
        (lambda x: functional.log_softmax(x, 1), "log softmax"),
        (lambda x: nn.MSELoss()(x, x), "MSE"),
        (lambda x: functional.cross_entropy(x, torch.tensor([0, 1])), "cross entropy"),
        (lambda x: nn.BCEWithLogitsLoss()(x, torch.ones(2, 2)), "binary cross entropy"),
        (lambda x: x[0], "index"),
        (lambda x: x.norm(), "‖·‖"),
        (lambda x: torch.stack([x, x]), "stack"),
        (lambda x: torch.einsum("ij->j", x), "einsum"),
        (lambda x: torch.logsumexp(x, 1), "logsumexp"),
    ],
)  # fmt: skip
def test_operations_have_the_names_of_the_field(function, label):
    x = torch.tensor([[0.5, 1.0], [1.5, 2.0]], requires_grad=True)
    assert trace(function, x).output.operation == label


def test_a_label_needs_no_arguments():
    assert operation_label(torch.add) == "+"
    assert operation_label(torch.Tensor.mul, (torch.ones(2), True)) == "×"  # a truth value is no number


# One node


def test_a_function_can_be_one_node():
    penalty = one_node(lambda *weights: 0.05 * sum((w**2).sum() for w in weights), "ℓ₂")
    v, w = torch.randn(2, 3, requires_grad=True), torch.randn(4, requires_grad=True)
    graph = trace(lambda v, w: v.sum() + penalty(v, w), v, w)
    assert labels(graph) == ["v", "w", "Σ", "ℓ₂", "+"]
    assert torch.allclose(graph.node("w").gradient, 0.1 * w)
    assert torch.allclose(graph.node("v").gradient, 1 + 0.1 * v)
    assert torch.equal(penalty(v, w), 0.05 * sum((part**2).sum() for part in (v, w)))  # as before


def test_a_module_and_an_autograd_function_can_be_one_node():
    model = mlp()
    graph = trace(one_node(model, "model"), torch.randn(2, 4, requires_grad=True))
    assert [node.operation for node in graph.nodes] == ["", "model"]
    assert one_node(model).label == "Sequential"
    assert one_node(torch.tanh).label == "tanh"
    graph = trace(lambda x: one_node(Square.apply, "square")(x) + x, *scalars(3.0))
    assert labels(graph) == ["x", "square", "+"]
    assert graph.node("x").gradient == 7


# Names


def test_names_come_from_parameters_results_modules_and_the_reader():
    model, y = mlp(), torch.arange(6) % 3

    def function(x):
        logits = model(x)
        return {"o": logits, "$L$": functional.cross_entropy(logits, y)}

    graph = trace(function, torch.randn(6, 4), module=model, names={"y": y, "$W_1$": model[0].weight})
    assert [(node.name, node.kind) for node in graph.nodes] == [
        ("x", "input"), ("$W_1$", "parameter"), ("0.bias", "parameter"), ("", "operation"), ("", "operation"),
        ("2.weight", "parameter"), ("2.bias", "parameter"), ("o", "operation"), ("y", "constant"),
        ("$L$", "operation"),
    ]  # fmt: skip


def test_the_names_of_the_reader_go_before_all_others():
    x = torch.tensor(2.0, requires_grad=True)
    graph = trace(lambda x: {"input": x, "y": x * 2}, x, names={"ξ": x})
    assert labels(graph) == ["ξ", "y"]


def test_leaves_without_a_name_are_called_by_their_kind():
    w = torch.tensor(2.0, requires_grad=True)
    graph = trace(torch.mul, w, torch.tensor(3.0))  # written in C, without names
    assert labels(graph) == ["input", "input", "×"]
    assert labels(trace(lambda: w * torch.tensor([1.0]))) == ["tensor", "parameter", "×"]
    constant = torch.tensor(5.0)
    assert labels(trace(lambda: w * constant)) == ["parameter", "constant", "×"]


def test_a_parameter_is_one_wherever_it_comes_from():
    layer = nn.Linear(1, 1)
    graph = trace(lambda weight: weight * 2, layer.weight)
    assert graph.node("weight").kind == "parameter"


def test_only_tensors_among_the_inputs_are_nodes():
    graph = trace(lambda x, k, deep=True: x * k, *scalars(3.0), 4)
    assert labels(graph) == ["x", "× 4"]


# Leaving no trace


def test_the_readers_tensors_modules_and_modes_stay_as_they_are():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    x = torch.randn(5, 3, requires_grad=True)
    model(x).sum().backward()
    state, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    gradients = [part.grad.clone() for part in (x, *model.parameters())]
    flags = [part.requires_grad for part in model.parameters()]
    graph = trace(model, x)
    assert labels(graph)[-1] == "linear"
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    for before, part in zip(gradients, (x, *model.parameters()), strict=True):
        assert torch.equal(before, part.grad)
    assert [part.requires_grad for part in model.parameters()] == flags
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training
    assert torch.overrides._get_current_function_mode_stack() == []


def test_a_backward_pass_through_an_earlier_run_still_works():
    model, x = nn.BatchNorm1d(2), torch.randn(5, 2)
    loss = model(x).square().sum()
    trace(model, x)
    loss.backward()
    assert model.weight.grad is not None


def test_a_function_that_fails_leaves_no_trace_either():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(3, 1))
    x = torch.randn(5, 2)
    state, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trace(lambda x: model(x * torch.rand(())), x, module=model)
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.overrides._get_current_function_mode_stack() == []
    assert torch.is_grad_enabled()


def test_gradients_may_be_off_around_the_trace():
    with torch.no_grad():
        graph = trace(lambda x: x * x, *scalars(3.0))
        assert not torch.is_grad_enabled()
    assert graph.node("x").gradient == 6


def test_the_function_runs_once():
    calls = []

    def function(x):
        calls.append(x)
        return x * 2

    trace(function, *scalars(1.0))
    assert len(calls) == 1


# Refusals


@pytest.mark.parametrize(
    ("function", "inputs", "options", "error", "words"),
    [
        (torch.ones(2), [], {}, TypeError, "function is of type Tensor; give what computes the tensor"),
        (lambda x: (x, x), scalars(1.0), {}, TypeError, "the output is of type tuple; give a tensor"),
        (lambda x: {}, scalars(1.0), {}, TypeError, "the output is of type dict; give a tensor"),
        (lambda x: {"a": 2, "J": x * x}, scalars(1.0), {}, TypeError, "a is of type int; give a tensor"),
        (lambda x: x, scalars(1.0), {"names": {"w": [1]}}, TypeError, "w is of type list; give a tensor"),
        (lambda x, w: x * w, scalars(1.0), {}, TypeError, "missing a required argument: 'w'"),
        (lambda x: x * x, [torch.tensor(1.0)], {}, ValueError, "requires gradients; make"),
        (lambda x: x.detach() * 2, scalars(1.0), {}, ValueError, "requires gradients; make"),
        (lambda x: x * 2, scalars(1.0), {"names": {"q": torch.ones(1)}}, ValueError, "'q' does not lead to"),
        (lambda x: {"q": x * 3, "J": x * 2}, scalars(1.0), {}, ValueError, "'q' does not lead to the output"),
        (lambda x: {"x": x * 3}, scalars(1.0), {}, ValueError, "2 nodes are called 'x'; give each a name"),
        (lambda x: x * 2 + 1, scalars(1.0), {"most_nodes": 2}, ValueError, "3 nodes, more than most_nodes=2"),
        (lambda x: x * 2, scalars(1.0), {"most_nodes": 0}, ValueError, "most_nodes is 0; it must be"),
        (lambda x: Square.apply(x), scalars(1.0), {}, ValueError, r"autograd\.Function, wrap it in"),
        (lambda x: Square.apply(x) + x, scalars(1.0), {}, ValueError, r"autograd\.Function, wrap it in"),
    ],
)  # fmt: skip
def test_what_cannot_be_traced_is_said_with_the_remedy(function, inputs, options, error, words):
    with pytest.raises(error, match=words):
        trace(function, *inputs, **options)


def test_a_graph_of_sixty_nodes_is_allowed_and_no_larger_one():
    def steps(count):
        def function(x):
            for _ in range(count):
                x = x + 1
            return x

        return function

    assert len(trace(steps(59), *scalars(1.0)).nodes) == 60
    with pytest.raises(ValueError, match="the graph has 61 nodes, more than most_nodes=60; trace a smaller"):
        trace(steps(60), *scalars(1.0))
    assert len(trace(steps(60), *scalars(1.0), most_nodes=61).nodes) == 61


def test_a_tensor_computed_from_another_input_before_is_refused():
    (x,) = scalars(3.0)
    h = x * 2
    for function in (lambda x: h * x, lambda x: h * 2):
        with pytest.raises(ValueError, match=r"comes from nowhere; .*if it ran before, run it inside the"):
            trace(function, x)


# The graph


@pytest.fixture
def graph():
    return trace(fan_out, *scalars(1.5))


def test_nodes_are_found_by_name(graph):
    assert graph.node("c").operation == "×"
    with pytest.raises(ValueError, match="no node is called 'q'; there are x, a, c, J"):
        graph.node("q")
    with pytest.raises(ValueError, match="no node is called 'x'; there are none with a name"):
        trace(torch.neg, *scalars(1.0)).node("x")


def test_parents_and_children(graph):
    ends = {name: graph.node(name).index for name in ("x", "a", "c", "J")}
    assert [edge.source for edge in graph.parents("a")] == [ends["x"]] * 2
    assert [edge.target for edge in graph.children("a")] == [ends["c"], ends["J"]]
    assert graph.parents("x") == graph.children("J") == ()


def test_the_neighbourhood_of_a_node(graph):
    part = graph.around("a")
    assert [node.name for node in part.nodes] == ["x", "a", "c", "J"]
    assert part.edges == (*graph.parents("a"), *graph.children("a"))
    assert part.node("a") is graph.node("a")
    assert [node.name for node in graph.around("x").nodes] == ["x", "a", ""]
    alone = trace(lambda x: x, *scalars(1.0)).around("x")
    assert (labels(alone), alone.edges) == (["x"], ())


def test_leaves_of_a_kind_can_be_left_out():
    graph = trace(mlp(), torch.randn(2, 4)).without("parameter")
    assert labels(graph) == ["input", "linear", "tanh", "linear"]
    assert links(graph) == [("input", "linear"), ("linear", "tanh"), ("tanh", "linear")]
    weight = nn.Parameter(torch.ones(2))
    assert labels(trace(lambda w: w, weight).without("parameter")) == ["w"]  # the output stays


def test_steps_of_the_forward_and_the_backward_pass(graph):
    """Operations are a, −x, exp, c, J: five steps forward, one that starts, five back."""
    assert graph.steps == 11
    x, a, minus, exp, c, output = (node.index for node in graph.nodes)
    final = {node.index: node.gradient.item() for node in graph.nodes}
    seen = []
    for step in range(12):
        known = graph.after(step)
        assert known.values.keys() == {x, *[a, minus, exp, c, output][:step]}
        assert all(known.values[i] is graph.nodes[i].value for i in known.values)
        assert known.backward == (step > 5)
        seen.append((known.active, {i: g.item() for i, g in known.gradients.items()}, set(known.waiting)))
    assert [active for active, _, _ in seen] == [
        *(None, a, minus, exp, c, output),
        *(output, output, c, exp, minus, a),
    ]
    assert all(gradients == {} for _, gradients, _ in seen[:6])
    assert seen[6][1:] == ({output: 1.0}, set())
    assert seen[7][1:] == ({output: 1.0, c: 1.0, a: 1.0}, {a})  # from J; what c hands back is to come
    complete = {output: 1.0, c: 1.0, a: final[a], exp: final[exp]}
    assert final[a] == pytest.approx(1 + math.exp(-1.5))
    assert seen[8][1:] == (complete, set())
    assert seen[9][1:] == (complete | {minus: final[minus]}, set())
    assert seen[10][1:] == (complete | {minus: final[minus], x: -final[minus]}, {x})
    assert seen[11][1:] == (final, set())
    for step in (-1, 12):
        with pytest.raises(ValueError, match=f"step is {step}; this graph has steps 0 to 11"):
            graph.after(step)


def test_a_value_is_never_handed_back_before_its_gradient_is_complete():
    """The order of the backward pass is topological, whatever the graph."""
    graph = trace(nn.TransformerEncoderLayer(8, 2, 16), torch.randn(3, 2, 8, requires_grad=True))
    for step in range(graph.steps + 1):
        known = graph.after(step)
        assert not known.handed & known.waiting
        for index in known.handed - known.waiting:
            if graph.nodes[index].gradient is not None:
                assert known.gradients[index] is graph.nodes[index].gradient


def test_a_graph_is_frozen(graph):
    assert isinstance(graph, ComputationGraph)
    for thing, name in ((graph, "nodes"), (graph.nodes[0], "value"), (graph.edges[0], "derivative")):
        with pytest.raises(AttributeError, match="cannot assign"):
            setattr(thing, name, None)


# Texts


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        (0, 3, "0"), (0.5, 3, "0.5"), (-0.12345, 3, "−0.123"), (-0.12345, 2, "−0.12"), (1234.5, 3, "1234"),
        (99.96, 3, "100"), (123456.0, 3, "123456"), (12345678.0, 3, "1.23·10⁷"), (1.23e-5, 3, "1.23·10⁻⁵"),
        (-1e-10, 3, "−1·10⁻¹⁰"), (math.inf, 3, "∞"), (-math.inf, 3, "−∞"), (math.nan, 3, "nan"),
        (True, 3, "1"), (7, 3, "7"),
    ],
)  # fmt: skip
def test_numbers_are_short(number, digits, text):
    assert rounded(number, digits) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [("x", "$x$"), ("W1", "$W_{1}$"), ("h12", "$h_{12}$"), ("loss", "loss"), ("0.weight", "0.weight"),
     (r"$\lambda$", r"$\lambda$"), ("", ""), ("x1y", "x1y")],
)  # fmt: skip
def test_single_letters_are_symbols(name, text):
    assert symbol(name) == text
