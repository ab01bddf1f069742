"""Learning from views: stretches of speech that a network and its teacher are both shown."""
