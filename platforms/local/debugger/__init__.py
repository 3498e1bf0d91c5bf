"""SageMaker Debugger and its profiler for local jobs: what the service does beside the container.

Rules are judged when the training has ended (:mod:`.rule_evaluation`), the machine is sampled while
it runs (:mod:`.system_sampling`), and the files of hook and profiler go to the bucket as they are
written (:mod:`.live_output`).

The rules themselves, and the hook, are in :mod:`sm_entrypoints`.
"""
