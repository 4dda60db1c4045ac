"""Gradient descent with Nesterov's momentum."""

from tamiz.trainer.optimizers import OPTIMIZERS, Optimizer


class Nesterov(Optimizer):
    name = "nesterov"
    states = 1.0  # numbers for each weight, in checkpoints

    def check(self, settings):
        if settings.betas[0] == 0:
            raise ValueError("betas has 0 as its first number, the momentum; with nesterov it must be above 0")

    def build(self, groups, settings, device):
        from torch.optim import SGD

        return SGD(groups, lr=settings.learning_rate, momentum=settings.betas[0], nesterov=True)


OPTIMIZERS.register(Nesterov())
