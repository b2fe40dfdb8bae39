"""Scripts with no mistake, some of which look as if they had one."""

from ddl.bug_zoo.catalogue.entry import Healthy

HEALTHY = (
    Healthy("cancer_log_softmax", "binary, log_softmax and NLLLoss", at_least=0.92),
    Healthy("cancer_logistic_network", "binary, tabular, DataLoader", at_least=0.92),
    Healthy("cars_full_batch", "regression, tabular, full batch (miles per gallon)", at_most=4),
    Healthy("cars_summed_loss", "regression, a sum as the loss with a rate to match", at_most=0.5),
    Healthy("diabetes_accumulation", "regression, a step every four batches", at_most=0.65),
    Healthy("digits_adam", "many classes, MLP, DataLoader", at_least=0.88),
    Healthy("digits_autoencoder", "autoencoder that ends in a sigmoid, pixels from 0 to 1", at_most=0.04),
    Healthy("digits_batch_norm", "many classes, CNN, batch norm", at_least=0.83),
    Healthy("digits_frozen_backbone", "fine-tuning, a backbone frozen on purpose", at_least=0.68),
    Healthy("digits_gru_clipped", "sequence, GRU, gradient clipping", at_least=0.7),
    Healthy("digits_micro_batches", "many classes, four micro-batches a step", at_least=0.82),
    Healthy("digits_smoothed_cosine", "many classes, label smoothing, schedule by the batch", at_least=0.85),
    Healthy("digits_softmax_regression", "many classes, linear model that starts at zero", at_least=0.83),
    Healthy("digits_tied_autoencoder", "autoencoder, tied weights", at_most=0.15),
    Healthy("digits_two_heads", "classes and a number, two losses", at_least=0.83),
    Healthy("digits_two_learning_rates", "fine-tuning, two learning rates", at_least=0.68),
    Healthy("digits_weighted_classes", "binary, one in ten positive, weighted loss", at_least=0.83),
    Healthy("mnist_mlp", "many classes, 28 × 28 pixels, momentum, weight decay", at_least=0.78),
    Healthy("rides_poisson", "counts, embeddings, Poisson loss", at_least=0.5),
    Healthy("sine_ten_points", "regression, ten examples", at_most=0.01),
    Healthy("spirals_deep_residual", "binary, six residual blocks, layer norm", at_least=0.95),
    Healthy("tokens_sum_lstm", "tokens, LSTM, time before batch", at_least=0.85),
    Healthy("tokens_tied_transformer", "tokens, causal transformer, tied weights", at_least=0.8),
    Healthy("wine_dropout", "many classes, dropout, full batch", at_least=0.92),
)

# On these no threshold of ddl.diagnose was chosen.
HEALTHY_APART = (
    Healthy("cancer_bce_sigmoid", "binary, sigmoid and BCELoss", at_most=0.2),
    Healthy("cancer_hinge", "binary, hinge loss, labels of -1 and 1", at_least=0.92),
    Healthy("cars_huber", "regression, Huber loss, targets in miles per gallon", at_most=2.0),
    Healthy("cars_lbfgs", "regression, L-BFGS with a closure", at_most=0.2),
    Healthy("digits_averaged_weights", "many classes, moving average of the weights", at_least=0.83),
    Healthy("digits_denoising", "denoising autoencoder", at_most=0.04),
    Healthy("digits_focal", "many classes, focal loss", at_least=0.8),
    Healthy("digits_group_norm", "many classes, CNN, group norm", at_least=0.83),
    Healthy("iris_normalises_itself", "many classes, raw inputs into batch norm", at_least=0.9),
    Healthy("moons_sigmoid", "binary, one hidden layer of sigmoids", at_least=0.82),
    Healthy("series_rnn", "sequence regression, RNN, full batch", at_most=0.02),
    Healthy("tokens_mode_pooled", "tokens, transformer, dropout", at_least=0.8),
)
