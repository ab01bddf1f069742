"""Training: from the corpora to the int8 model that rt_ser ships."""
