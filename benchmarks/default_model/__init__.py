"""The lines that the default model must hold, a module a question; bench_default_model.py prints them as one table."""
