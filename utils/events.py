"""What a `Learner` tells its callbacks, and how these can stop it (lab 07)."""


class CancelStep(Exception):
    """Raised by a callback: the optimizer makes no step for this batch, and the gradients stay."""


class CancelBatch(Exception):
    """Raised by a callback: leave out the rest of this batch. Gradients that are there already stay."""


class CancelEpoch(Exception):
    """Raised by a callback: leave out the rest of this pass over the training or the validation batches."""


class CancelFit(Exception):
    """Raised by a callback: stop training."""


class Callback:
    """Something that a `Learner` tells of its events (lab 07). Override those that matter; each gets the learner.

    A fit, an epoch, a batch and a step of the optimizer have three events each: *before*; *after*, unless cancelled; and
    *cleanup*, for every callback that heard the *before*, in reverse order, however the stage ended. An epoch is one
    pass over the training or over the validation batches: `learner.training` tells which.
    """

    order = 0  # callbacks with a lower one hear of an event first

    def before_fit(self, learner): pass
    def after_fit(self, learner): pass
    def cleanup_fit(self, learner): pass
    def before_epoch(self, learner): pass
    def after_epoch(self, learner): pass
    def cleanup_epoch(self, learner): pass
    def before_batch(self, learner): pass
    def after_predict(self, learner): pass  # learner.prediction is there
    def after_loss(self, learner): pass  # learner.loss is there
    def after_backward(self, learner): pass  # training only, as are the three of a step
    def before_step(self, learner): pass
    def after_step(self, learner): pass
    def cleanup_step(self, learner): pass
    def after_batch(self, learner): pass
    def cleanup_batch(self, learner): pass
