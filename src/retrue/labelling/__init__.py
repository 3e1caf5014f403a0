"""Labels: what is predicted, labels that come late, and rows chosen to be labelled."""
