"""Gradient descent with Nesterov's momentum."""

from tamiz.trainer.optimizers import OPTIMIZERS, Optimizer


class Nesterov(Optimizer):
    name = "nesterov"
    states = 1.0  # numbers for each weight, in checkpoints

    def build(self, groups, settings, device):
        from torch.optim import SGD

        return SGD(groups, lr=settings.learning_rate, momentum=settings.betas[0], nesterov=True)


OPTIMIZERS.register(Nesterov())
