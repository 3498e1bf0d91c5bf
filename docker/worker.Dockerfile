# What runs the flows of `release-model/aws` and the others in a container: the orchestrator, without
# torch. Build it from the project's root: docker build -f docker/worker.Dockerfile -t whippet-worker .
FROM python:3.12-slim
WORKDIR /opt/whippet
COPY . .
# Editable: flows are found by their modules, and samples and entry points beside them.
RUN pip install --no-cache-dir -c constraints/orchestrator.txt -e .
RUN useradd --create-home whippet && mkdir /var/lib/whippet && chown whippet /var/lib/whippet
USER whippet
ENV WHIPPET_HOME=/var/lib/whippet WHIPPET_CHROMIUM=none
