"""Where corpora come from: web servers, the Hub, archives, parquet files; and what is here of them."""
