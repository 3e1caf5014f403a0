"""Evidence for or against a model: figures of a hold-out, each with how sure one can be of it."""
