"""Training with other packages, each with all switched off that it does besides.

The packages are imported when a contestant is made, so that those that are missing do not matter.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.cases import Task
from benchmarks.loops import loader
from benchmarks.training import Training


class ScikitLearn(Training):
    """scikit-learn's ``MLPClassifier``: NumPy, without automatic differentiation."""

    def __init__(self, task: Task, models: Sequence[nn.Module], seed: int) -> None:
        super().__init__(task, models, seed)
        from sklearn.neural_network import MLPClassifier

        (model,) = models
        linear = [layer for layer in model if isinstance(layer, nn.Linear)]
        self.x, self.y = task.train.x.numpy(), task.train.y.numpy()
        # Weights to set exist only after a first step; one example of each class is enough for that.
        one_of_each = np.unique(self.y, return_index=True)[1]
        self.classifier = MLPClassifier(
            [layer.out_features for layer in linear[:-1]],
            activation="relu",
            solver="adam",
            learning_rate_init=task.lr,
            alpha=0.0,  # no weight decay
            batch_size=len(one_of_each),
            max_iter=1,
            n_iter_no_change=task.epochs + 1,  # train for all epochs
            warm_start=True,  # go on with the weights that are there
            random_state=seed,
        )
        self._fit(self.x[one_of_each], self.y[one_of_each])
        self.classifier.set_params(batch_size=task.batch_size, max_iter=task.epochs)
        self.classifier.coefs_ = [layer.weight.detach().numpy().T.copy() for layer in linear]
        self.classifier.intercepts_ = [layer.bias.detach().numpy().copy() for layer in linear]

    def fit(self) -> None:
        """Train."""
        self._fit(self.x, self.y)

    def _fit(self, x: np.ndarray, y: np.ndarray) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits

        with warnings.catch_warnings(), threadpool_limits(torch.get_num_threads()):
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is told when to stop
            self.classifier.fit(x, y)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Return the labels, shape (1, n)."""
        return torch.from_numpy(self.classifier.predict(x.numpy()))[None]


class Keras(Training):
    """Keras with PyTorch behind it."""

    def __init__(self, task: Task, models: Sequence[nn.Module], seed: int) -> None:
        super().__init__(task, models, seed)
        os.environ |= {"KERAS_BACKEND": "torch", "KERAS_TORCH_DEVICE": "cpu"}
        import keras

        (model,) = models
        keras.utils.set_random_seed(seed)
        self.model = keras_model(model, task.train.x.shape[1:])
        self.model.compile(
            optimizer=keras.optimizers.Adam(task.lr, epsilon=1e-8),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self.x, self.y = task.train.x.numpy(), task.train.y.numpy()

    def fit(self) -> None:
        """Train."""
        self.model.fit(self.x, self.y, batch_size=self.task.batch_size, epochs=self.task.epochs, verbose=0)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Return the labels, shape (1, n)."""
        return torch.from_numpy(self.model.predict(x.numpy(), verbose=0).argmax(1))[None]


def keras_model(model: nn.Sequential, shape: Sequence[int]) -> object:
    """Return a network of Keras with the layers and weights of one of PyTorch.

    Raises
    ------
    TypeError
        If it has a layer that no task uses.
    """
    from keras import Sequential, layers

    channels = {"data_format": "channels_first"}
    translated = [layers.Input(tuple(shape))]
    weights = []
    for layer in model:
        match layer:
            case nn.Linear():
                translated.append(layers.Dense(layer.out_features))
                weights += [layer.weight.T, layer.bias]
            case nn.Conv2d():
                translated.append(layers.Conv2D(layer.out_channels, layer.kernel_size, **channels))
                weights += [layer.weight.permute(2, 3, 1, 0), layer.bias]
            case nn.MaxPool2d():
                translated.append(layers.MaxPooling2D(layer.kernel_size, **channels))
            case nn.ReLU():
                translated.append(layers.ReLU())
            case nn.Flatten():
                translated.append(layers.Flatten())  # told of no channels, it moves no axes
            case _:
                raise TypeError(f"{layer!r} has no counterpart here; add one to keras_model")
    made = Sequential(translated)
    made.set_weights([weight.detach().numpy() for weight in weights])
    return made


class Skorch(Training):
    """skorch, without its callbacks, which measure and print."""

    def __init__(self, task: Task, models: Sequence[nn.Module], seed: int) -> None:
        super().__init__(task, models, seed)
        from skorch import NeuralNetClassifier

        (model,) = models
        self.net = NeuralNetClassifier(
            model,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=task.lr,
            max_epochs=task.epochs,
            batch_size=task.batch_size,
            iterator_train__shuffle=True,
            train_split=None,  # no validation data
            callbacks="disable",
            verbose=0,
        ).initialize()
        self.x, self.y = task.train.x.numpy(), task.train.y.numpy()
        torch.manual_seed(seed)

    def fit(self) -> None:
        """Train; ``fit`` itself would make a new network first."""
        self.net.partial_fit(self.x, self.y)


class Lightning(Training):
    """Lightning in its bare-bones mode: no logging, checkpoints, progress bar, or checks."""

    def __init__(self, task: Task, models: Sequence[nn.Module], seed: int) -> None:
        super().__init__(task, models, seed)
        import lightning

        class Module(lightning.LightningModule):
            """A network with its loss and optimiser."""

            def __init__(self, model: nn.Module) -> None:
                super().__init__()
                self.model = model

            def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
                x, y = batch
                return F.cross_entropy(self.model(x), y)

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return torch.optim.Adam(self.parameters(), lr=task.lr)

        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        (model,) = models
        self.module = Module(model)
        self.batches = loader(task)
        self.trainer = lightning.Trainer(accelerator="cpu", devices=1, max_epochs=task.epochs, barebones=True)
        torch.manual_seed(seed)

    def fit(self) -> None:
        """Train."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message=".*LeafSpec")  # its use of PyTorch's own parts
            self.trainer.fit(self.module, self.batches)
