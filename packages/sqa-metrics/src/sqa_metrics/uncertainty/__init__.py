"""How far the figures can be trusted: intervals, tests between predictors, and what listeners' own noise allows."""
