"""Speech encoders of the transformers library as backbones: what their families share.

A family is a table of numbers under transformers' own names, from which one known class of the library is built: no
code and no name of a class is ever read from a file. Its backbone calls the parts of that model itself: so clips lie
packed as they do in our own encoders, and no layer is dropped and no frame masked in training. The states are
transformers' `hidden_states`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.attention import attend
from sqa_model.network.backbone import Backbone, BackboneConfig
from sqa_model.network.fields import from_record

ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu", "swish")
PACKED = "sqa_packed"  # our attention, in transformers' table of attentions


@dataclass(frozen=True)
class HuggingFaceConfig(BackboneConfig):
    """Numbers of a configuration of transformers that the states depend on; names and defaults are transformers'."""

    theirs: ClassVar[
        tuple[str, str]
    ]  # where transformers has the classes of its configuration and of its model
    # settings that the encoder does not know, with the only value that they may have
    only: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def from_hugging_face(cls, settings: Mapping[str, Any], normalize: bool) -> Self:
        """The numbers of transformers' `config.json` that count here."""
        for name, value in cls.only.items():
            if settings.get(name, value) != value:
                raise ModelError(f"{name} is {settings[name]!r:.50}; only {value!r} is known here")
        known = {field.name for field in fields(cls)}
        given = {name: value for name, value in settings.items() if name in known}
        if "normalize" in known:
            given["normalize"] = normalize
        return from_record(cls, given, cls.kind)

    def library_model(self, **settings: Any) -> nn.Module:
        """The model of transformers with these numbers and random weights; `settings` are what it alone needs."""
        library = transformers(self.kind)
        given = {name: value for name, value in asdict(self).items() if name != "normalize"}
        configuration, model = attrgetter(*self.theirs)(library)
        built: nn.Module = model(configuration(**given, **settings))
        return built


class HuggingFaceBackbone(Backbone):
    """A backbone around `model`, a model of transformers."""

    # what may stand before the names of its weights in published files, and weights there that no state needs
    prefixes: tuple[str, ...] = ()
    unused: str = "$^"
    model: Any


def transformers(kind: str) -> Any:
    """The library of the extra `hf`."""
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            f"the encoder {kind!r} needs the library transformers ({error}); pip install 'sqa-model[hf]'"
        ) from error
    transformers.AttentionInterface.register(PACKED, packed_attention)
    return transformers


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    lengths: list[int],
    dropout: float = 0.0,
    **_: object,
) -> tuple[Tensor, None]:
    """`attend` as transformers calls an attention: (1, heads, frames, head_dim) -> (1, frames, heads * head_dim)."""
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    return attend(q, k, v, lengths, dropout=dropout).unsqueeze(0), None
