"""Point-in-time recovery with pgBackRest."""
