"""The exact sums over pairs from which SRCC and KTAU come, whatever counted them."""

from typing import NamedTuple

from sqa_metrics.kernels.plain import cosine


class Counts(NamedTuple):
    """Exact sums over the pairs of n items, as Python integers.

    `untied_x` counts pairs with different x; `rank_*` are sums of products of doubled, centred mid-ranks.
    """

    concordance: int  # concordant less discordant pairs
    untied_x: int
    untied_y: int
    rank_xy: int
    rank_xx: int
    rank_yy: int

    def mirrored(self) -> "Counts":
        """The same with x and y exchanged."""
        return self._replace(
            untied_x=self.untied_y, untied_y=self.untied_x, rank_xx=self.rank_yy, rank_yy=self.rank_xx
        )

    @property
    def srcc(self) -> float:
        return cosine(self.rank_xy, self.rank_xx, self.rank_yy)

    @property
    def tau(self) -> float:
        return cosine(self.concordance, self.untied_x, self.untied_y)
