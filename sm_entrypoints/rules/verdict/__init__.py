"""The verdict of a job: all findings weighed, one change to make, and only true claims."""
