"""Retrue keeps tabular models true while the world drifts."""

import os

# LightGBM's threads wait for each other after every node. When they spin (libgomp's default) and
# share the cores with anything else, a fit of 2 CPU-seconds was seen to burn 35 in 200 s of wall
# time. It is read when libgomp is loaded, so it is set before anything of ours can load it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
