"""State dictionaries from users: unwrapped, under torchvision's names, and identified."""
