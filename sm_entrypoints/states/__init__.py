"""State dictionaries that people bring: out of their wrappers, under torchvision's names, named."""
