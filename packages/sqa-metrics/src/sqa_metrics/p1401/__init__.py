"""ITU-T P.1401 (01/2020): how telecommunication reports judge a predictor, one or two of them."""
