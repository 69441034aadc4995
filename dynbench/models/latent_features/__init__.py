"""Binary latent features, static and dynamic, inferred by Markov chain Monte Carlo."""
