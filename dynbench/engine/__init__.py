"""Where models and protocols meet: the loop, the Trainer, devices."""
