"""What is said to people who watch runs from elsewhere: from which amounts on, and in which words.

Emitting it is :mod:`tasks.events`; whom it reaches is in ``automations.yaml``. No Prefect here.
"""
