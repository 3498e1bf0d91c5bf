"""Rules about the CPU: too little use, too much, and at which steps."""
