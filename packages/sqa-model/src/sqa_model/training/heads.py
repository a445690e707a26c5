"""Which heads a run trains: those asked for or those of `model.init`, less what no training clip labels."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqa_data.labels import is_uncertainty, label_of

from sqa_model.training.config import TrainConfig


@dataclass(frozen=True)
class Heads:
    """The heads of the network that is trained."""

    names: tuple[str, ...]  # in output order
    frozen: tuple[str, ...]  # those that no clip labels: they keep their weights
    told: tuple[str, ...]  # a sentence for each decision that is not plain


def choose_heads(config: TrainConfig, parent: Sequence[str] | None, labels: Collection[str]) -> Heads:
    """Decide by `config.data.missing_heads` about heads that none of the training set's `labels` is for.

    parent: the heads of `model.init`, if there is one. A missing head is among `names` where the rule is "error", and
    not among `frozen`: reading the clips will tell. Where no head at all has a label, all stay, for the same reason.

    >>> from sqa_model.training.config import NetConfig
    >>> choose_heads(TrainConfig(model=NetConfig(init="default-1")), ["mos", "pesq"], {"mos"})
    Heads(names=('mos',), frozen=(), told=("head 'pesq' is left out: no training clip has this label",))
    """
    asked = config.model.heads
    wanted = tuple(parent or ()) if asked is None else asked
    rule = config.data.missing_heads or ("drop" if asked is None else "error")
    known = {head for head in wanted if head in labels}
    if not known and not config.data.pairs:
        return Heads(wanted, (), ())
    if not known and rule == "drop":
        rule = "keep"  # where only pairs are learned from
    names, frozen, told = [], [], []
    for head in wanted:
        if is_uncertainty(head) and config.loss.kind != "nll":
            told.append(
                f"head {head!r} is left out: loss.kind = {config.loss.kind!r} does not learn it, and it would go on "
                f'saying how far {label_of(head)!r} was off before this run; loss.kind = "nll" learns it'
            )
        elif label_of(head) in known if is_uncertainty(head) else head in known:
            names.append(head)
        elif rule == "drop":
            told.append(f"head {head!r} is left out: no training clip has this label")
        else:
            names.append(head)
            if rule == "keep":
                frozen.append(head)
                told.append(f"head {head!r} learns nothing: no training clip has this label")
    return Heads(tuple(names), tuple(frozen), tuple(told))
