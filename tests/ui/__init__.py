"""Whippet as people see it in a browser: Prefect's pages and those of ``whippet ui``.

``make test-ui`` runs them, with a real server, a real worker and a headless Chromium. Each step
leaves a screenshot; to look at them is half of the test.
"""
