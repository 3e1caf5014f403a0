# How the server runs. `retrue deploy` builds the first stage and puts two layers on it, runtime and
# bundle, which it writes itself: a builder never writes the same layer twice. Where an engine does
# not take them, it builds the second stage, from the same two folders:
#   opt/retrue/site, opt/retrue/lib   packages installed on the host by hash, our code, libgomp
#   opt/retrue/bundle                 the model
# No RUN: the build needs no network, and the base needs no shell. What changes least comes first.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS server
ENV PYTHONPATH=/opt/retrue/site \
    LD_LIBRARY_PATH=/opt/retrue/lib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python3", "-S", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8080, timeout=4); c.request('GET', '/ping'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["python3", "-m", "retrue.serving", "--bundle", "/opt/retrue/bundle", "--log-dir", "/var/lib/retrue", "--host", "0.0.0.0", "--port", "8080"]

FROM server AS serving
COPY opt/retrue/site /opt/retrue/site
COPY opt/retrue/lib /opt/retrue/lib
# The model comes last: a new version adds one small layer.
COPY opt/retrue/bundle /opt/retrue/bundle
