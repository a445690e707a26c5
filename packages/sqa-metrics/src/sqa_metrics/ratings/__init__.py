"""The listening test itself, from single ratings: raters, MOS, agreement, bias, and what they leave to predict."""

from sqa_metrics.ratings.read import ratings_of, read_ratings
from sqa_metrics.ratings.report import ListeningTest, listening_test
from sqa_metrics.ratings.votes import Ratings

__all__ = ["ListeningTest", "Ratings", "listening_test", "ratings_of", "read_ratings"]
