"""The verdict of a job: all findings weighed, one change to make, and only claims that hold."""
