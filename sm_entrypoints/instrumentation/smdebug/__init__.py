"""smdebug's hook, as a request's debugger configuration asks for it, without risk to the job."""
