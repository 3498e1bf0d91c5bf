"""Rules about the CPU: too little of it, too much of it, at which steps."""
